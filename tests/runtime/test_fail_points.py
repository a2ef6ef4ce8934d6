"""Fail points: each stands in one place of the services, does nothing unless armed, and then does what was asked at the n-th passing."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime import fail_points
from services.runtime.errors import StartupError
from services.runtime.fail_points import FAIL_POINTS, VARIABLE, arm_fail_points, fail_point

_PASSING = """
import os
from services.runtime.process import run_service
from services.runtime.fail_points import fail_point
from services.runtime.settings import Settings

async def main(settings, stop):
    for number in range(3):
        print(number, flush=True)
        fail_point("engine.before-commit")

run_service(Settings, main)
"""


def _run(**environment: str) -> "subprocess.Popen[str]":
    inherited = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-c", _PASSING]
    return subprocess.Popen(command, env=inherited | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _passed_in_services() -> list[str]:
    found = []
    for file in Path("services").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fail_point":
                (name,) = node.args
                assert isinstance(name, ast.Constant), file
                found.append(str(name.value))
    return found


def test_every_fail_point_stands_in_exactly_one_place() -> None:
    assert sorted(_passed_in_services()) == sorted(FAIL_POINTS)


def test_without_the_variable_no_point_is_armed_and_the_process_runs_to_its_end() -> None:
    out, _ = (process := _run()).communicate(timeout=60)
    assert process.returncode == 0
    assert out.split() == ["0", "1", "2"]


def test_a_passing_that_is_not_armed_does_nothing() -> None:
    assert fail_points._armed == {}
    for name in FAIL_POINTS:
        fail_point(name)


def test_kill_is_kill_9_at_the_nth_passing() -> None:
    out, _ = (process := _run(**{VARIABLE: "engine.before-commit:kill:2"})).communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert out.split() == ["0", "1"]


def test_stop_waits_until_somebody_continues_the_process() -> None:
    process = _run(**{VARIABLE: "engine.before-commit:stop"})
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    assert out.split() == ["0", "1", "2"]


@pytest.mark.parametrize("spec", ["nowhere:kill", "engine.before-commit", "engine.before-commit:faint", "engine.before-commit:kill:soon"])
def test_what_can_not_be_read_keeps_the_process_from_starting(spec: str) -> None:
    with pytest.raises(StartupError, match=VARIABLE):
        arm_fail_points(spec)
    arm_fail_points("")
