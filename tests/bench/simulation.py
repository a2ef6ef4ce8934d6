"""Owns how the events of many campaigns come to stand one after the other: each as a sliding window of its concurrency, on one clock."""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from heapq import heappop, heappush
from random import Random

from events.ids import call_id_of, campaign_id_of
from tests.bench.courses import FREES_ITS_SLOT, MAY_COME_LATE, Course, draw_course
from tests.bench.event_templates import event_templates
from tests.bench.instants import instant_bytes
from tests.bench.plans import CampaignPlan

_ORG_LIMIT = 100
_MOST_INLINE = 4_000
_PART_EVERY_MS = 200
_PAUSE_MS = 60_000
_CITIES = (b"London", b"Paris", b"Lisbon", b"Oslo", b"San Francisco", b"Montevideo")
_NAMES = (b"Ada Lovelace", b"Grace Hopper", b"Alan Turing", b"Barbara Liskov", b"Edsger Dijkstra", b"Mary Shaw")

Fields = dict[bytes, bytes]
Emit = Callable[[bytes, bytes], None]
"""Takes the key and the value of the next record."""
Action = Callable[[], None]


class _Campaign:
    __slots__ = (
        "active",
        "dispatched",
        "ended",
        "fields",
        "halfway",
        "id",
        "is_over",
        "is_ready",
        "org",
        "paused",
        "plan",
        "scheduled",
        "started",
    )

    def __init__(self, plan: CampaignPlan, org: "_Org", campaign_id: str, fields: Fields) -> None:
        self.plan, self.org, self.id, self.fields = plan, org, campaign_id, fields
        self.scheduled = self.dispatched = self.active = self.ended = 0
        self.halfway = plan.calls // 2
        self.started = self.is_over = self.is_ready = self.paused = False

    @property
    def may_dial(self) -> bool:
        complete = self.scheduled == self.plan.calls
        return complete and not self.paused and not self.is_over and self.active < self.plan.limit and self.dispatched < self.plan.calls


class _Org:
    __slots__ = ("active", "key", "ready")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.active = 0
        self.ready: deque[_Campaign] = deque()


class Simulation:
    """Emits the log of the plans until `run` has seen enough. The same seed makes the same log.

    `late`: the share of the provider's callbacks that come right after what came next to the same call.
    """

    def __init__(self, plans: Iterable[CampaignPlan], draws: Random, late: float, emit: Emit) -> None:
        self._draws = draws
        self._late = late
        self._emit = emit
        self._templates = event_templates()
        self._orgs: dict[str, _Org] = {}
        self._agenda: list[tuple[int, int, Action]] = []
        self._order = 0
        self._now = 0
        for plan in plans:
            self._at(plan.created_ms, partial(self._create, plan))

    def run(self, enough: Callable[[], bool]) -> None:
        """Until nothing is left to happen, or `enough` says so after some moment."""
        agenda = self._agenda
        while agenda and not enough():
            self._now, _, act = heappop(agenda)
            act()

    def _at(self, at: int, act: Action) -> None:
        self._order += 1
        heappush(self._agenda, (at, self._order, act))

    def _uuid(self) -> bytes:
        digits = b"%032x" % self._draws.getrandbits(128)
        return b"%b-%b-4%b-8%b-%b" % (digits[:8], digits[8:12], digits[13:16], digits[17:20], digits[20:])

    def _record(self, org: _Org, kind: str, fields: Fields) -> None:
        fields[b"id"] = self._uuid()
        fields[b"at"] = instant_bytes(self._now)
        self._emit(org.key, self._templates[kind] % fields)

    def _create(self, plan: CampaignPlan) -> None:
        org = self._orgs.setdefault(plan.org, _Org(plan.org.encode()))
        command = self._uuid()
        campaign_id = campaign_id_of(plan.org, command.decode())
        fields: Fields = {
            b"org": org.key,
            b"campaign": campaign_id.encode(),
            b"command": command,
            b"hash": b"%064x" % self._draws.getrandbits(256),
            b"name": b"Campaign of %d" % plan.calls,
            b"limit": b"%d" % plan.limit,
            b"contacts": b"%d" % plan.calls,
        }
        campaign = _Campaign(plan, org, campaign_id, fields)
        self._record(org, "created", fields)
        self._schedule(campaign, 0)

    def _schedule(self, campaign: _Campaign, part: int) -> None:
        """The contacts: all at once, or of a large campaign a part of them and the next one soon."""
        org, first = campaign.org, campaign.scheduled
        kind = "scheduled" if campaign.plan.calls <= _MOST_INLINE else "scheduled-in-part"
        fields = {**campaign.fields, b"part": b"%d" % part}
        for position in range(first, min(campaign.plan.calls, first + _MOST_INLINE)):
            lot = self._draws.randrange(36)
            fields[b"call"] = call_id_of(campaign.id, position).encode()
            fields[b"position"] = b"%d" % position
            fields[b"number"] = b"+1415%07d" % (position % 10_000_000)
            fields[b"customer"], fields[b"city"] = _NAMES[lot % 6], _CITIES[lot // 6]
            self._record(org, kind, fields)
            campaign.scheduled += 1
        if campaign.scheduled < campaign.plan.calls:
            self._at(self._now + _PART_EVERY_MS, lambda: self._schedule(campaign, part + 1))
            return
        self._record(org, "completed", campaign.fields)
        self._make_ready(campaign)
        self._dispatch(org)

    def _make_ready(self, campaign: _Campaign) -> None:
        if campaign.may_dial and not campaign.is_ready:
            campaign.is_ready = True
            campaign.org.ready.append(campaign)

    def _dispatch(self, org: _Org) -> None:
        while org.active < _ORG_LIMIT and org.ready:
            campaign = org.ready[0]
            if not campaign.may_dial:
                org.ready.popleft()
                campaign.is_ready = False
                continue
            if not campaign.started:
                campaign.started = True
                self._record(org, "started", campaign.fields)
            self._dial(campaign)
            if campaign.dispatched == campaign.halfway:
                self._befall(campaign)

    def _dial(self, campaign: _Campaign) -> None:
        fields: Fields = {
            b"org": campaign.org.key,
            b"campaign": campaign.fields[b"campaign"],
            b"call": call_id_of(campaign.id, campaign.dispatched).encode(),
            b"claimant": b"Qm9uZHMgb2YgdHJ1c3Q",
            b"provider_call": self._uuid(),
        }
        campaign.dispatched += 1
        campaign.active += 1
        campaign.org.active += 1
        _Call(self, campaign, fields, draw_course(self._draws)).step()

    def _befall(self, campaign: _Campaign) -> None:
        if campaign.plan.fate == "paused":
            campaign.paused = True
            self._by_user(campaign, "paused")
            self._at(self._now + _PAUSE_MS, lambda: self._resume(campaign))
        elif campaign.plan.fate == "cancelled":
            campaign.is_over = True
            self._by_user(campaign, "cancelled")
            for position in range(campaign.dispatched, campaign.plan.calls):
                self._record(campaign.org, "dropped", {**campaign.fields, b"call": call_id_of(campaign.id, position).encode()})
            self._by_user(campaign, "rejected")

    def _resume(self, campaign: _Campaign) -> None:
        campaign.paused = False
        self._by_user(campaign, "resumed")
        self._make_ready(campaign)
        self._dispatch(campaign.org)

    def _by_user(self, campaign: _Campaign, kind: str) -> None:
        campaign.fields[b"command"] = self._uuid()
        campaign.fields[b"hash"] = b"%064x" % self._draws.getrandbits(256)
        self._record(campaign.org, kind, campaign.fields)

    def _freed(self, campaign: _Campaign) -> None:
        campaign.active -= 1
        campaign.ended += 1
        campaign.org.active -= 1
        if campaign.ended == campaign.plan.calls:
            self._record(campaign.org, "over", campaign.fields)
        self._make_ready(campaign)
        self._dispatch(campaign.org)


class _Call:
    """A call under way; `step` makes its next event happen and plans the one after."""

    __slots__ = ("_campaign", "_course", "_fields", "_held", "_next", "_world")

    def __init__(self, world: Simulation, campaign: _Campaign, fields: Fields, course: Course) -> None:
        self._world, self._campaign, self._fields, self._course = world, campaign, fields, course
        fields[b"reason"] = course.reason.encode()
        fields[b"cost"] = b"%.4f" % course.cost
        fields[b"summary"] = b"The call ended: " + fields[b"reason"]
        self._next = 0
        self._held: str | None = None

    def step(self) -> None:
        world, steps = self._world, self._course.steps
        kind = steps[self._next][0]
        self._next += 1
        if self._next < len(steps):
            world._at(world._now + steps[self._next][1], self.step)
        if self._held is None and kind in MAY_COME_LATE and world._draws.random() < world._late:
            self._held = kind
            return
        self._tell(kind)
        if self._held is not None:
            held, self._held = self._held, None
            self._tell(held)
        if kind in FREES_ITS_SLOT:
            world._freed(self._campaign)

    def _tell(self, kind: str) -> None:
        world, fields = self._world, self._fields
        now = world._now
        if kind != "queued":
            fields[b"command"] = world._uuid()
        if kind == "claimed":
            fields[b"valid_until"] = instant_bytes(now + 30_000)
            fields[b"outcome_due_at"] = instant_bytes(now + 60_000)
            fields[b"ends_by"] = instant_bytes(now + 3_660_000)
        elif kind == "picked-up":
            fields[b"started_at"] = instant_bytes(now)
        elif kind in ("ended", "talked"):
            fields[b"report_due_at"] = instant_bytes(now + 600_000)
            fields.setdefault(b"started_at", instant_bytes(now))
        world._record(self._campaign.org, kind, fields)
