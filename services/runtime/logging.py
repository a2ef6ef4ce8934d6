"""Owns what a log line looks like: one JSON object, with `action` and what else the call names; never a payload."""

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One line of JSON for each record: time, level, logger, message, and the record's `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class Repeated(logging.Filter):
    """Lets a library say the same thing once in ten seconds: a client whose broker is away says it many times a second."""

    def __init__(self, every_seconds: float = 10.0) -> None:
        super().__init__()
        self._every_seconds = every_seconds
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line may pass; lines of this project always may."""
        if record.name.startswith(("services.", "projections.")):
            return True
        key = (record.pathname, record.lineno)
        if record.created - self._said.get(key, 0.0) < self._every_seconds:
            return False
        self._said[key] = record.created
        return True


def configure_logging(level: str) -> None:
    """Log to standard error as JSON; libraries from WARNING on, aiohttp's access log not at all, since URLs may hold secrets."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "filters": {"repeated": {"()": Repeated}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["repeated"]}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {"services": {"level": level}, "projections": {"level": level}, "aiohttp.access": {"level": "ERROR"}},
        }
    )
