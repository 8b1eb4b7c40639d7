"""The pool is bounded, outlives its workers and finishes what it accepted."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from chiffres.errors import ModelFileError
from chiffres.serve.jobs import Job
from chiffres.serve.limits import Limits
from chiffres.serve.pool import Pool
from chiffres.serve.problems import Busy, TookTooLong, Unreadable
from tests.serve import networks
from tests.serve.pictures import drawing, photo

MODELS = {"small": networks.convolutional()}
DRAWING = Job("read", "small", drawing(7))
PHOTO = Job("read", "small", photo("0123456789", 2400, 1600))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(MODELS, 1, Limits(waiting_photos=2, patient_seconds=60))
    yield pool
    pool.close()


def test_a_job_is_done(pool: Pool) -> None:
    answer = asyncio.run(pool.run(DRAWING, photo=False))
    assert b'"digits"' in answer
    assert pool.models[0]["convolution"] == [networks.MAPS, 26, 26]


def test_what_is_wrong_with_a_job_is_said(pool: Pool) -> None:
    with pytest.raises(Unreadable, match="not an image"):
        asyncio.run(pool.run(Job("read", "small", b"no picture"), photo=False))


def test_what_there_is_no_room_for_is_turned_away_and_the_rest_is_answered(pool: Pool) -> None:
    async def ask() -> list[bytes | BaseException]:
        jobs = [pool.run(PHOTO, photo=True) for _ in range(8)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    outcomes = asyncio.run(ask())
    refused = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert 5 <= len(refused) <= 6  # 2 wait, and 1 more may be under way already
    assert all(isinstance(outcome, bytes | Busy) for outcome in outcomes)
    assert "2 photos are waiting already" in str(refused[0])
    assert refused[0].headers() == {"Retry-After": "1"}


def test_drawings_go_before_photos(pool: Pool) -> None:
    order = []

    async def ask(job: Job, photo: bool) -> None:
        await pool.run(job, photo=photo)
        order.append(photo)

    async def all_of_them() -> None:
        jobs = [(PHOTO, True), (PHOTO, True), (DRAWING, False), (DRAWING, False)]
        await asyncio.gather(*(ask(*job) for job in jobs))

    asyncio.run(all_of_them())
    assert order[-1]  # the second photo came before the drawings, and was read after them


def test_drawings_without_end_do_not_keep_a_photo_out() -> None:
    async def draw_on(pool: Pool, photos: asyncio.Future[list[bytes]]) -> None:
        while not photos.done():
            await pool.run(DRAWING, photo=False)

    async def all_of_them(pool: Pool) -> list[bytes]:
        photos = asyncio.gather(*(pool.run(PHOTO, photo=True) for _ in range(2)))
        drawings = [asyncio.ensure_future(draw_on(pool, photos)) for _ in range(20)]
        answers = await asyncio.wait_for(photos, 60)
        await asyncio.gather(*drawings)
        return answers

    with closing(Pool(MODELS, 1, Limits(waiting_seconds=60))) as pool:
        answers = asyncio.run(all_of_them(pool))
    assert all(b'"digits"' in answer for answer in answers)


def test_photos_leave_a_worker_to_drawings() -> None:
    pool = Pool(MODELS, 2)
    order = []

    async def ask(job: Job, photo: bool) -> None:
        await pool.run(job, photo=photo)
        order.append(photo)

    async def all_of_them() -> None:
        jobs = [(PHOTO, True), (PHOTO, True), (DRAWING, False)]
        await asyncio.gather(*(ask(*job) for job in jobs))

    asyncio.run(all_of_them())
    assert order == [False, True, True]
    pool.close()


def test_a_killed_worker_comes_back_and_nothing_is_lost(pool: Pool) -> None:
    (before,) = pool.pids

    async def ask() -> bytes:
        answer = asyncio.ensure_future(pool.run(PHOTO, photo=True))
        await asyncio.sleep(0.05)
        os.kill(before, signal.SIGKILL)
        return await answer

    restarts = pool.restarts
    assert b'"digits"' in asyncio.run(ask())
    assert pool.restarts == restarts + 1
    assert pool.alive == 1
    assert pool.pids != [before]


def test_an_idle_worker_that_dies_is_replaced(pool: Pool) -> None:
    (before,) = pool.pids
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (pool.pids == [before] or not pool.alive) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pool.alive == 1


def test_what_takes_too_long_is_given_up_and_what_was_accepted_is_finished() -> None:
    hasty = Pool(MODELS, 1, Limits(answer_seconds=0.005))
    with pytest.raises(TookTooLong, match=r"within 0\.005 seconds"):
        asyncio.run(hasty.run(PHOTO, photo=True))
    hasty.close()
    with pytest.raises(Busy, match="shutting down"):
        asyncio.run(hasty.run(DRAWING, photo=False))


def test_what_waited_too_long_is_turned_away_and_costs_no_worker() -> None:
    pool = Pool(MODELS, 1, Limits(waiting_seconds=0))
    (pid,) = pool.pids
    with pytest.raises(Busy, match="not begun within 0 seconds"):
        asyncio.run(pool.run(DRAWING, photo=False))
    assert (pool.pids, pool.restarts) == ([pid], 0)
    pool.close()


def test_a_damaged_model_is_said_at_the_start() -> None:
    with pytest.raises(ModelFileError, match="the model: damaged"):
        Pool({"bad": MODELS["small"][:1000]}, 1)
