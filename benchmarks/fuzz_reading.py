"""Damaged image files by the thousand: each is read or refused in one line, none breaks the reader.

``python benchmarks/fuzz_reading.py [--minutes 10] [--seed 0] [--out fuzz-reading]``. Pictures of
digits in every format that Pillow writes are damaged by chance: bits, bytes and numbers changed,
parts left out, doubled, exchanged with those of another file, the end cut off. A process of its own
reads them. What counts as broken: any exception but ImageError, an ImageError of more than one
line, a signal (SIGPROF after 20 s of the processor's time), more than 2 GB for one file. Such a
file is kept in ``--out``.

Printed: how many files were read and refused, and one line for each that broke something.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import signal
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from chiffres.data.pages import page
from chiffres.data.pages.forms import pen_drawn
from chiffres.errors import ImageError
from chiffres.reading import Reader
from chiffres.reading.picture import MOST_PIXELS

LONGEST, MOST_MEMORY = 20, 2 * 10**9
"""Seconds of the processor, and bytes beyond those of an idle reader, that one file may take."""
STUCK = 600
"""Seconds after which a process that does not even compute is given up."""
LARGEST = 200
"""The longer side of the pictures that are damaged, in pixels: more bytes of them are headers."""
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What overflows, if anything."""


def originals(rng: np.random.Generator) -> list[bytes]:
    """Return a picture of digits as a file of every kind and mode."""
    Image.init()
    made = page(rng, pen_drawn, (4,))
    picture = Image.fromarray(made.picture).convert("RGB")
    picture.thumbnail((LARGEST, LARGEST))
    files = []
    for kind in sorted(Image.SAVE):
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"):
            file = io.BytesIO()
            try:
                picture.convert("L" if mode == "I;16" else mode).convert(mode).save(file, kind)
                files.append(file.getvalue())
            except Exception:
                continue  # Pillow writes no such mode in this format
    return [content for content in files if content]


def damaged(rng: np.random.Generator, files: list[bytes]) -> bytes:
    """Return one of the files with one to eight damages."""
    content = bytearray(files[rng.integers(len(files))])
    for _ in range(int(rng.integers(1, 9))):
        if not content:
            break
        # half of the damages are in the first bytes, where the headers are
        reach = len(content) if rng.random() < 0.5 else min(len(content), 200)
        at, size = int(rng.integers(reach)), int(rng.integers(1, 40))
        kind = int(rng.integers(7))
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at] = int(rng.integers(256))
        elif kind == 2:
            number = int(rng.choice(NUMBERS))
            width = max(1, (number.bit_length() + 7) // 8)
            order: Literal["big", "little"] = "big" if rng.random() < 0.5 else "little"
            content[at : at + width] = number.to_bytes(width, order)
        elif kind == 3:
            del content[at : at + size]
        elif kind == 4:
            content[at:at] = content[at : at + size]
        elif kind == 5:
            other = files[rng.integers(len(files))]
            content[at : at + size] = other[at : at + size]
        elif rng.random() < 0.3:
            del content[at:]
    return bytes(content)


def read_all(connection: Connection) -> None:
    """Read what comes through the connection until it ends, and send back what came of it."""
    warnings.simplefilter("ignore")
    reader = Reader(threads=1)
    reader.read(np.zeros((int(MOST_PIXELS**0.5), int(MOST_PIXELS**0.5)), np.uint8))
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, used + MOST_MEMORY))
    connection.send("ready")
    while True:
        content = connection.recv_bytes()
        signal.setitimer(signal.ITIMER_PROF, LONGEST)  # its signal ends the process
        connection.send(_verdict(reader, content))


def _verdict(reader: Reader, content: bytes) -> str:
    try:
        reader.read(content)
    except ImageError as error:
        return "refused" if "\n" not in str(error) else f"lines: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "read"


class Child:
    """The process that reads; begun anew where a file broke it."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin, and wait until it is ready."""
        self.connection, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=read_all, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.connection.recv()

    def ask(self, content: bytes) -> str:
        """Return what came of a file."""
        try:
            self.connection.send_bytes(content)
            if self.connection.poll(STUCK):
                return str(self.connection.recv())
            verdict = f"stuck for {STUCK} s"
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            verdict = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self.process.kill()
        self.process.join()
        self.start()
        return verdict


def main() -> None:
    """Damage files for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-reading"))
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    files, child, counts = originals(rng), Child(), Counter[str]()
    end = time.monotonic() + 60 * options.minutes
    while time.monotonic() < end:
        content = damaged(rng, files)
        verdict = child.ask(content)
        counts[verdict if verdict in ("read", "refused") else "broken"] += 1
        if verdict not in ("read", "refused"):
            options.out.mkdir(parents=True, exist_ok=True)
            path = options.out / f"{counts['broken']:04}.bin"
            path.write_bytes(content)
            print(f"{path}: {verdict}", flush=True)
    found = ", ".join(f"{counts[each]:,} {each}" for each in ("read", "refused", "broken"))
    print(f"{len(files)} originals; {found}")


if __name__ == "__main__":
    main()
