"""A log line is one JSON object with its action."""

import json
import logging
import sys

from services.runtime.logging import JsonFormatter, Repeated


def _line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line: dict[str, object] = json.loads(text)
    return line


def test_a_line_holds_the_message_and_what_the_call_names() -> None:
    record = logging.makeLogRecord(
        {"name": "services.engine", "levelname": "INFO", "msg": "took over %s", "args": (3,), "action": "take-over"}
    )
    line = _line(record)
    assert line["message"] == "took over 3"
    assert line["action"] == "take-over"
    assert line["level"] == "INFO"


def test_an_exception_stays_on_the_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        line = _line(logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()}))
    assert "ValueError: first" in str(line["exception"])


def test_a_library_says_the_same_thing_once_in_ten_seconds_and_we_say_all() -> None:
    throttle = Repeated(10)

    def passes(name: str, created: float, line: int = 1) -> bool:
        return throttle.filter(logging.makeLogRecord({"name": name, "created": created, "pathname": "p", "lineno": line}))

    assert [passes("aiokafka.conn", at) for at in (100.0, 105.0, 110.0)] == [True, False, True]
    assert passes("aiokafka.conn", 111.0, line=2)
    assert [passes("services.engine", at) for at in (100.0, 100.1)] == [True, True]
