"""What every `PartitionLog` promises, held by the one in memory and by the one on Kafka alike."""

import pytest

from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, Topic
from services.engine.ports import Batch, CommandRecord, DeadLetter, FencedError, PartitionLog
from tests.engine.logs import LogWorld


async def owner(world: LogWorld) -> PartitionLog:
    log = await world.new_owner()
    log.pause()
    await log.fence()
    log.resume(await log.committed())
    return log


async def polled(log: PartitionLog, count: int) -> list[CommandRecord]:
    found: list[CommandRecord] = []
    for _ in range(200):
        found += await log.poll(0.05, 100)
        if len(found) >= count:
            break
    return found


def batch(*events: bytes, positions: dict[Topic, int] | None = None) -> Batch:
    return Batch(events=[(b"org-1", event) for event in events], positions=positions or {})


async def test_a_batch_is_there_in_order_with_its_positions(world: LogWorld) -> None:
    log = await owner(world)
    await log.commit(batch(b"1", b"2", positions={CAMPAIGN_COMMANDS: 3}))
    await log.commit(batch(b"3", positions={CALL_COMMANDS: 1}))
    assert await world.events() == [b"1", b"2", b"3"]
    assert await log.committed() == {CAMPAIGN_COMMANDS: 3, CALL_COMMANDS: 1}


async def test_a_fenced_owner_writes_nothing_more(world: LogWorld) -> None:
    former = await owner(world)
    await former.commit(batch(b"1"))
    latter = await owner(world)
    with pytest.raises(FencedError):
        await former.commit(batch(b"zombie", positions={CAMPAIGN_COMMANDS: 9}))
    await latter.commit(batch(b"2"))
    assert await world.events() == [b"1", b"2"]
    assert (await latter.committed())[CAMPAIGN_COMMANDS] == 0


async def test_replay_gives_every_event_from_the_offset_on(world: LogWorld) -> None:
    log = await owner(world)
    await log.commit(batch(*(str(n).encode() for n in range(50))))
    latter = await owner(world)
    assert [value async for values in latter.replay(0) for value in values] == [str(n).encode() for n in range(50)]
    assert [value async for values in latter.replay(48) for value in values] == [b"48", b"49"]


async def test_a_successor_goes_on_where_the_last_committed_batch_ended(world: LogWorld) -> None:
    for number in range(4):
        await world.send(CAMPAIGN_COMMANDS, str(number).encode())
    first = await owner(world)
    assert len(await polled(first, 4)) == 4
    await first.commit(batch(b"x", positions={CAMPAIGN_COMMANDS: 2}))
    second = await owner(world)
    assert [record.value for record in await polled(second, 2)] == [b"2", b"3"]


async def test_users_commands_go_on_behind_calls_however_many_of_those_there_are(world: LogWorld) -> None:
    for number in range(30):
        await world.send(CALL_COMMANDS, f"call-{number}".encode())
    for number in range(3):
        await world.send(CAMPAIGN_COMMANDS, f"user-{number}".encode())
    log = await owner(world)
    found: list[bytes | None] = []
    while b"call-29" not in found:
        polled = [record.value or b"" for record in await log.poll(1, 2)]
        assert len(polled) <= 2
        assert polled == sorted(polled)
        found += polled
    assert found.index(b"user-2") < found.index(b"call-20")
    assert [value for value in found if value is not None and value.startswith(b"call")] == [f"call-{n}".encode() for n in range(30)]


async def test_a_paused_partition_gives_nothing(world: LogWorld) -> None:
    log = await owner(world)
    log.pause()
    await world.send(CAMPAIGN_COMMANDS, b"1")
    assert await log.poll(0.2, 10) == []


async def test_a_dead_letter_keeps_the_record_and_says_why_and_where_from(world: LogWorld) -> None:
    await world.send(CAMPAIGN_COMMANDS, b"{")
    log = await owner(world)
    record = (await polled(log, 1))[0]
    await log.commit(Batch(dead=[DeadLetter(record, "not JSON")], positions={CAMPAIGN_COMMANDS: 1}))
    assert await world.dead() == [(b"{", {"reason": b"not JSON", "topic": b"campaign-commands", "partition": b"0", "offset": b"0"})]


async def test_an_org_belongs_to_one_partition(world: LogWorld) -> None:
    log = await world.new_owner()
    assert log.owns(world.org_of(0))
    assert not log.owns(world.org_of(1))
