"""Owns stand-ins for services: small programs that answer as a service does, so that the stack can be tested by itself."""

import sys
from pathlib import Path

from infra.stack.child import Child
from tests.support.ports import free_port

_ANSWERS_READY = """
import signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
_CANNOT_START = "import sys; print('no provider: set PROVIDER_URL', file=sys.stderr); sys.exit(2)"
_CRASHES = "import sys; print('a bug', file=sys.stderr); sys.exit(1)"
_DEAF_TO_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _ANSWERS_READY.replace(
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))", ""
)


def answering(name: str, directory: Path) -> Child:
    return _child(name, directory, _ANSWERS_READY)


def that_cannot_start(name: str, directory: Path) -> Child:
    return _child(name, directory, _CANNOT_START)


def that_crashes(name: str, directory: Path) -> Child:
    return _child(name, directory, _CRASHES)


def deaf_to_sigterm(name: str, directory: Path) -> Child:
    return _child(name, directory, _DEAF_TO_SIGTERM)


def _child(name: str, directory: Path, program: str) -> Child:
    port = free_port()
    return Child(
        name=name,
        command=(sys.executable, "-c", program, str(port)),
        environment={},
        log_file=directory / "logs" / f"{name}.log",
        ready_url=f"http://127.0.0.1:{port}/health/ready",
    )
