"""Exported networks on the instruction sets they are for, emulated.

``make embedded`` runs them on all of MNIST's test part; here, on a few digits.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chiffres.bench import embedded, on_targets
from chiffres.cli import app
from chiffres.data import Dataset
from chiffres.errors import JobError, MissingToolError
from chiffres.export.c import generate, sizes
from chiffres.export.c.chain import as_chain
from chiffres.export.c.network import Network
from chiffres.export.c.quantize import quantize
from chiffres.export.c.reference import classify
from chiffres.models.backend import keras
from chiffres.training.run import Run
from tests.export.c.conftest import NOISE, assert_same, sequential, with_random_weights
from tests.export.c.test_quantize import normalized, on_grid

layers = keras.layers


@pytest.fixture(params=embedded.TARGETS)
def target(request: pytest.FixtureRequest) -> embedded.Target:
    """Each processor that this machine can compile for and emulate."""
    found = embedded.TARGETS[request.param]
    if found.missing:
        pytest.skip(f"no {', '.join(found.missing)} here: make embedded installs them")
    return found


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    """Networks that need, together, every part of the C code."""
    stack = [
        layers.Rescaling(1 / 127.5, -1),
        layers.Conv2D(4, 3, padding="same"),
        layers.AveragePooling2D(3),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2, padding="same"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
    models = {
        "everything": with_random_weights(sequential(*stack)),
        "four bits": on_grid(np.random.default_rng(4), 4),
        "eight bits": on_grid(np.random.default_rng(8), 8),
        "factors": normalized(np.random.default_rng(3)),
    }
    return {name: quantize(as_chain(model), NOISE) for name, model in models.items()}


def written(network: Network, folder: Path) -> Path:
    for name, text in generate.model_files(network, "test", "a test").items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", ["everything", "four bits", "eight bits", "factors"])
def test_every_score_is_that_of_the_reference(
    name: str,
    networks: dict[str, Network],
    target: embedded.Target,
    mnist_5k: Dataset,
    tmp_path: Path,
) -> None:
    network = networks[name]
    count = int(os.environ.get("CHIFFRES_EMBEDDED_IMAGES", "12"))
    images = np.concatenate([NOISE, mnist_5k.test.images[:count]])
    found = embedded.emulate(written(network, tmp_path), target, images)
    assert_same(found.answers, classify(network, images))
    assert 0 < found.stack <= sizes.STACK
    assert (found.instructions > network.multiplications / 2).all()
    assert (found.instructions < 40 * network.multiplications + 20_000).all()


def test_the_linked_network_takes_what_its_header_says(
    networks: dict[str, Network], target: embedded.Target, tmp_path: Path
) -> None:
    for network in networks.values():
        linked = embedded.link(written(network, tmp_path), target)
        said = sizes.sizes(network)
        more = 1.0 if target.name == "Cortex-M0" else 1.4  # it is said for a Cortex-M0
        assert said.data <= linked.flash <= said.data + more * said.code
        assert said.memory <= linked.ram <= said.memory + 8


def test_a_network_that_does_not_fit_the_target_is_an_error(tmp_path: Path) -> None:
    target = embedded.TARGETS["cortex-m0"]
    if target.missing:
        pytest.skip(f"no {', '.join(target.missing)} here: make embedded installs them")
    model = sequential(layers.Flatten(), layers.Dense(700), layers.Dense(10))
    sources = written(quantize(as_chain(model), NOISE[:1]), tmp_path)
    with pytest.raises(JobError, match=r"gcc ended with code 1: .*flash"):
        embedded.emulate(sources, target, NOISE[:1])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    target = embedded.TARGETS["cortex-m0"]
    with pytest.raises(MissingToolError, match=r"needs arm-none-eabi-gcc, .* apt-get install gcc-"):
        embedded.link(tmp_path, target)
    with pytest.raises(MissingToolError, match="running on Cortex-M0"):
        embedded.emulate(tmp_path, target, NOISE)


def test_the_command_prints_what_was_measured(dense_run: Run) -> None:
    names = [name for name, target in embedded.TARGETS.items() if not target.missing]
    if "cortex-m4" not in names:
        pytest.skip("no compiler or emulator for the Cortex-M4 here: make embedded installs them")
    arguments = ["bench", "embedded", str(dense_run.folder), "--data", "mnist-5k", "--images", "7"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["schema"], document["bench"]) == (1, "embedded")
    row = next(row for row in document["rows"] if row["target"] == "Cortex-M4")
    assert (row["model"], row["images"], row["agree"]) == ("dense", 7, 7)
    assert row["instructions"] <= row["most_instructions"]
    assert "Cortex-M0: skipped, dense does not fit the emulated board" in result.stderr
    options = ["--targets", "cortex-m4", "--markdown", "--lang", "fr"]
    said = CliRunner().invoke(app, [*arguments, *options]).stdout
    assert "| processeur |" in said
    assert "| dense | Cortex-M4 | 1 | 7 / 7 |" in said


def test_a_processor_that_is_not_known_is_named(dense_run: Run) -> None:
    arguments = ["bench", "embedded", str(dense_run.folder), "--data", "mnist-5k"]
    result = CliRunner().invoke(app, [*arguments, "--targets", "cortex-m5"])
    assert result.exit_code == 2
    assert "unknown target 'cortex-m5' (did you mean 'cortex-m4'?)" in result.output


def rows() -> list[on_targets.Row]:
    one = on_targets.Row(
        model="micro",
        target="Cortex-M0",
        images=100,
        agree=100,
        accuracy=0.99,
        float_accuracy=0.99,
        flash=10_000,
        ram=2_000,
        stack=180,
        instructions=2_000_000,
        most_instructions=2_000_001,
        multiplications=400_032,
        parameters=17_674,
    )
    other = dataclasses.replace(one, accuracy=0.98, agree=99, flash=10_004)
    return [one, other, dataclasses.replace(one, target="Cortex-M4")]


def test_the_runs_of_a_model_are_one_line(tmp_path: Path) -> None:
    saved = tmp_path / "bench.json"
    saved.write_text(json.dumps(on_targets.as_json(rows())))
    arguments = ["bench", "embedded", "--from", str(saved), "--chart", str(tmp_path / "chart.png")]
    result = CliRunner().invoke(app, [*arguments, "--markdown", "--lang", "en"])
    assert result.exit_code == 0, result.output
    line = (
        "| micro | Cortex-M0 | 2 | 199 / 200 | 98.50% | 99.00% | 10,004 | 2,000 | 180 | 2,000,000 |"
    )
    assert line in result.stdout
    assert "| micro | Cortex-M4 | 1 | 100 / 100 |" in result.stdout
    assert (tmp_path / "chart.png").stat().st_size > 10_000


def test_nothing_to_measure_and_nothing_to_show(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"rows": [{"model": 1}]}')
    for arguments, problem in (
        (["--from", str(tmp_path / "other.json")], "other.json: not what chiffres bench embedded"),
        (["--from", str(tmp_path / "none.json")], "none.json: not what chiffres bench embedded"),
    ):
        result = CliRunner().invoke(app, ["bench", "embedded", *arguments])
        assert result.exit_code == 2
        assert problem in result.output
