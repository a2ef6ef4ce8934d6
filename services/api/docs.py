"""Owns the page to try the API in a browser: Swagger UI out of its package, nothing from another host."""

from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ringfold</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null, displayRequestDuration: true});
</script>
</body>
</html>
"""


async def get_docs(request: web.Request) -> web.StreamResponse:
    return web.Response(text=_PAGE, content_type="text/html")


async def get_docs_file(request: web.Request) -> web.StreamResponse:
    """One of the page's files; 404 for any other name."""
    name = request.match_info["file"]
    if name not in _FILES:
        raise web.HTTPNotFound
    return web.FileResponse(_folder() / name, headers={"Cache-Control": "max-age=86400"})


def _folder() -> Path:
    """Where the package keeps its files; it is not imported, since it would bring a template engine along."""
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package swagger-ui-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "static"
