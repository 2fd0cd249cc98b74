from __future__ import annotations

import asyncio

import pytest

from tests.support import eventually
from vlpro.chat.queue import Queue, in_background
from vlpro.errors import BusyError

pytestmark = pytest.mark.anyio


class _Guests:
    """Tasks that hold a turn until they are let go."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.order: list[int] = []
        self.go = asyncio.Event()

    def come(self, number: int) -> asyncio.Task[None]:
        async def stay() -> None:
            async with self.queue.ticket() as ticket, ticket.turn():
                self.order.append(number)
                await self.go.wait()

        return asyncio.create_task(stay())


async def test_so_many_at_once_and_the_rest_in_turn() -> None:
    queue = Queue(concurrency=2, size=3)
    guests = _Guests(queue)
    tasks = [guests.come(number) for number in range(5)]
    await eventually(lambda: queue.waiting == 3)
    assert (queue.running, guests.order) == (2, [0, 1])
    guests.go.set()
    await asyncio.gather(*tasks)
    assert guests.order == [0, 1, 2, 3, 4]
    assert (queue.running, queue.waiting) == (0, 0)


async def test_full() -> None:
    queue = Queue(concurrency=1, size=1)
    guests = _Guests(queue)
    tasks = [guests.come(number) for number in range(2)]
    await eventually(lambda: queue.waiting == 1)
    with pytest.raises(BusyError, match="1 questions are being answered and 1 are waiting") as refused:
        async with queue.ticket():
            pass
    assert 1 <= refused.value.retry_after <= 60
    guests.go.set()
    await asyncio.gather(*tasks)
    async with queue.ticket() as ticket, ticket.turn():
        assert queue.running == 1


async def test_who_waits_knows_how_many_are_before_and_how_long_it_takes() -> None:
    queue = Queue(concurrency=2, size=9)
    guests = _Guests(queue)
    tasks = [guests.come(number) for number in range(2)]
    await eventually(lambda: queue.running == 2)
    async with queue.ticket() as reading:  # its pictures are being read in
        tasks += [guests.come(number) for number in range(2, 5)]
        await eventually(lambda: len(queue._line) == 3)
        assert [ticket.ahead for ticket in (*queue._line, reading)] == [0, 1, 2, 3]
        assert reading.wait_s is None  # no answer has ended yet
        left = queue._line[0]
        tasks[2].cancel()
        await eventually(lambda: left not in queue._line)
        assert [ticket.ahead for ticket in (*queue._line, reading)] == [0, 1, 2]
        queue._mean_s = 30.0
        assert [ticket.wait_s for ticket in (*queue._line, reading)] == [15, 30, 45]  # two at once
        assert all(ticket.waits for ticket in (*queue._line, reading))
        guests.go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (reading.ahead, reading.waits) == (0, False)


async def test_no_waiting_at_all() -> None:
    queue = Queue(concurrency=1, size=0)
    async with queue.ticket() as ticket, ticket.turn():
        with pytest.raises(BusyError):
            async with queue.ticket():
                pass


@pytest.mark.parametrize("number", range(4))
async def test_whoever_leaves_frees_the_place(number: int) -> None:
    queue = Queue(concurrency=1, size=3)
    guests = _Guests(queue)
    tasks = [guests.come(guest) for guest in range(4)]
    await eventually(lambda: queue.waiting == 3)
    tasks[number].cancel()
    await asyncio.gather(tasks[number], return_exceptions=True)
    await eventually(lambda: (queue.running, queue.waiting) == (1, 2))
    guests.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (queue.running, queue.waiting) == (0, 0)
    assert sorted({*guests.order, number}) == [0, 1, 2, 3]


async def test_an_error_inside_frees_the_place() -> None:
    queue = Queue(concurrency=1, size=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with queue.ticket() as ticket, ticket.turn():
                raise ZeroDivisionError
    assert (queue.running, queue.waiting) == (0, 0)


async def test_the_background_gives_way_to_people_and_goes_on_when_nobody_waits() -> None:
    queue = Queue(concurrency=1, size=3)
    begun: list[str] = []
    ended = asyncio.Event()

    async def work() -> str:
        async with queue.ticket() as ticket, ticket.turn():
            begun.append("background")
            await ended.wait()
        return "done"

    task = asyncio.create_task(in_background(work))
    await eventually(lambda: queue.background == 1)
    guests = _Guests(queue)
    people = [guests.come(number) for number in range(2)]
    await eventually(lambda: guests.order == [0])
    assert (queue.background, queue.running, queue.waiting) == (0, 1, 1)
    guests.go.set()
    await asyncio.gather(*people)
    assert guests.order == [0, 1]  # both before the background, which had come first
    await eventually(lambda: begun == ["background"] * 2)
    ended.set()
    assert await task == "done"
    assert (queue.running, queue.waiting, queue.background) == (0, 0, 0)


async def test_one_turn_is_kept_free_of_the_background() -> None:
    queue = Queue(concurrency=3, size=0)
    go = asyncio.Event()

    async def work() -> None:
        async with queue.ticket() as ticket, ticket.turn():
            await go.wait()

    tasks = [asyncio.create_task(in_background(work)) for _ in range(6)]
    await eventually(lambda: queue.background == 2)
    guests = _Guests(queue)
    person = guests.come(0)
    await eventually(lambda: guests.order == [0])
    assert (queue.background, queue.running) == (2, 3)  # nothing was taken from anybody
    for _ in range(2):  # the next ones find no turn free: the background's last begun go
        guests.come(1)
    await eventually(lambda: queue.background == 0)
    tasks[0].cancel()
    go.set()
    guests.go.set()
    await person
    await asyncio.gather(*tasks[1:])
    assert tasks[0].cancelled()
    assert queue.background == 0


async def test_what_waits_in_the_background_may_end_as_a_turn_becomes_free() -> None:
    queue = Queue(concurrency=1, size=0)
    go = asyncio.Event()

    async def work() -> None:
        async with queue.ticket() as ticket, ticket.turn():
            await go.wait()

    tasks = [asyncio.create_task(in_background(work)) for _ in range(2)]
    await eventually(lambda: queue.background == 1)
    go.set()
    tasks[1].cancel()  # it is told after the first has ended
    await asyncio.wait(tasks)
    assert tasks[1].cancelled()
    assert queue.background == 0


async def test_the_background_counts_as_nobody_in_the_queue() -> None:
    queue = Queue(concurrency=1, size=0)
    go = asyncio.Event()

    async def work() -> None:
        async with queue.ticket():
            await go.wait()

    tasks = [asyncio.create_task(in_background(work)) for _ in range(5)]
    await asyncio.sleep(0)
    async with queue.ticket() as ticket, ticket.turn():  # raises no BusyError
        assert (queue.running, queue.waiting) == (1, 0)
    go.set()
    await asyncio.gather(*tasks)
