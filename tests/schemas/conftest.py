"""The fixtures of the documents' tests: the API as its own tests run it."""

from tests.api.conftest import service

__all__ = ["service"]
