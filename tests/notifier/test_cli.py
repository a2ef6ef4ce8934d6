"""The commands beside the service: an org's secret, and the dead, listed and sent again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from services.notifier.bootstrap import own_store
from services.notifier.cli import run_command
from services.notifier.intake import Intake
from services.notifier.outbox import Failed, Outbox
from services.notifier.settings import NotifierSettings
from services.runtime.webhook_signing import org_secret
from tests.notifier.given import NOW, event, ready
from tests.support.clock import ManualClock

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str]:
        code = run_command(list(arguments), ManualClock())
        return code, capsys.readouterr().out

    return run


def test_an_orgs_secret_is_printed_and_stays(run: Run, tmp_path: Path) -> None:
    code, first = run("secret", "--org", "acme")
    assert (code, first) == run("secret", "--org", "acme")
    assert first.strip() == org_secret((tmp_path / "webhook-secret").read_bytes(), "acme")
    assert run("secret", "--org", "other")[1] != first


def test_a_secret_that_is_set_is_the_one_that_counts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", "ours")
    assert run("secret", "--org", "acme") == (0, org_secret(b"ours", "acme") + "\n")


async def _two_dead(settings: NotifierSettings) -> None:
    async with own_store(settings) as database:
        intake, outbox = Intake(database), Outbox(database)
        await intake.place(0, NOW, 60)
        facts = [*ready(), event("CampaignStarted"), event("CampaignArchived")]
        told = await intake.take_in(0, 0, len(facts), facts, NOW)
        await outbox.settle([], [Failed(message.id, 3, NOW.timestamp(), None, "answered 500") for message in told])


def test_the_dead_are_listed_and_sent_again(run: Run, tmp_path: Path) -> None:
    asyncio.run(_two_dead(NotifierSettings(data_dir=tmp_path)))
    lines = [line.split("\t") for line in run("dead", "list")[1].splitlines()]
    assert [line[3:] for line in lines] == [
        ["1", "campaign.started", "2030-01-01T09:00:00.000Z", "3", "answered 500"],
        ["2", "campaign.archived", "2030-01-01T09:00:00.000Z", "3", "answered 500"],
    ]
    assert run("dead", "list", "--org", "other") == (0, "")
    assert run("dead", "replay", "--org", "other") == (1, "0\n")
    assert run("dead", "replay", lines[0][0]) == (0, "1\n")
    assert run("dead", "replay", "--all") == (0, "1\n")
    assert run("dead", "list") == (0, "")


@pytest.mark.parametrize("arguments", [["dead", "replay"], ["dead"], ["secret"], ["other"], ["dead", "replay", "x", "--all"]])
def test_a_command_that_is_not_whole_is_refused(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        run(*arguments)
