"""How the questions to customers' servers share what may be out at once."""

import asyncio
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from services.dialer.predial_turns import PredialTurns
from tests.dialer.given import settle


class Questions:
    """Questions that are out until they are ended."""

    def __init__(self, most: int) -> None:
        self.turns = PredialTurns(most)
        self.begun: list[tuple[str, str]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._ends: list[tuple[tuple[str, str], asyncio.Event]] = []

    async def ask(self, org_id: str, server: str = "host", times: int = 1) -> None:
        self.tasks += [asyncio.create_task(self._ask(org_id, server)) for _ in range(times)]
        await settle()

    async def _ask(self, org_id: str, server: str) -> None:
        async with self.turns.turn(org_id, server):
            end = ((org_id, server), asyncio.Event())
            self.begun.append(end[0])
            self._ends.append(end)
            try:
                await end[1].wait()
            finally:
                self._ends.remove(end)

    def out(self) -> Counter[tuple[str, str]]:
        return Counter(server for server, _ in self._ends)

    async def end(self, which: Callable[[tuple[str, str]], bool] = lambda _: True) -> None:
        """One of them is answered."""
        next(event for server, event in self._ends if which(server)).set()
        await settle()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_servers_that_never_answer_leave_room_for_the_next_one() -> None:
    questions = Questions(1_000)
    await questions.ask("one", times=100)
    assert questions.out() == {("one", "host"): 91}
    for number in range(49):
        await questions.ask(f"org-{number}", times=100)
    assert min(questions.out().values()) >= 1
    await questions.ask("next")
    assert questions.out()["next", "host"] == 1
    assert questions.out().total() < 1_000
    await questions.close()


async def test_some_servers_of_one_org_leave_room_for_another_org_and_for_its_own_next_one() -> None:
    questions = Questions(120)
    for number in range(3):
        await questions.ask("one", f"host-{number}", times=50)
    await questions.ask("one", "another", times=50)
    await questions.ask("other", times=50)
    out = questions.out()
    assert sum(number for (org_id, _), number in out.items() if org_id == "one") <= 20
    assert out["one", "another"] == 1
    assert out["other", "host"] >= 9
    await questions.close()


async def test_who_waits_goes_on_in_order_when_a_turn_ends_and_the_server_with_the_least_first() -> None:
    questions = Questions(60)
    await questions.ask("one", times=8)
    await questions.ask("two", times=8)
    assert questions.out() == {("one", "host"): 6, ("two", "host"): 5}
    await questions.end(lambda server: server[0] == "one")
    assert len(questions.begun) == 11
    await questions.end(lambda server: server[0] == "two")
    assert questions.begun[11:] == [("two", "host")]
    await questions.close()


async def test_who_gives_up_while_it_waits_leaves_nothing_behind() -> None:
    questions = Questions(3)
    await questions.ask("one", times=4)
    await questions.close()
    assert questions.out().total() == 0
    again = Questions(3)
    again.turns = questions.turns
    await again.ask("one", times=2)
    assert again.out().total() == 1
    await again.close()


async def test_a_turn_that_is_given_to_one_who_gives_up_goes_to_the_next() -> None:
    questions = Questions(3)
    await questions.ask("one", times=3)
    next(event for _, event in questions._ends).set()
    await asyncio.sleep(0)
    questions.tasks[1].cancel()
    await settle()
    assert len(questions.begun) >= 2
    assert questions.out().total() == 1
    await questions.close()


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(["ask", "end", "cancel"])), max_size=40),
    st.integers(1, 12),
)
def test_the_bound_holds_and_nobody_waits_while_nothing_is_out(steps: list[tuple[str, str, str]], most: int) -> None:
    async def run() -> None:
        questions = Questions(most)
        for org_id, server, step in steps:
            if step == "ask":
                await questions.ask(org_id, server)
            elif step == "end" and questions.out():
                await questions.end()
            elif step == "cancel" and questions.tasks:
                questions.tasks[len(questions.begun) % len(questions.tasks)].cancel()
                await settle()
            assert questions.out().total() <= most
            assert questions.out() or all(task.done() for task in questions.tasks)
        while not all(task.done() for task in questions.tasks):
            await questions.end()
        assert questions.out().total() == 0

    asyncio.run(run())
