"""An exported network on the instruction set it is for: answers, instructions, flash, RAM, stack.

The processors are emulated by QEMU, which runs their instructions and says how many, but not how
many cycles each takes, nor how long the flash keeps the processor waiting.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chiffres.errors import JobError, MissingToolError
from chiffres.export.c.reference import Answers

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror")
PROGRAM = Path(__file__).with_suffix(".c")
SECONDS = 1800
"""After how many an emulator is taken to hang: 10,000 images take a minute or two."""
RECORD = np.dtype(
    [
        ("scores", "<i4", 10),
        ("digit", "u1"),
        ("", "u1"),
        ("confidence", "<u2"),
        ("ticks", "<u4"),
        ("stack", "<u4"),
    ]
)
"""What ``embedded.c`` writes for each image."""


class Region(NamedTuple):
    """A part of a target's memory: where it begins, and its bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Target:
    """A processor, and what compiles for it and emulates it.

    Attributes:
        name: what it is called.
        prefix: of the names of the compiler and its tools.
        flags: what makes the compiler compile for it.
        emulator: the command, without the program.
        flash: where constants and code go.
        ram: where the rest goes.
        per_tick: instructions per tick of its counter, where each takes a nanosecond.
        packages: of Debian, which have all of this.
    """

    name: str
    prefix: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...]
    flash: Region
    ram: Region
    per_tick: float
    packages: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """The commands that this machine lacks."""
        needed = (f"{self.prefix}gcc", f"{self.prefix}size", self.emulator[0])
        return [command for command in needed if shutil.which(command) is None]


_ARM = ("gcc-arm-none-eabi", "picolibc-arm-none-eabi", "qemu-system-arm")
_RISCV = ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf", "qemu-system-misc")
TARGETS = {
    "cortex-m0": Target(
        "Cortex-M0",
        "arm-none-eabi-",
        ("-mcpu=cortex-m0", "-mthumb"),
        ("qemu-system-arm", "-machine", "microbit"),
        Region(0, 256 * 1024),
        Region(0x20000000, 16 * 1024),
        1000 / 16,
        _ARM,
    ),
    "cortex-m4": Target(
        "Cortex-M4",
        "arm-none-eabi-",
        ("-mcpu=cortex-m4", "-mthumb"),
        ("qemu-system-arm", "-machine", "mps2-an386"),
        Region(0, 4 * 1024 * 1024),
        Region(0x20000000, 4 * 1024 * 1024),
        1000 / 25,
        _ARM,
    ),
    "rv32": Target(
        "RV32IMAC",
        "riscv64-unknown-elf-",
        ("-march=rv32imac", "-mabi=ilp32"),
        ("qemu-system-riscv32", "-machine", "virt", "-bios", "none"),
        Region(0x80000000, 4 * 1024 * 1024),
        Region(0x80400000, 4 * 1024 * 1024),
        1.0,
        _RISCV,
    ),
}
"""The processors that exported networks are tried on, by name."""


class Linked(NamedTuple):
    """What the network alone takes once it is linked.

    Attributes:
        flash: bytes of code and constants.
        ram: bytes of static buffers.
    """

    flash: int
    ram: int


@dataclass(frozen=True)
class Emulated:
    """What a network did on a target, image by image.

    Attributes:
        answers: what it answered.
        instructions: ``(n,)`` float64, how many an inference took; exact to one tick.
        stack: bytes, the most that an inference took.
    """

    answers: Answers
    instructions: npt.NDArray[np.float64]
    stack: int


def link(sources: Path, target: Target) -> Linked:
    """Compile and link the network alone, for size, and return what it takes.

    Args:
        sources: the folder of ``chiffres_model.c`` and ``chiffres_model.h``.
        target: for what.

    Raises:
        MissingToolError: this machine has no compiler for it.
        JobError: it does not compile; the message has what the compiler said.
    """
    _check_tools(target)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "model.elf"
        flags = ("-Os", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-nostdlib")
        linker = "-Wl,--gc-sections,-e,chiffres_classify"
        source = str(sources / "chiffres_model.c")
        compiler = (f"{target.prefix}gcc", *STRICT, *target.flags, *flags, linker)
        run(*compiler, "-o", str(program), source, "-lgcc")
        text, data, bss, *_ = run(f"{target.prefix}size", str(program)).splitlines()[1].split()
    return Linked(int(text) + int(data), int(data) + int(bss))


def emulate(sources: Path, target: Target, images: npt.NDArray[np.uint8]) -> Emulated:
    """Run the network on a target, and return what it answered.

    Args:
        sources: the folder of ``chiffres_model.c`` and ``chiffres_model.h``.
        target: on what.
        images: ``(n, 28, 28)`` uint8.

    Raises:
        MissingToolError: this machine has no compiler or emulator for it.
        JobError: it does not compile, does not fit the target, or ends with an error.
    """
    _check_tools(target)
    regions = {"flash": target.flash, "ram": target.ram}
    layout = [
        f"-Wl,--defsym=__{name}{part}={value}"
        for name, region in regions.items()
        for part, value in (("", region.origin), ("_size", region.size))
    ]
    library = ("--specs=picolibc.specs", "--oslib=semihost", "--crt0=hosted")
    compiler = (f"{target.prefix}gcc", "-Os", *target.flags, *library, *layout)
    hosting = ("-semihosting-config", "enable=on,target=native")
    quiet = ("-nographic", "-monitor", "none", "-serial", "none")
    emulator = (*target.emulator, *hosting, "-icount", "shift=0", *quiet, "-kernel")
    records = run_program(sources, images, compiler, emulator)
    return Emulated(
        answers_of(records), records["ticks"] * target.per_tick, int(records["stack"].max())
    )


def run_program(
    sources: Path,
    images: npt.NDArray[np.uint8],
    compiler: Sequence[str],
    emulator: Sequence[str] = (),
) -> npt.NDArray[Any]:
    """Compile ``embedded.c`` with the network, run it on images, return its records."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "program"
        files = (str(PROGRAM), str(sources / "chiffres_model.c"))
        run(*compiler, f"-I{sources}", "-o", str(program), *files)
        images.tofile(folder / "images")
        run(*emulator, str(program), folder=folder)
        return np.fromfile(folder / "answers", RECORD)


def answers_of(records: npt.NDArray[Any]) -> Answers:
    """Return the answers in the records."""
    return Answers(records["scores"], records["digit"], records["confidence"])


def run(*command: str, folder: Path | None = None) -> str:
    """Return what a command printed.

    Raises:
        JobError: it ended with an error, or did not end; the message has the last that it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired as error:
        raise JobError(f"{command[0]}: did not end within {SECONDS} seconds") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-8:]
        raise JobError(f"{command[0]} ended with code {done.returncode}: {' / '.join(said)[:800]}")
    return done.stdout


def _check_tools(target: Target) -> None:
    if target.missing:
        raise MissingToolError(f"running on {target.name}", target.missing, target.packages)
