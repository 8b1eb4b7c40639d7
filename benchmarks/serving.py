"""What ``chiffres serve`` stands: requests on loopback, bounded in count and time.

``python benchmarks/serving.py [--seconds 60] [--clients 32] [--workers 2] [--json OUT]``. Three
loads, from connections that stay open: drawings alone; a mix of drawings and photos, while one
worker is killed; and the same mix, sent at 80 % of the rate that the second load reached. Then,
over and over, what has to be refused, bombs and the like. Server and clients share the machine, so
that what the clients need is missing from the server.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DRAWINGS_PER_PHOTO = 15
MOST_REQUESTS = 50_000
"""No load sends more."""
SHARE = 0.8
ROUNDS = 20
"""How often everything hostile is sent before memory is looked at."""
TIMES_ATTACKED = 6
SIZES = ((640, 480), (1024, 768), (1600, 1200))
"""Of the photos, in pixels; the page sends none that are longer than 1600."""


def drawing(digit: int, side: int = 196) -> bytes:
    """Return a digit, black on white, as the page sends it."""
    sheet = Image.new("L", (side, side), 255)
    font = ImageFont.load_default(0.8 * side)
    ImageDraw.Draw(sheet).text((side / 2, side / 2), str(digit), 0, font, "mm")
    return _file(sheet, "PNG")


def photo(digits: str, width: int, height: int) -> bytes:
    """Return digits in a row, on paper with noise, as a JPEG."""
    noise = np.random.default_rng(width).normal(215, 4, (height, width, 3))
    sheet = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    font = ImageFont.load_default(height / 5)
    ImageDraw.Draw(sheet).text((width / 2, height / 2), "  ".join(digits), (40, 50, 90), font, "mm")
    return _file(sheet, "JPEG")


def _file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def requests(pictures: list[bytes]) -> Iterator[bytes]:
    """Yield requests to read the pictures, over and over."""
    for picture in itertools.cycle(pictures):
        head = (
            "POST /v1/read HTTP/1.1\r\nHost: benchmark\r\nContent-Type: image/png\r\n"
            f"Content-Length: {len(picture)}\r\n\r\n"
        )
        yield head.encode() + picture


@dataclass
class Load:
    """What came of one load.

    Attributes:
        statuses: how many answers had each.
        seconds: of each answer with status 200.
        lost: requests without an answer.
        wall: seconds that all of it took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Readings per second."""
        return self.statuses[200] / self.wall

    def json(self) -> dict[str, Any]:
        """Return it as numbers."""
        spread = np.percentile(self.seconds, (50, 95, 99)) * 1000
        return {
            "readings_per_second": round(self.rate, 1),
            "p50_ms": round(float(spread[0]), 1),
            "p95_ms": round(float(spread[1]), 1),
            "p99_ms": round(float(spread[2]), 1),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "lost": self.lost,
        }


async def client(port: int, load: Load, next_request: Callable[[], bytes], until: float) -> None:
    """Send one request after the other on one connection; wait a little where it was busy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until and load.statuses.total() < MOST_REQUESTS:
        began = time.perf_counter()
        status = await asked(reader, writer, next_request(), load)
        if status == 200:
            load.seconds.append(time.perf_counter() - began)
        elif status == 503:
            await asyncio.sleep(0.1)
    writer.close()


async def asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, load: Load
) -> int:
    """Return the status of the answer; 0 where there was none."""
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        size = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        await reader.readexactly(size)
    except (OSError, asyncio.IncompleteReadError):
        load.lost += 1
        return 0
    status = int(lines[0].split()[1])
    load.statuses[status] += 1
    return status


async def closed(
    port: int, pictures: list[bytes], clients: int, seconds: float, disturb: Callable[[], None]
) -> Load:
    """Load the server with clients that each wait for their answer before they ask again."""
    load, stream, began = Load(), requests(pictures), time.perf_counter()
    until = began + seconds
    asyncio.get_running_loop().call_later(seconds / 2, disturb)
    await asyncio.gather(*(client(port, load, stream.__next__, until) for _ in range(clients)))
    load.wall = time.perf_counter() - began
    return load


async def paced(
    port: int, pictures: list[bytes], clients: int, seconds: float, rate: float
) -> Load:
    """Load the server with requests at a steady rate; a late answer delays no other request."""
    load, stream = Load(), requests(pictures)
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(clients):
        idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    began = time.perf_counter()

    async def one(due: float) -> None:
        connection = await idle.get()
        if await asked(*connection, next(stream), load) == 200:
            load.seconds.append(time.perf_counter() - due)
        idle.put_nowait(connection)

    under_way = []
    for number in range(min(MOST_REQUESTS, int(rate * seconds))):
        due = began + number / rate
        await asyncio.sleep(due - time.perf_counter())
        under_way.append(asyncio.ensure_future(one(due)))
    await asyncio.gather(*under_way)
    load.wall = time.perf_counter() - began
    return load


def hostile() -> Iterator[bytes]:
    """Yield requests that have to be refused: bombs, ends cut off, wrong types, too many parts."""
    whole = drawing(8)
    huge = (60_000).to_bytes(4, "big") * 2
    crowd = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\nx\r\n'
        for _ in range(10_000)
    )
    for kind, body in (
        ("image/png", whole[:16] + huge + whole[24:]),
        ("image/png", whole[: len(whole) // 2]),
        ("image/jpeg", photo("12345678", 1600, 1200)[:50_000]),
        ("text/html", whole),
        ("image/png", bytes(15 * 2**20)),
        ("image/png", bytes(100 * 10**6)),
        ("multipart/form-data; boundary=x", crowd + b"--x--\r\n"),
    ):
        head = (
            "POST /v1/read HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def attack(port: int, rounds: int) -> Load:
    """Send all hostile requests at once, each on a connection of its own, a few times over."""
    load, refused = Load(), list(hostile())
    for _ in range(rounds):
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in refused]
        pairs = zip(connections, refused, strict=True)
        await asyncio.gather(*(asked(*each, request, load) for each, request in pairs))
        for _, writer in connections:
            writer.transport.abort()
    return load


@contextmanager
def serving(workers: int) -> Iterator[tuple[int, int]]:
    """Run a server; yield its port and its process's number."""
    command = [sys.executable, "-m", "chiffres", "serve", "--port", "0", "--workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            yield int(said.split(" at ")[1].split()[0].rpartition(":")[2]), process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def children(pid: int) -> list[int]:
    """Return the processes that a process started, on Linux."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def memory(pid: int) -> float:
    """Return the MiB of memory that a server and its workers hold."""
    pages = sum(
        int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in (pid, *children(pid))
    )
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_seconds(pid: int) -> float:
    """Return the seconds that a server and its workers have computed, on whichever cores."""
    stats = [Path(f"/proc/{each}/stat").read_text() for each in (pid, *children(pid))]
    ticks = sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


def kill_a_worker(pid: int) -> None:
    """Kill the last process that the server started."""
    os.kill(max(children(pid)), signal.SIGKILL)


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    drawings = [drawing(digit) for digit in range(10)]
    photos = [photo("27182818", *size) for size in SIZES]
    mix = [
        picture
        for shot in photos
        for picture in (*itertools.islice(itertools.cycle(drawings), DRAWINGS_PER_PHOTO), shot)
    ]
    results: dict[str, Any] = {"clients": chosen.clients, "workers": chosen.workers}
    with serving(chosen.workers) as (port, pid):
        bounds = (chosen.clients, chosen.seconds)
        asyncio.run(closed(port, mix, chosen.clients, 3, lambda: None))  # warms up
        results["mib_before"] = round(memory(pid))
        before = processor_seconds(pid)
        load = asyncio.run(closed(port, drawings, *bounds, lambda: None))
        results["drawings"] = load.json()
        computed = 1000 * (processor_seconds(pid) - before) / load.statuses.total()
        results["drawings"]["processor_ms_per_reading"] = round(computed, 2)
        load = asyncio.run(closed(port, mix, *bounds, lambda: kill_a_worker(pid)))
        results["mix_with_a_worker_killed"] = load.json()
        load = asyncio.run(paced(port, mix, *bounds, SHARE * load.rate))
        results["mix_at_80_percent"] = load.json()
        results["mib_after"] = round(memory(pid))
        statuses, held = Counter[int](), []
        for _ in range(TIMES_ATTACKED):
            statuses += asyncio.run(attack(port, ROUNDS)).statuses
            held.append(round(memory(pid)))
        results["hostile"] = {str(status): count for status, count in sorted(statuses.items())}
        results["mib_after_hostile"] = held
    text = json.dumps(results, indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
