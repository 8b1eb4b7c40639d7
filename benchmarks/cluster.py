"""What more processes, an engine and a larger archive cost on this machine.

    python benchmarks/cluster.py [--rounds 3] [--on ray] [--measure sweep ...] [--json OUT]
    python benchmarks/cluster.py --from OUT --price 0.04

Crops of one digit and fields of a form are made and read: in a plain loop, and by ``read --out``
with one worker and with several, each on one thread. The lists name the same few files over and
over. Rates are of the difference between a list and one of a fifth of it, so that starting drops
out; they are measured in turn, ``--rounds`` times. Twelve trainings are swept, one at a time and
several. The memory of all processes is watched while a list of 28×28 pictures is read, and one ten
times as long. ``--from`` prints what a very large archive needs, as Markdown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil
from PIL import Image

from chiffres.bench.rows import Measured, Row
from chiffres.data import load_dataset
from chiffres.reading import Reader
from chiffres.storage import write_text

BENCH = "cluster"
FILES = 200
"""Distinct pictures of each kind."""
KINDS = {"crop": (1, 1), "field": (4, 8)}
"""From how many digits to how many."""
GOALS = {"crop": 1_000_000_000, "field": 100_000_000}
START = 5
"""The list that is taken off is smaller by this factor."""
TIMES_MORE = 10
SWEEP = ("sweep", "conv", "--data", "mnist-5k", "--over", "batch_size=32,64,96,128")
SEEDS = 3
MEASURED = ("reading", "sweep", "memory")
RATE, OVERHEAD, MEMORY, SECONDS, SCALING = "rate", "overhead", "memory", "seconds", "scaling"


def make_pictures(folder: Path, digits: tuple[int, int]) -> list[Path]:
    """Write pictures of so many digits, ink on paper with noise, and return them."""
    rng = np.random.default_rng(2)
    images = load_dataset("mnist-5k").test.images
    folder.mkdir()
    paths = [folder / f"{number:04}.png" for number in range(FILES)]
    for path in paths:
        row = np.hstack(list(rng.choice(images, rng.integers(*digits, endpoint=True))))
        ink = np.pad(cv2.resize(row, None, fx=2, fy=2), 12) / 255
        sheet = rng.normal(225, 3, ink.shape) * (1 - 0.85 * ink)
        Image.fromarray(np.clip(sheet, 0, 255).astype(np.uint8)).save(path)
    return paths


def write_list(path: Path, pictures: Sequence[Path], count: int) -> Path:
    """Write a list that names the pictures over and over."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{pictures[number % len(pictures)]}\n" for number in range(count))
    return path


def loop(pictures: Sequence[Path], count: int) -> float:
    """Return the seconds that reading takes without anything around it, in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_loop, pictures, count).result()


def _loop(pictures: Sequence[Path], count: int) -> float:
    cv2.setNumThreads(1)
    reader = Reader(threads=1)
    reader.read(pictures[0])
    began = time.perf_counter()
    for number in range(count):
        reader.read(pictures[number % len(pictures)]).json()
    return time.perf_counter() - began


def watched(*command: str) -> tuple[float, float]:
    """Return the seconds that a command of Chiffres takes, and the most MB of its processes."""
    began, most = time.perf_counter(), 0
    with subprocess.Popen([sys.executable, "-m", "chiffres", *command]) as process:
        while process.poll() is None:
            most = max(most, memory(psutil.Process(process.pid)))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"chiffres {' '.join(command)}: exit code {process.returncode}")
    return time.perf_counter() - began, most / 1e6


def memory(process: psutil.Process) -> int:
    """Return the bytes that a process and those below it hold."""
    held = 0
    for each in [process, *children(process)]:
        try:
            held += each.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return held


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes below one."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def measure_reading(
    kind: str, folder: Path, count: int, workers: Sequence[int], on: str, rounds: int
) -> list[Row]:
    """Return rates, and what the engine costs beside a loop."""
    pictures = make_pictures(folder / kind, KINDS[kind])
    alone: list[float] = []
    rates: dict[int, list[float]] = {processes: [] for processes in workers}
    for _ in range(rounds):
        alone.append(count / loop(pictures, count))
        for processes, measured in rates.items():
            short, long = (
                read(pictures, folder, number, processes, on)[0]
                for number in (count // START, count)
            )
            measured.append((count - count // START) / (long - short))
    rows = [Row(kind, "loop", RATE, "pictures/s", alone)]
    rows += [Row(kind, engine(each), RATE, "pictures/s", rates[each]) for each in workers]
    costs = [of_loop / of_one - 1 for of_loop, of_one in zip(alone, rates[1], strict=True)]
    times = [of_all / of_one for of_all, of_one in zip(rates[workers[-1]], rates[1], strict=True)]
    return [
        *rows,
        Row(kind, engine(1), OVERHEAD, "share", costs),
        Row(kind, engine(workers[-1]), SCALING, "times", times),
    ]


def read(
    pictures: Sequence[Path], folder: Path, number: int, processes: int, on: str
) -> tuple[float, float]:
    """Return the seconds and the MB that reading a list takes."""
    names = write_list(folder / "list.txt", pictures, number)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        return watched(
            *("read", str(names), "--out", f"{out}/readings.parquet"),
            *("--workers", str(processes), "--on", on),
        )


def measure_memory(folder: Path, count: int, processes: int, on: str) -> list[Row]:
    """Return the memory that a list takes, and one that is ten times as long."""
    folder = folder / "digits"
    folder.mkdir()
    pictures = [folder / f"{number}.png" for number in range(FILES)]
    for path, image in zip(pictures, load_dataset("mnist-5k").test.images, strict=False):
        Image.fromarray(image).save(path)
    held = {
        each: read(pictures, folder, each, processes, on)[1] for each in (count, TIMES_MORE * count)
    }
    return [
        Row(f"{each:,} digits", engine(processes), MEMORY, "MB", [most])
        for each, most in held.items()
    ]


def measure_sweep(folder: Path, workers: Sequence[int], on: str, epochs: int) -> list[Row]:
    """Return the seconds that twelve trainings take, with all that is around them."""
    seconds = {
        jobs: watched(
            *SWEEP,
            *("--seeds", str(SEEDS), "--set", f"epochs={epochs}", "--jobs", str(jobs)),
            *("--on", on, "--out", str(folder / f"sweep-{jobs}")),
        )[0]
        for jobs in workers
    }
    share = seconds[workers[-1]] / seconds[1]
    return [
        *(Row("sweep of 12", engine(jobs), SECONDS, "s", [seconds[jobs]]) for jobs in workers),
        Row("sweep of 12", engine(workers[-1]), SCALING, "of the time", [share]),
    ]


def engine(workers: int) -> str:
    """Return what so many workers are called in a row."""
    return "1 worker" if workers == 1 else f"{workers} workers"


def costs(measured: Measured, price: float) -> str:
    """Return what very large archives need, from the rate of one core, as a table in Markdown."""
    lines = [
        "| pictures | each, on one core | core hours | cores for one day | price |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, goal in GOALS.items():
        row = measured.row(kind, engine(1), RATE)
        if row:
            hours = goal / row.median / 3600
            lines.append(
                f"| {goal:,} {kind}s | {1000 / row.median:.1f} ms | {hours:,.0f} "
                f"| {hours / 24:,.0f} | {hours * price:,.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1280, help="ten parts, and two of a fifth")
    parser.add_argument("--listed", type=int, default=20_000, help="and ten times as many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--measure", nargs="+", choices=MEASURED, default=MEASURED)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--on", default="local")
    parser.add_argument("--json", type=Path, dest="out")
    parser.add_argument("--from", type=Path, dest="measured")
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    arguments = parser.parse_args()
    if arguments.measured:
        print(costs(Measured.from_json(arguments.measured, BENCH), arguments.price))
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the commands that are begun
    workers = sorted({1, arguments.workers})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in arguments.kinds if "reading" in arguments.measure else ():
            rows += measure_reading(
                kind, folder, arguments.pictures, workers, arguments.on, arguments.rounds
            )
        if "sweep" in arguments.measure:
            rows += measure_sweep(folder, workers, arguments.on, arguments.epochs)
        if "memory" in arguments.measure:
            rows += measure_memory(folder, arguments.listed, workers[-1], arguments.on)
    machine = {"cores": os.cpu_count(), "platform": platform.platform(), "on": arguments.on}
    measured = Measured(BENCH, machine, rows)
    for row in rows:
        print(f"{row.subject:15} {row.engine:10} {row.metric:9} {row.median:12.3f} {row.unit}")
    if arguments.out:
        write_text(arguments.out, json.dumps(measured.json(), indent=2) + "\n")


if __name__ == "__main__":
    main()
