"""Starts the projector, or with `rebuild` folds the read model anew."""

import sys

from services.projector.rebuild import rebuild
from services.projector.service import serve_projector
from services.runtime.process import run_service
from services.runtime.settings import Settings

if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["rebuild"]):
        sys.exit("usage: python -m services.projector [rebuild]")
    run_service(Settings, rebuild if sys.argv[1:] else serve_projector)
