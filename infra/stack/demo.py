"""Owns the demonstration: one campaign from created to ended, with its counters moving."""

import asyncio
import json
import sys
import time
from typing import Any

from infra.stack.client import ApiClient
from infra.stack.errors import StackError

CUSTOMERS = 200
_LIMIT_SECONDS = 300.0
_BAR_WIDTH = 30
COUNTERS = {
    "scheduled": "callsCounterScheduled",
    "queued": "callsCounterQueued",
    "in progress": "callsCounterInProgress",
    "ended": "callsCounterEnded",
}


def demo_campaign(customers: int = CUSTOMERS) -> dict[str, Any]:
    """A campaign to numbers that belong to nobody."""
    return {
        "name": f"Demo of {customers} calls",
        "assistantId": "demo-assistant",
        "phoneNumberId": "demo-number",
        "maxConcurrency": 50,
        "customers": [{"number": f"+1555{i:07d}", "name": f"Customer {i + 1}"} for i in range(customers)],
    }


async def run_demo(api: ApiClient) -> None:
    """Create the campaign, show it until it has ended, print what is left; raises `StackError` where the numbers are not right."""
    created = await api.create_campaign(demo_campaign())
    print(f"campaign {created['id']}: {CUSTOMERS} customers, {demo_campaign()['maxConcurrency']} calls at a time")
    campaign = await _watch(api, created["id"])
    print(json.dumps({key: value for key, value in campaign.items() if key not in ("calls", "customers")}, indent=2))
    if found := problems(campaign):
        raise StackError("; ".join(found))


async def _watch(api: ApiClient, campaign_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _LIMIT_SECONDS
    shown = ""
    while True:
        campaign = await api.campaign(campaign_id)
        line = progress_line(campaign)
        if sys.stdout.isatty():
            print(f"\r\x1b[2K{line}", end="", flush=True)
        elif line != shown:
            print(line, flush=True)
        shown = line
        if sum(counts(campaign).values()) != CUSTOMERS:
            raise StackError(f"the counters do not add up to {CUSTOMERS} calls: {line}")
        if campaign["status"] == "ended":
            if sys.stdout.isatty():
                print()
            return campaign
        if time.monotonic() > deadline:
            raise StackError(f"the campaign did not end within {_LIMIT_SECONDS:.0f} s; it stands at: {line}")
        await asyncio.sleep(0.25)


def counts(campaign: dict[str, Any]) -> dict[str, int]:
    """How many calls are in each state."""
    return {label: int(campaign.get(counter, 0)) for label, counter in COUNTERS.items()}


def progress_line(campaign: dict[str, Any]) -> str:
    """A bar of the calls that are over, and the counters."""
    calls = counts(campaign)
    filled = _BAR_WIDTH * calls["ended"] // max(sum(calls.values()), 1)
    told = "  ".join(f"{label} {count:3d}" for label, count in calls.items())
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {campaign['status']:<11} {told}"


def problems(campaign: dict[str, Any]) -> list[str]:
    """What is not as it must be at the end of a campaign that nobody stopped."""
    calls = counts(campaign)
    found = []
    if campaign.get("endedReason") != "campaign.ended.success":
        found.append(f"the campaign ended with {campaign.get('endedReason')}, not campaign.ended.success")
    if sum(calls.values()) != CUSTOMERS or calls["ended"] != CUSTOMERS:
        found.append(f"the counters do not add up to {CUSTOMERS} ended calls: {calls}")
    return found
