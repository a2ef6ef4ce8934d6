"""For any log that the engine writes: counters equal a recount, doubles change nothing, and no batch split shows."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from events.calls import RANK
from tests.engine.test_properties import STEPS, play
from tests.projections.given import Rows, counters, folded, records, spread

cuts = st.sets(st.integers(0, 400))


@settings(max_examples=80, deadline=None)
@given(STEPS, cuts)
def test_how_the_log_is_cut_into_batches_does_not_show(given_steps: list[tuple[object, ...]], at: set[int]) -> None:
    log = records(play(given_steps).log)
    edges = [0, *sorted(cut for cut in at if 0 < cut < len(log)), len(log)]
    rows = Rows()
    for start, end in pairwise(edges):
        rows.fold(log[start:end])
    assert rows.seen() == folded(log).seen()


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_after_every_event_the_counters_equal_a_recount_and_states_never_go_back(given_steps: list[tuple[object, ...]]) -> None:
    rows, ranks, versions = Rows(), {}, {}  # type: ignore[var-annotated]
    for record in records(play(given_steps).log):
        rows.fold([record])
        assert {key: counters(campaign) for key, campaign in rows.campaigns.items()} == rows.recounted()
        for key, call in rows.calls.items():
            assert RANK[call.status] >= ranks.get(key, 0)
            ranks[key] = RANK[call.status]
        for key, campaign in rows.campaigns.items():
            assert campaign.version >= versions.get(key, 0)
            versions[key] = campaign.version
            number = campaign.calls_scheduled + campaign.calls_queued + campaign.calls_in_progress + campaign.calls_ended
            assert number == campaign.total - campaign.first_position
            assert campaign.connected <= campaign.dialed <= number
            assert campaign.calls_ended_voicemail <= campaign.calls_ended


@settings(max_examples=100, deadline=None)
@given(STEPS, st.data())
def test_an_event_that_comes_again_at_any_later_time_changes_nothing(given_steps: list[tuple[object, ...]], data: st.DataObject) -> None:
    log = records(spread(play(given_steps).log))
    doubled = list(log)
    for number in sorted(data.draw(st.sets(st.integers(0, max(0, len(log) - 1)), max_size=6)), reverse=True) if log else ():
        doubled.insert(data.draw(st.integers(number + 1, len(log))), log[number])
    assert folded(doubled).seen() == folded(log).seen()


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_a_whole_stretch_of_the_log_that_comes_again_changes_nothing(given_steps: list[tuple[object, ...]], data: st.DataObject) -> None:
    log = records(spread(play(given_steps).log))
    start = data.draw(st.integers(0, len(log)))
    end = data.draw(st.integers(start, len(log)))
    rows = Rows().fold(log[:end])
    before = rows.seen()
    assert rows.fold(log[start:end]).seen() == before
