"""Owns the logs that are folded: prefixes of a workload on topics of their own, each with the digest that it must come to."""

import asyncio
import json
from collections.abc import Iterable

from tests.bench.environment import RESULTS, BenchEnvironment
from tests.bench.folding.contestant import FoldLog
from tests.bench.log_writing import log_settings, write_log
from tests.bench.reference import reference_digests
from tests.bench.workload import Workload, equal_workload, zipf_workload

_KEPT = RESULTS / "logs"


async def zipf_logs(environment: BenchEnvironment, events: int, lengths: Iterable[int]) -> tuple[Workload, dict[int, FoldLog]]:
    """The whole log, of campaigns of all sizes, and its prefixes by their lengths."""
    workload = await asyncio.to_thread(zipf_workload, _KEPT, environment.seed, events)
    wanted = sorted(set(lengths))
    digests = await asyncio.to_thread(_digests, workload, wanted)
    return workload, {length: await _written(environment, workload, f"zipf{length}", length, digests[length]) for length in wanted}


async def equal_log(environment: BenchEnvironment, calls: int, campaign_calls: int, events: int) -> FoldLog:
    """So many calls in campaigns of one size."""
    workload = await asyncio.to_thread(equal_workload, _KEPT, environment.seed, calls, campaign_calls, events)
    digests = await asyncio.to_thread(_digests, workload, [events])
    return await _written(environment, workload, f"equal{campaign_calls}", events, digests[events])


async def _written(environment: BenchEnvironment, workload: Workload, name: str, events: int, digest: str) -> FoldLog:
    settings = log_settings(environment.bootstrap_servers, f"bench-{environment.directory.parent.name}-{name}")
    await write_log(settings, workload, events)
    return FoldLog(settings, events, digest)


def _digests(workload: Workload, lengths: list[int]) -> dict[int, str]:
    """By the reference fold; kept beside the log, which never changes."""
    path = workload.path.with_suffix(".digests.json")
    known = {int(length): digest for length, digest in json.loads(path.read_text()).items()} if path.exists() else {}
    if missing := set(lengths) - set(known):
        known |= reference_digests((record.value for record in workload.records(max(missing))), missing)
        path.write_text(json.dumps(known))
    return known
