"""Owns the table at the end of a run."""

from collections import Counter
from collections.abc import Mapping

from tests.chaos.rounds import Totals


def table(totals: Totals, seed: int, seconds: float, planted: Mapping[str, bool]) -> str:
    """What was done to the stacks and what came of it. `planted` says of each planted bug whether it was caught."""
    results = totals.results
    kinds = Counter(fault.kind for result in results for fault in result.round.faults)
    skipped = Counter(told.split(":")[0].removeprefix("skipped ") for result in results for told in result.skipped)
    recoveries = sorted(result.recovery_seconds for result in results) or [0.0]
    rows = [
        ("seed", str(seed)),
        ("rounds", f"{len(results)} in {seconds / 60:.1f} minutes"),
        *((f"fault {kind}", f"{count}" + (f", skipped {skipped[kind]}" if skipped[kind] else "")) for kind, count in sorted(kinds.items())),
        ("processes restarted", str(totals.restarts)),
        ("claims granted", str(totals.claims)),
        ("violations", str(sum(len(result.violations) for result in results))),
        ("recovery p50 / p99", f"{_percentile(recoveries, 50):.1f} s / {_percentile(recoveries, 99):.1f} s"),
        ("doubled dials", str(totals.doubled)),
        ("unknown", f"{100 * totals.unknown / max(1, totals.claims):.2f} % of claims"),
        ("dead letters", str(totals.dead_letters)),
        ("HTTP answers", ", ".join(f"{status}: {count}" for status, count in sorted(totals.statuses.items()))),
        ("planted bugs caught", f"{sum(planted.values())} of {len(planted)}" if planted else "not planted in this run"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"| {name:<{width}} | {value} |" for name, value in rows)


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
