from __future__ import annotations

import subprocess
import sys

import chiffres


def test_the_public_names_are_few_sorted_and_there() -> None:
    assert chiffres.__all__ == sorted(chiffres.__all__)
    assert len(chiffres.__all__) <= 15
    assert set(chiffres.__all__) <= set(dir(chiffres))
    assert [name for name in chiffres.__all__ if not hasattr(chiffres, name)] == []


def test_importing_chiffres_imports_nothing_heavy() -> None:
    code = "import sys, chiffres; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "chiffres" in run.stdout.split()
    assert {"numpy", "keras", "torch", "pydantic", "rich"}.isdisjoint(run.stdout.split())
