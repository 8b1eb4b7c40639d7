from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from chiffres.models.backend import BACKEND

if BACKEND == "torch":
    import torch

    from chiffres.native import kernels

KERNELS = Path(__file__).parents[2] / "src/chiffres/native/kernels.c"


@pytest.fixture(scope="session")
def compiler() -> str:
    """A C compiler, which the machine that tests may lack."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler on the path")
    return found


@pytest.fixture(scope="session", params=["baseline", "avx2", "avx512"])
def library(request: pytest.FixtureRequest) -> ctypes.CDLL:
    """The kernels as the package's build compiled them, for each set that this processor has."""
    baseline = kernels.open_library(kernels.built("baseline"))
    if baseline is None:
        pytest.skip("the C kernels were not built: no C compiler when Chiffres was installed")
    if kernels.INSTRUCTION_SETS.index(request.param) > baseline.instruction_set():
        pytest.skip(f"this processor has no {request.param}")
    library = kernels.open_library(kernels.built(request.param))
    assert library is not None
    return library


@pytest.fixture
def native(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """``library``, in use."""
    monkeypatch.setattr(kernels, "LIBRARY", library)
    return library


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """What the kernels run on; Torch itself is left alone, as it does not forget such a change."""
    count: int = request.param
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    return count


def run(*command: str) -> str:
    """Return what ``command`` printed; fail with all it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
