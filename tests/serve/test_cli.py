"""``chiffres serve`` says what is wrong before it serves anything."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chiffres.errors import ModelFileError
from chiffres.serve.models import served_models
from tests.serve import networks
from tests.test_layers import FRAMEWORKS

FIXTURES = Path(__file__).parents[1] / "fixtures"
WITHOUT = """
import sys
sys.modules["uvicorn"] = None
from chiffres.cli import main
sys.argv = ["chiffres", "serve"]
main()
"""


def chiffres(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chiffres", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_missing_extra_is_named() -> None:
    command = [sys.executable, "-c", WITHOUT]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "pip install 'chiffres[serve]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_no_training_framework_is_loaded_to_serve() -> None:
    code = "import sys, chiffres.serve.server; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert FRAMEWORKS.isdisjoint(run.stdout.split())


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = chiffres("--port", str(taken.getsockname()[1]))
    assert run.returncode == 1
    assert "choose another with --host or --port" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_model_that_is_missing_is_said_and_a_host_for_others_warned_of() -> None:
    run = chiffres("--model", "no-such.onnx", "--host", "0.0.0.0")
    assert run.returncode == 2
    assert "warning: whoever reaches 0.0.0.0" in run.stderr
    assert "no-such.onnx: no such file" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_keras_model_is_converted_in_a_process_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "keras3-dense.onnx"
    own.write_bytes(networks.dense())
    models = served_models([str(FIXTURES / "keras3-dense.h5"), str(own)])
    assert [model.name for model in models if not model.shipped] == [
        "keras3-dense",
        "keras3-dense-2",
    ]
    assert models[0].name == "reader"
    damaged = tmp_path / "model.h5"
    damaged.write_bytes(b"no HDF5")
    with pytest.raises(ModelFileError, match=r"model\.h5"):
        served_models([str(damaged)])
