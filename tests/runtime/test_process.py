"""The life of a process: what its exit code and its last words say."""

import asyncio
import resource
import signal
import subprocess
import sys
import time

import pytest

from services.runtime import process

_HEAD = """
import asyncio
from services.runtime.errors import StartupError
from services.runtime.process import run_service
from services.runtime.settings import Settings
"""
UNTIL_STOPPED = (
    _HEAD
    + """
async def main(settings, stop):
    print("up", flush=True)
    await stop.wait()
run_service(Settings, main)
"""
)
CANNOT_START = (
    _HEAD
    + """
async def main(settings, stop):
    raise StartupError("no Kafka answers: start one")
run_service(Settings, main)
"""
)
CRASHES = (
    _HEAD
    + """
async def main(settings, stop):
    raise ValueError("a bug")
run_service(Settings, main)
"""
)
OPEN_FILES = (
    _HEAD
    + """
import resource
async def main(settings, stop):
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
run_service(Settings, main)
"""
)
PART_ENDS = (
    _HEAD
    + """
from services.runtime.process import until_stopped_or_failed
async def part():
    raise OSError("gone")
async def main(settings, stop):
    await until_stopped_or_failed(stop, part(), stop.wait())
run_service(Settings, main)
"""
)


def _run(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False, env=environment or None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_exit_code_0(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", UNTIL_STOPPED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert process.wait(10) == 0
    process.stdout.close()


def test_one_that_can_not_start_says_so_in_one_line_and_exits_2() -> None:
    done = _run(CANNOT_START)
    assert done.returncode == 2
    assert done.stderr == "no Kafka answers: start one\n"


def test_a_wrong_variable_is_one_line_and_exit_code_2() -> None:
    done = _run(UNTIL_STOPPED, API_PORT="many", PYTHONPATH=":".join(sys.path))
    assert done.returncode == 2
    assert done.stderr.startswith("wrong setting: API_PORT")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("program", "words"), [(CRASHES, "ValueError: a bug"), (PART_ENDS, "OSError: gone")])
def test_a_fault_is_logged_and_exits_1(program: str, words: str) -> None:
    began_at = time.monotonic()
    done = _run(program)
    assert done.returncode == 1
    assert words in done.stderr
    assert '"action":"crash"' in done.stderr
    assert time.monotonic() - began_at < 20


async def test_a_part_that_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CANCEL_AGAIN_SECONDS", 0.01)
    stop, swallowed = asyncio.Event(), 0

    async def part() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                stop.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1

    await process.until_stopped_or_failed(stop, part())
    assert swallowed == 2


def test_a_service_may_open_as_many_files_as_the_system_lets_it() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = subprocess.run(
        [sys.executable, "-c", OPEN_FILES],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)),
    )
    assert int(said.stdout) == min(65_536, hard) > 256
