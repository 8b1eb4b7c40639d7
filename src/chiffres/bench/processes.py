"""Seconds and memory: of a whole process that reads one picture, and of a reader that is warm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from chiffres.bench.engines import CHIFFRES, TESSERACT, Tesseract
from chiffres.bench.rows import Row
from chiffres.bench.sets import cases, png
from chiffres.data import Digits
from chiffres.errors import JobError
from chiffres.reading import Reader

PHOTOGRAPH = (4000, 3000)
"""Width and height of a photograph of 12 megapixels."""
SMALL_RUNS = 200
"""How often the small picture is read: it takes a millisecond."""
MEGABYTE = 1_000_000
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
"""Where it is set, a checkout is compiled at each start; what pip installs never is."""
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command from a small process: a child's peak begins with the memory of its parent."""


def speed(reader: Reader, digits: Digits, runs: int, tesseract: Tesseract | None) -> Iterator[Row]:
    """Measure the time from cold, the time when warm, and the memory.

    Args:
        reader: what reads when warm.
        digits: what is on the pictures.
        runs: how often each is measured.
        tesseract: what else is timed, from cold.

    Yields:
        A row at a time: seconds, milliseconds or megabytes.
    """
    with tempfile.TemporaryDirectory(prefix="chiffres-bench-") as folder:
        small, large = Path(folder, "digit.png"), Path(folder, "photograph.jpg")
        small.write_bytes(png(digits.images[0]))
        Image.fromarray(photograph(digits)).save(large, quality=92)
        for name, path in (("cold start", small), ("photograph", large)):
            commands = {CHIFFRES: [sys.executable, "-m", "chiffres", "read", str(path)]}
            if tesseract:
                commands[TESSERACT] = tesseract.command(path, "line")
            for engine, command in commands.items():
                found = [_process(command) for _ in range(runs)]
                yield Row(name, engine, "whole process", "s", [seconds for seconds, _ in found])
                yield Row(name, engine, "peak memory", "MB", [peak for _, peak in found])
        yield Row("photograph", CHIFFRES, "warm", "ms", _warm(reader, large, runs))
        yield Row("28x28", CHIFFRES, "warm", "ms", _warm(reader, small, SMALL_RUNS))


def photograph(digits: Digits) -> np.ndarray:
    """Return a photograph of 12 megapixels of a line of digits, ``(3000, 4000, 3)`` uint8."""
    for case in cases("strings", digits, 1000, seed=0):
        picture = case.picture
        if not isinstance(picture, bytes) and case.made["taken"] == "photograph":
            height, width = picture.shape[:2]
            if width >= PHOTOGRAPH[0] / 4 and 0.5 < height / width < 1.1:
                return np.asarray(cv2.resize(picture, PHOTOGRAPH, interpolation=cv2.INTER_CUBIC))
    raise AssertionError("one page in ten is like that")


def _process(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its seconds, and the most memory that it held, in megabytes."""
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    compiled = {key: value for key, value in os.environ.items() if key != UNCOMPILED}
    done = subprocess.run(launcher, capture_output=True, text=True, env=compiled)
    if done.returncode:
        said = done.stderr.strip()[-300:]
        raise JobError(f"{' '.join(command)}: exit code {done.returncode}: {said}")
    seconds, peak = map(float, done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes on Linux
    return seconds, peak * unit / MEGABYTE


def _warm(reader: Reader, path: Path, runs: int) -> list[float]:
    """Return the milliseconds of each reading after the first two."""
    found = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        reader.read(path)
        found.append(1000 * (time.perf_counter() - start))
    return found[2:]
