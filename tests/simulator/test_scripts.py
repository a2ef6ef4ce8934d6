"""What becomes of a simulated call follows from the seed, our call id and the attempt alone."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.network import Network, WrongSettingsError
from services.simulator.script import Script, script_of

RATES = st.floats(0, 1)
MISBEHAVING = st.builds(
    lambda seed, late, double, reorder, lose: Network(seed=seed, late_rate=late, double_rate=double, reorder_rate=reorder, lose_rate=lose),
    st.integers(0, 100),
    RATES,
    RATES,
    RATES,
    RATES,
)


def scripts(network: Network, count: int = 2_000) -> list[Script]:
    return [script_of(network, str(UUID(int=i)), 1) for i in range(count)]


@given(MISBEHAVING, st.uuids(), st.integers(1, 5))
def test_the_same_seed_call_and_attempt_give_the_same_script(network: Network, call_id: UUID, attempt: int) -> None:
    assert script_of(network, str(call_id), attempt) == script_of(network, str(call_id), attempt)


@given(MISBEHAVING, st.uuids())
def test_a_call_moves_forward_only_ends_last_and_sends_its_callbacks_in_time(network: Network, call_id: UUID) -> None:
    script = script_of(network, str(call_id), 1)
    times = [step.after_seconds for step in script.steps]
    assert times == sorted(times)
    assert script.steps[-1].status == "ended"
    assert [c.after_seconds for c in script.callbacks] == sorted(c.after_seconds for c in script.callbacks)


def test_another_seed_or_attempt_is_another_script() -> None:
    call = str(UUID(int=7))
    assert len({script_of(Network(seed=seed), call, attempt).ended_after_seconds for seed in (1, 2) for attempt in (1, 2)}) == 4


def test_outcomes_come_in_their_shares() -> None:
    reasons = Counter(
        script.ended_reason
        for script in scripts(Network(answer_share=1, voicemail_share=1, busy_share=2, no_answer_share=0, failure_share=0))
    )
    assert 0.2 < reasons["voicemail"] / 2_000 < 0.3
    assert 0.45 < reasons["customer-busy"] / 2_000 < 0.55
    assert reasons["customer-did-not-answer"] == 0


def test_a_changed_rate_of_misbehaviour_leaves_the_calls_as_they_were() -> None:
    calm, wild = scripts(Network()), scripts(Network(late_rate=0.5, double_rate=0.5, reorder_rate=0.5, lose_rate=0.5))
    assert [(s.steps, s.ended_reason, s.cost) for s in calm] == [(s.steps, s.ended_reason, s.cost) for s in wild]


def test_callbacks_misbehave_at_their_rates() -> None:
    sent = [callback for script in scripts(Network(late_rate=0.2, double_rate=0.1)) for callback in script.callbacks]
    kinds = Counter(callback.misbehaves for callback in sent)
    assert 0.15 < kinds["late"] / len(sent) < 0.25
    assert 0.06 < kinds["doubled"] / len(sent) < 0.13
    assert all(script.callbacks == () for script in scripts(Network(lose_rate=1), 50))


def test_without_misbehaviour_the_callbacks_tell_the_steps_and_then_report() -> None:
    for script in scripts(Network(), 200):
        assert [c.status for c in script.callbacks] == [*(step.status for step in script.steps), None]


def test_answers_come_at_their_rates() -> None:
    answers = Counter(script.answer for script in scripts(Network(refuse_rate=0.3, drop_answer_rate=0.5)))
    assert 0.25 < answers["refused"] / 2_000 < 0.35
    assert 0.3 < answers["dropped"] / 2_000 < 0.4


@pytest.mark.parametrize("changes", [{"no_such": 1}, {"lose_rate": 2}, {"ring_seconds_min": 99}, {"time_scale": 0}, {"seed": "x"}])
def test_wrong_settings_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WrongSettingsError):
        Network().changed(changes)


def test_the_environment_sets_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_TIME_SCALE", "600")
    monkeypatch.setenv("SIMULATOR_PORT", "8090")
    assert Network.load().changed({"seed": 9}) == Network(seed=9, time_scale=600)
