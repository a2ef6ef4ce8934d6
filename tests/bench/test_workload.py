"""The log that is measured with is one that the engine could have written, and the fold of it does not depend on its flaws."""

from collections import Counter
from pathlib import Path
from random import Random

import orjson
import pytest

from events.codec import decode_event, encode_event, event_of, read_event
from events.facts import FACTS
from projections.campaign_progress.fold import Progress
from projections.reading import read_events
from services.runtime.kafka import partition_of
from tests.bench.plans import zipf_plans
from tests.bench.reference import ReferenceFold, call_line, campaign_line, digest, reference_digests
from tests.bench.workload import DUPLICATES, OUT_OF_ORDER, PARTITIONS, Workload, equal_workload, zipf_workload

EVENTS = 60_000
_RANK = {"CallPlaced.v1": 1, "CallRinging.v1": 2, "CallStarted.v1": 3, "CallForwarded.v1": 4, "CallEnded.v1": 5}


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return zipf_workload(tmp_path_factory.mktemp("workload"), 7, EVENTS)


def test_the_models_read_every_event_and_write_it_as_it_stands(workload: Workload) -> None:
    seen = Counter[str]()
    for record in workload.records():
        written = read_event(record.value)
        event = event_of(written)
        seen[event.data.type_name] += 1
        if seen[event.data.type_name] <= 50:
            assert orjson.loads(encode_event(event, written["id"])) == orjson.loads(record.value)
    assert seen.total() == EVENTS
    assert len(seen) == 18
    assert set(seen) <= set(FACTS)


def test_a_record_stands_on_the_partition_of_its_org(workload: Workload) -> None:
    for record in workload.records(5_000):
        org_id = decode_event(record.value).org_id
        assert record.key.decode() == org_id
        assert record.partition == partition_of(org_id, PARTITIONS)
    assert {record.partition for record in workload.records()} == set(range(PARTITIONS))


def test_the_shares_of_what_comes_twice_and_out_of_order_are_as_promised(workload: Workload) -> None:
    ids = Counter[str]()
    furthest: dict[str, int] = {}
    late = 0
    for record in workload.records():
        event = read_event(record.value)
        ids[event["id"]] += 1
        rank = _RANK.get(event["type"])
        if ids[event["id"]] == 1 and rank is not None:
            late += rank < furthest.get(event["callid"], 0)
            furthest[event["callid"]] = max(rank, furthest.get(event["callid"], 0))
    assert sum(count - 1 for count in ids.values()) / EVENTS == pytest.approx(DUPLICATES, rel=0.1)
    assert late / EVENTS == pytest.approx(OUT_OF_ORDER, rel=0.1)


def test_first_times_never_go_back(workload: Workload) -> None:
    seen, latest = set(), ""
    for record in workload.records():
        event = read_event(record.value)
        if event["id"] not in seen:
            assert event["time"] >= latest
            seen.add(event["id"])
            latest = event["time"]


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (zipf_workload(tmp_path / name, seed, 3_000) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first.path.read_bytes() == again.path.read_bytes()
    assert first.path.read_bytes() != other.path.read_bytes()


def test_a_kept_log_is_not_made_again(tmp_path: Path) -> None:
    first = zipf_workload(tmp_path, 1, 3_000)
    made_at = first.path.stat().st_mtime_ns
    assert zipf_workload(tmp_path, 1, 3_000) == first
    assert first.path.stat().st_mtime_ns == made_at


def test_a_prefix_holds_the_first_records_and_a_cut_off_file_is_found(tmp_path: Path) -> None:
    workload = zipf_workload(tmp_path, 1, 3_000)
    assert list(workload.records(100)) == list(workload.records())[:100]
    workload.path.write_bytes(workload.path.read_bytes()[:-1])
    with pytest.raises(EOFError):
        list(workload.records())


def test_the_largest_campaigns_hold_as_much_as_zipf_says() -> None:
    sizes = sorted((plan.calls for plan in zipf_plans(300_000, Random(3))), reverse=True)
    assert sizes[0] / sizes[9] == pytest.approx(10, rel=0.1)
    assert sizes[0] / sizes[99] == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("batch", [1, 97, 5_000])
def test_our_fold_and_the_reference_come_to_the_same(workload: Workload, batch: int) -> None:
    events = 20_000
    assert _folded_by_ours(workload, events, batch) == reference_digests((r.value for r in workload.records()), [events])[events]


def test_neither_repeats_nor_late_callbacks_change_what_the_log_folds_to(workload: Workload) -> None:
    first_times, seen = [], set()
    for record in workload.records():
        event = read_event(record.value)
        if event["id"] not in seen:
            seen.add(event["id"])
            first_times.append((event["time"], _RANK.get(event["type"], 0), record.value))
    as_told, in_order = ReferenceFold(), ReferenceFold()
    for record in workload.records():
        as_told.fold(record.value)
    for _, _, value in sorted(first_times, key=lambda item: item[:2]):
        in_order.fold(value)
    assert digest(as_told.lines()) == digest(in_order.lines())


def test_equal_campaigns_differ_in_nothing_but_their_size(tmp_path: Path) -> None:
    large = equal_workload(tmp_path, 1, calls=6_000, campaign_calls=6_000, events=12_000)
    small = equal_workload(tmp_path, 1, calls=6_000, campaign_calls=100, events=12_000)
    kinds = [Counter(read_event(record.value)["type"] for record in workload.records()) for workload in (large, small)]
    assert kinds[0]["CallScheduled.v1"] == pytest.approx(kinds[1]["CallScheduled.v1"], rel=0.01)
    assert kinds[0]["CallQueued.v1"] == pytest.approx(kinds[1]["CallQueued.v1"], rel=0.1)


def _folded_by_ours(workload: Workload, events: int, batch: int) -> str:
    progress = [Progress(partition, {}, {}) for partition in range(PARTITIONS)]
    for number, record in enumerate(workload.records(events), 1):
        fold = progress[record.partition]
        fold.fold(*read_events([record.value]))
        if number % batch == 0:
            for partition, settled in enumerate(progress):
                settled.settle()
                progress[partition] = Progress(partition, settled.campaigns, settled.calls)
    for settled in progress:
        settled.settle()
    lines = [call_line(c.id, c.status, c.ended_reason) for p in progress for c in p.calls.values()]
    lines += [
        campaign_line(c.id, (c.calls_scheduled, c.calls_queued, c.calls_in_progress, c.calls_ended, c.calls_ended_voicemail))
        for p in progress
        for c in p.campaigns.values()
    ]
    return digest(lines)
