"""The stack, with stand-ins for the services: ready inside, restarts what ends, leaves nothing behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.stack.child import Child
from infra.stack.errors import StackError
from infra.stack.plan import SERVICES, StackSettings, children_of, environment_of, require_free_ports
from infra.stack.stack import Stack
from services.runtime.settings import Settings
from tests.infra.services import answering, deaf_to_sigterm, that_cannot_start, that_crashes
from tests.support.eventually import eventually


def _stack(settings: Settings, said: list[str], *children: Child) -> Stack:
    return Stack(settings, {child.name: child for child in children}, said.append)


async def test_inside_all_are_ready_and_after_it_none_is_left(settings: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    async with _stack(settings, said, answering("one", tmp_path), answering("two", tmp_path)) as stack:
        assert all(child.runs() for child in stack.children.values())
    assert [child.exit_code for child in stack.children.values()] == [0, 0]
    assert said == []


async def test_a_service_that_is_killed_is_started_again_and_that_is_said(settings: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    async with _stack(settings, said, answering("one", tmp_path)) as stack:
        child = stack.children["one"]
        assert child.process is not None
        first = child.process.pid
        child.send(signal.SIGKILL)

        async def running_again() -> bool:
            return child.runs() and child.process is not None and child.process.pid != first

        await eventually(running_again)
    assert len(said) == 1
    assert said[0].startswith("the one ended (signal 9), started again in 0.5 s")


async def test_one_that_can_not_start_ends_the_stack_with_its_own_words(settings: Settings, tmp_path: Path) -> None:
    one = answering("one", tmp_path)
    with pytest.raises(StackError, match="the two can not start: no provider: set PROVIDER_URL"):
        async with _stack(settings, [], one, that_cannot_start("two", tmp_path)):
            pass
    assert not one.runs()


async def test_what_a_person_has_to_mend_is_told_before_what_crashed_for_it(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="the two can not start: no provider"):
        async with _stack(settings, [], that_crashes("one", tmp_path), that_cannot_start("two", tmp_path)):
            pass


async def test_of_a_log_record_the_end_of_its_exception_is_told(tmp_path: Path) -> None:
    child = that_crashes("one", tmp_path)
    child.log_file.parent.mkdir()
    child.log_file.write_text('{"message":"the process ends","exception":"Traceback ...\\nOSError: gone"}\n')
    assert child.last_words() == "OSError: gone"


async def test_one_that_crashes_again_and_again_at_the_start_ends_the_stack(settings: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(StackError, match="the one can not start: a bug"):
        async with _stack(settings, said, that_crashes("one", tmp_path)):
            pass
    assert [line.partition(" in ")[2].partition(";")[0] for line in said][:2] == ["0.5 s", "1 s"]


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = deaf_to_sigterm("deaf", tmp_path)
    child.start()

    async def up() -> bool:
        return child.last_words() == "up"

    await eventually(up)
    assert not await child.stop(within_seconds=0.2)
    assert child.exit_code == -signal.SIGKILL


def test_a_child_does_not_outlive_a_parent_that_is_killed() -> None:
    program = (
        "import subprocess, sys, time\n"
        "from infra.children import die_with_this_process\n"
        "child = subprocess.Popen(['sleep', '60'], preexec_fn=die_with_this_process(), start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    async def gone() -> bool:
        return _is_gone(child)

    asyncio.run(eventually(gone))


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z"


def test_a_port_in_use_is_one_line_that_names_the_setting(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.engine_port))
        taken.listen()
        with pytest.raises(StackError, match=f"port {settings.engine_port} of the engine is in use: .* ENGINE_PORT"):
            require_free_ports(settings)


def test_every_service_reads_the_same_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(settings).items():
        if name.lower() in Settings.model_fields:
            monkeypatch.setenv(name, value)
    assert Settings.load() == settings.model_copy(update={"start_from": None})


def test_each_service_is_a_child_with_its_log_and_its_port(settings: Settings) -> None:
    children = children_of(settings, ORG_CONCURRENCY_LIMIT="5")
    assert tuple(children) == SERVICES
    assert children["api"].ready_url == f"http://127.0.0.1:{settings.api_port}/health/ready"
    assert children["api"].environment["ORG_CONCURRENCY_LIMIT"] == "5"
    assert children["engine"].log_file == settings.data_dir / "logs" / "engine.log"


def test_a_cluster_that_is_named_is_used_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    assert StackSettings.load().brings_its_own_broker()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    assert not StackSettings.load().brings_its_own_broker()


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path) -> None:
    child = that_crashes("one", tmp_path)
    child.log_file.parent.mkdir()
    with child.log_file.open("wb") as log:
        log.truncate(17 * 1024 * 1024)
    child.start()
    assert child.process is not None
    child.process.wait()
    assert child.log_file.read_text() == "a bug\n"
    assert child.log_file.with_suffix(".old.log").exists()
