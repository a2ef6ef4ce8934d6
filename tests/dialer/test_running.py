"""The dialer on real Kafka, a real read model and a provider over HTTP: in this process, and as processes that are stopped and killed."""

import asyncio

from infra.kafka.broker import Broker
from services.runtime.settings import Settings
from tests.dialer.engine_by_hand import EngineByHand, engine_by_hand
from tests.dialer.given import begun
from tests.dialer.running import Provider, process, running, started
from tests.support.eventually import eventually


async def test_a_queued_call_is_claimed_and_once_granted_placed_once(settings: Settings, engine: EngineByHand, provider: Provider) -> None:
    await engine.create(2)
    async with running(settings, provider):
        await engine.queue(0, 1)
        claims = await engine.claims_sent(2)
        assert (await provider.stats())["posts"] == 0
        await engine.grant(claims[0])
        (outcome,) = await engine.outcomes_said(1)
        assert (outcome.outcome, outcome.claim_id) == ("placed", claims[0].id)
        assert (await provider.stats())["calls"] == {claims[0].call_id: {"1": 1}}


async def test_a_call_is_claimed_only_when_the_read_model_has_passed_its_event(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    async with running(settings, provider):
        await engine.queue(0)
        await engine.claims_sent(1)
        engine.holds_the_read_model_back = True
        await engine.queue(1)
        await asyncio.sleep(0.3)
        assert len(engine.claims()) == 1
        await engine.let_the_read_model_catch_up()
        assert (await engine.claims_sent(2))[1].call_id != engine.claims()[0].call_id


async def test_what_was_claimed_is_not_claimed_again_after_a_clean_stop(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(3)
    async with running(settings, provider):
        with begun(engine.grants_all()):
            await engine.queue(0, 1)
            await engine.outcomes_said(2)
    async with running(settings, provider):
        await engine.queue(2)
        claims = await engine.claims_sent(3)
        await asyncio.sleep(0.2)
        assert len({claim.call_id for claim in claims}) == len(engine.claims()) == 3


async def test_a_claim_is_acted_upon_by_its_claimant_whoever_owns_the_partition_by_then(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(1)
    async with running(settings, provider), running(settings, provider, port=settings.projector_port):
        await engine.queue(0)
        (claim,) = await engine.claims_sent(1)
        async with running(settings, provider, port=settings.engine_port):
            await engine.grant(claim)
            assert [outcome.outcome for outcome in await engine.outcomes_said(1)] == ["placed"]
    assert (await provider.stats())["posts"] == 1


async def test_an_unknown_outcome_is_resolved_by_a_lookup(settings: Settings, engine: EngineByHand, provider: Provider) -> None:
    provider.simulator.network = provider.simulator.network.changed({"drop_answer_rate": 1, "time_scale": 50})
    await engine.create(1)
    async with running(settings, provider):
        await engine.queue(0)
        await engine.grant((await engine.claims_sent(1))[0])
        assert [outcome.outcome for outcome in await engine.outcomes_said(1)] == ["unknown"]
        await engine.unknown(0)
        reports = await eventually(engine.reports_made)
        assert reports[0].provider_call_id is not None
    assert (await provider.stats())["posts"] == 1


async def test_sigterm_waits_for_the_request_under_way_and_gives_the_other_claims_back(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    provider.gate.clear()
    async with process(settings, provider) as child:
        await engine.queue(0, 1)
        claims = await engine.claims_sent(2)
        await engine.grant(claims[0])
        await eventually(lambda: asyncio.sleep(0, provider.asked))
        stopping = asyncio.create_task(child.stop())
        assert [(said.outcome, said.claim_id) for said in await engine.outcomes_said(1)] == [("not-placed", claims[1].id)]
        provider.gate.set()
        assert await stopping
        assert child.exit_code == 0
        assert [said.outcome for said in await engine.outcomes_said(2)] == ["not-placed", "placed"]
    assert (await provider.stats())["posts"] == 1


async def test_a_claim_granted_after_its_claimant_was_killed_is_acted_upon_by_nobody(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    async with process(settings, provider) as child:
        await engine.queue(0)
        (claim,) = await engine.claims_sent(1)
        child.kill()
        await started(child)
        await engine.grant(claim)
        await engine.queue(1)
        while len({claim.call_id for claim in engine.claims()}) < 2:
            await engine.claims_sent(len(engine.claims()) + 1)
        assert (await provider.stats())["posts"] == 0


async def test_a_dialer_killed_while_it_waits_for_the_provider_never_asks_twice(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    provider.gate.clear()
    async with process(settings, provider) as child:
        with begun(engine.grants_all()):
            await engine.queue(0)
            await eventually(lambda: asyncio.sleep(0, provider.asked))
            child.kill()
            provider.gate.set()
            await started(child)
            await engine.queue(1)
            await engine.outcomes_said(1)
    assert provider.asked == 2
    assert (await provider.stats())["doubledPosts"] == 0


async def test_while_kafka_is_away_an_outcome_waits_and_is_said_when_it_is_back(
    settings: Settings, own_broker: Broker, provider: Provider
) -> None:
    own = settings.model_copy(update={"kafka_bootstrap_servers": own_broker.bootstrap_servers})
    provider.gate.clear()
    async with engine_by_hand(own) as engine, process(own, provider) as child:
        await engine.create(2)
        await engine.queue(0)
        await engine.grant((await engine.claims_sent(1))[0])
        await eventually(lambda: asyncio.sleep(0, provider.asked))
        own_broker.kill()
        provider.gate.set()
        await eventually(provider.stats, lambda stats: stats["posts"] == 1)
        own_broker.start()
        assert [said.outcome for said in await engine.outcomes_said(1)] == ["placed"]
        await engine.queue(1)
        await engine.claims_sent(2)
        own_broker.kill()
        assert await child.stop()
        assert child.exit_code == 0


async def test_killed_under_load_it_goes_on_and_no_call_is_placed_twice(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    calls = 100
    await engine.create(calls + 1)
    async with process(settings, provider) as child:
        with begun(engine.grants_all()), begun(engine.queue(*range(calls))) as queueing:
            for some in (15, 45):
                await engine.outcomes_said(some)
                child.kill()
                await started(child)
            await queueing
            await engine.queue(calls)
            await eventually(lambda: asyncio.sleep(0, len(engine.granted)), lambda granted: granted == calls + 1, 40)
            last_life = str(engine.claims_of(calls)[0].data.to_wire()["claimant"])
            await eventually(lambda: every_grant_has_an_outcome(engine, last_life), seconds=40)
    stats = await provider.stats()
    assert stats["doubledPosts"] == 0
    assert max(engine.placed().values()) == 1
    assert len(engine.placed()) <= stats["posts"] <= calls + 1


async def every_grant_has_an_outcome(engine: EngineByHand, claimant: str) -> bool:
    granted = set(engine.granted.values())
    own = {claim.id for claim in engine.claims() if claim.data.to_wire()["claimant"] == claimant and claim.id in granted}
    return own <= {outcome.claim_id for outcome in engine.outcomes()}
