"""The command line as its user meets it, in a process of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chiffres.data import Dataset
from chiffres.evaluation.corrupt import CORRUPTIONS
from chiffres.models.files import load_model
from chiffres.training.run import Run
from tests.command import chiffres

COMMANDS = [
    [],
    ["lab"],
    ["train"],
    ["sweep"],
    ["compare"],
    ["evaluate"],
    ["calibrate"],
    ["predict"],
    ["export"],
    ["serve"],
    ["data"],
    ["data", "list"],
    ["data", "show"],
    ["data", "fetch"],
]


@pytest.fixture(scope="module")
def digits_file(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "small.npz"
    np.savez(path, images=small.development.images, labels=small.development.labels)
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "chiffres")
def test_every_command_explains_itself(command: list[str]) -> None:
    shown = chiffres(*command, "--help", cold=True)
    assert shown.returncode == 0
    assert shown.stderr == ""
    if command not in ([], ["data"]):
        assert f"Example: chiffres {' '.join(command)}" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom chiffres.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'keras', 'torch', 'sklearn', 'matplotlib', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "conw"], "unknown recipe 'conw' (did you mean 'conv'?)"),
        (["train", "conv", "--set", "learning_rat=1"], "did you mean 'learning_rate'?"),
        (["train", "conv", "--set", "epochs=ten"], "epochs = 'ten': expected a valid integer"),
        (["train", "conv", "--data", "mnits"], "unknown dataset 'mnits' (did you mean 'mnist'?)"),
        (
            ["train", "dense", "--data", "digits", "--set", "augment=readr"],
            "unknown augmentation 'readr' (did you mean 'reader'?)",
        ),
        (["train", "conv", "--set", "momentum=0.9"], "momentum = 0.9: adam does not use it"),
        (["lab", "--data", "digits", "--lang", "de"], "unknown language 'de'"),
        (["lab", "--data", "digits", "--models", "conv,conv"], "conv, conv"),
        (["train", "dense", "--log", "mlfow"], "unknown tracker 'mlfow' (did you mean 'mlflow'?)"),
        (["train", "dense", "--data", "digits", "--set", "dropout=0.5"], "has no dropout to set"),
        (["sweep", "conv-dropout", "--data", "digits", "--over", "dropout=2"], "less than 1"),
        (["sweep", "dense", "--data", "digits", "--over", "seed=1,2"], "use --seeds"),
        (["evaluate", "nowhere"], "nowhere: no such run folder or model file"),
        (["calibrate", "nowhere"], "nowhere: no such run folder"),
        (["export", "nowhere", "--to", "h5"], "nowhere: no such"),
        (["data", "show", "npz:"], "write npz:PATH"),
        (["data", "show", "digits", "--augment", "ligt"], "(did you mean 'light'?)"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    shown = chiffres(*arguments, cwd=tmp_path)
    assert shown.returncode == 2, shown.stderr
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert shown.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "conw"],
        ["sweep", "conv", "--over", "dropout=0", "--on", "mars"],
        ["lab", "--lang", "de"],
        ["evaluate", "nowhere"],
        ["predict", "nowhere", "digit.png"],
        ["export", "nowhere", "--to", "c"],
    ],
    ids=" ".join,
)
def test_a_wrong_name_is_said_without_a_framework(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom chiffres.cli import app\n"
        f"try:\n    app({arguments})\nexcept SystemExit as end:\n    print(end.code)\n"
        "print(sorted({'keras', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == ["2", "[]"]
    assert shown.stderr.startswith("error: ")


def test_a_damaged_file_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "broken.h5").write_bytes(b"not a model")
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    for arguments in (
        ["compare", "broken.npz"],
        ["evaluate", "broken.h5", "--data", "digits"],
        ["data", "show", "npz:broken.npz"],
    ):
        shown = chiffres(*arguments, cwd=tmp_path)
        assert shown.returncode == 1
        assert shown.stderr.startswith("error: broken.")
        assert len(shown.stderr.splitlines()) == 1


def test_train_evaluate_export_and_predict_follow_each_other(
    small: Dataset, digits_file: Path, tmp_path: Path
) -> None:
    data = f"npz:{digits_file}"
    trained = chiffres(
        *("train", "conv", "--data", data, "--set", "epochs=2", "--set", "scale=unit"),
        *("--set", "learning_rate=0.001", "--out", "run"),
        cwd=tmp_path,
        cold=True,
    )
    assert trained.returncode == 0, trained.stderr
    assert "epoch 2/2" in trained.stderr
    for name in ("accuracy.png", "loss.png"):
        with Image.open(tmp_path / "run" / name) as image:
            assert image.width > 500

    evaluated = chiffres("evaluate", "run", "--json", cwd=tmp_path)
    document = json.loads(evaluated.stdout)
    assert document["dataset"] == data
    assert document["n"] == 50
    low, high = document["accuracy_interval"]
    assert low < document["accuracy"] < high

    shown = chiffres("evaluate", "run", "--pictures", "drawn", cwd=tmp_path)
    assert "95 % interval" in shown.stdout
    assert (tmp_path / "drawn" / "confusion.png").is_file()

    exported = chiffres("export", "run", "--to", "h5", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.startswith("Lab2.mnist.conv.h5: ")
    assert exported.stderr == ""

    Image.fromarray(small.test.images[0]).save(tmp_path / "digit.png")
    (tmp_path / "text.png").write_text("not a picture")
    predicted = chiffres("predict", "Lab2.mnist.conv.h5", "text.png", "digit.png", cwd=tmp_path)
    assert predicted.returncode == 1
    assert predicted.stderr == "error: text.png: not an image of a known format\n"
    (row,) = [line.split() for line in predicted.stdout.splitlines() if "digit.png" in line]
    assert row[1] == str(np.argmax([float(p) for p in row[2:]]))
    assert sum(float(p) for p in row[2:]) == pytest.approx(1, abs=0.01)


def test_train_from_a_model_tunes_it_gently(
    dense_run: Run, digits_file: Path, tmp_path: Path
) -> None:
    tuned = chiffres(
        *("train", "dense", "--data", f"npz:{digits_file}", "--from", dense_run.folder),
        *("--set", "epochs=1", "--set", "scale=unit", "--out", "tuned"),
        cwd=tmp_path,
    )
    assert tuned.returncode == 0, tuned.stderr
    recipe = Run(tmp_path / "tuned").recipe()
    assert recipe.start == str(dense_run.folder)
    assert (recipe.learning_rate, recipe.epochs) == (1e-5, 1)


@pytest.fixture
def run(dense_run: Run, digits_file: Path, tmp_path: Path) -> Path:
    """Copy a finished run, trained on the digits of the file, to be calibrated."""
    folder = shutil.copytree(dense_run.folder, tmp_path / "run")
    recipe = dense_run.recipe().model_copy(update={"data": f"npz:{digits_file}"})
    (folder / "recipe.toml").write_text(recipe.toml(), encoding="utf-8")
    return Path(folder)


def test_calibrate_says_what_it_found(run: Path) -> None:
    before = json.loads(chiffres("evaluate", run, "--part", "validation", "--json").stdout)
    shown = chiffres("calibrate", run)
    assert shown.returncode == 0, shown.stderr
    found = Run(run).metrics()["calibration"]
    temperature, threshold = shown.stdout.splitlines()
    assert temperature == (
        f"temperature {found['temperature']:.3f}: calibration error on the validation part "
        f"{before['calibration_error']:.2%} → {found['calibration_error']:.2%}"
    )
    assert threshold == (
        f"threshold {found['threshold']:.4f}: {found['coverage']:.2%} of the validation digits "
        "have this confidence or more, and at most 1 in 1,000 of them is misread"
    )
    after = json.loads(chiffres("evaluate", run, "--part", "validation", "--json").stdout)
    assert after["accuracy"] == before["accuracy"]
    assert after["loss"] < before["loss"]

    again = chiffres("calibrate", run, "--lang", "fr")
    assert again.stdout.startswith(f"température {found['temperature']:.3f}".replace(".", ","))


def test_calibrate_without_a_threshold_to_find(run: Path) -> None:
    path = Run(run).model_path
    model = load_model(path, compile=True)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([-kernel, bias])  # the least likely digit first
    model.save(path)
    shown = chiffres("calibrate", run)
    assert shown.returncode == 0, shown.stderr
    assert "no threshold: whatever confidence is asked for, more than 1 in 1,000" in shown.stdout


def test_what_is_no_finished_run_is_not_calibrated(run: Path) -> None:
    model = run / "model.keras"
    shown = chiffres("calibrate", model)
    assert shown.returncode == 1
    assert shown.stderr == f"error: {model}: not a run folder: it has no recipe.toml\n"
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 3", "epochs = 4"))
    shown = chiffres("calibrate", run)
    assert shown.returncode == 1
    assert "3 of 4 epochs are trained; finish the training first" in shown.stderr


def test_evaluate_says_how_far_to_trust_a_model(run: Path) -> None:
    arguments = ("evaluate", run, "--part", "validation", "--robustness", "--strangers")
    as_json = chiffres(*arguments, "--json")
    assert as_json.returncode == 0, as_json.stderr
    assert as_json.stderr == ""
    document = json.loads(as_json.stdout)
    assert list(document["robustness"]) == list(CORRUPTIONS)
    mean = np.mean(list(document["robustness"].values()))
    assert mean < document["accuracy"]
    assert set(document["strangers"]) == {"auroc", "by_kind"}
    assert set(document["strangers"]["by_kind"]) == {"letter", "drawing", "scribble", "texture"}
    assert 0.5 < document["strangers"]["auroc"] < 1

    shown = chiffres(*arguments, "--lang", "fr")
    assert (
        f"erreur de calibration {document['calibration_error']:.2%}, mal lus parmi les 99% les "
        f"plus sûrs {document['errors_at_99_coverage']:.2%}"
    ) in as_english(shown.stdout)
    rows = [line.split() for line in as_english(shown.stdout).splitlines() if line.strip()]
    for name, accuracy in document["robustness"].items():
        (row,) = [row for row in rows if row[0] == name]
        assert row[1] == f"{accuracy:.2%}"
    assert ["moyenne", f"{mean:.2%}", "·"] in rows
    assert ["lettre", f"{document['strangers']['by_kind']['letter']:.4f}"] in rows
    assert ["total", f"{document['strangers']['auroc']:.4f}"] in rows


def as_english(text: str) -> str:
    """Return French text with its numbers as Python writes them."""
    return re.sub(r"(?<=\d),(?=\d)", ".", text).replace("\N{NO-BREAK SPACE}%", "%")


def test_the_lab_goes_on_where_it_was_and_writes_the_report(
    digits_file: Path, tmp_path: Path
) -> None:
    arguments = ["lab", "--data", f"npz:{digits_file}", "--models", "dense", "--out", "lab"]
    first = chiffres(*arguments, "--epochs", 1, "--lang", "fr", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "le rapport: lab" in first.stdout
    assert "exactitude" not in first.stderr
    assert "dense" in first.stdout
    history = (tmp_path / "lab" / "dense" / "history.csv").read_bytes()

    again = chiffres(*arguments, "--epochs", 1, "--lang", "en", cwd=tmp_path)
    assert "epoch" not in again.stderr
    assert (tmp_path / "lab" / "dense" / "history.csv").read_bytes() == history
    assert '<html lang="en">' in (tmp_path / "lab" / "report.html").read_text(encoding="utf-8")

    other = chiffres(*arguments, "--epochs", 2, cwd=tmp_path)
    assert other.returncode == 2
    assert "epochs: 1 → 2" in other.stderr
    assert Run(tmp_path / "lab" / "dense").metrics()["test"]["n"] == 50


def test_the_lab_with_seeds_and_folds_is_compared_again(digits_file: Path, tmp_path: Path) -> None:
    shown = chiffres(
        *("lab", "--data", f"npz:{digits_file}", "--models", "dense", "--epochs", 1, "--seeds", 2),
        *("--folds", 2, "--set", "scale=unit", "--out", "lab"),
        cwd=tmp_path,
    )
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "lab" / "dense-9001" / "model.keras").is_file()
    page = (tmp_path / "lab" / "report.html").read_text(encoding="utf-8")
    assert "trained on 2 folds less one, 225 digits" in page
    assert "--set scale=unit --set epochs=1 --seeds 2 --folds 2 --lang en" in page

    compared = chiffres("compare", "lab", "--json", "--out", "page.html", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    (model,) = json.loads(compared.stdout)["models"]
    assert [run["seed"] for run in model["runs"]] == [9000, 9001]
    assert model["accuracy_mean"] == np.mean([run["accuracy"] for run in model["runs"]])
    assert "chiffres compare lab --lang en" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_sweep_trains_side_by_side_and_ends_in_the_report(
    digits_file: Path, tmp_path: Path
) -> None:
    arguments = (
        *("sweep", "dense", "--data", f"npz:{digits_file}", "--over", "batch_size=32,128"),
        *("--set", "epochs=1", "--set", "scale=unit", "--jobs", 2, "--out", "sweep"),
    )
    shown = chiffres(*arguments, cwd=tmp_path, cold=True)
    assert shown.returncode == 0, shown.stderr
    told = sorted(line[4:].split(":")[0] for line in shown.stderr.splitlines())
    assert told == ["batch_size=128 seed-9000", "batch_size=32 seed-9000"]
    assert re.search(r"batch_size=\d+ .* (is better than|cannot be told apart)", shown.stdout)
    assert "the report: sweep" in shown.stdout
    assert (tmp_path / "sweep" / "report.html").is_file()

    again = chiffres(*arguments, cwd=tmp_path)
    assert again.returncode == 2
    assert "holds a sweep already; resume it (--resume)" in again.stderr


def test_a_training_that_fails_is_told_in_the_sweep_s_exit_code(
    digits_file: Path, tmp_path: Path
) -> None:
    shown = chiffres(
        *("sweep", "dense", "--data", f"npz:{digits_file}", "--over", "learning_rate=0.001,1e30"),
        *("--set", "epochs=1", "--set", "optimizer=sgd", "--jobs", 1, "--out", "sweep"),
        cwd=tmp_path,
        cold=True,
    )
    assert shown.returncode == 1
    assert "learning_rate=1e30 seed-9000: the loss is not a number" in shown.stderr
    assert "the report: sweep" in shown.stdout


def test_data_show_prints_the_lab_s_lines_and_draws(digits_file: Path, tmp_path: Path) -> None:
    shown = chiffres("data", "show", f"npz:{digits_file}", "--out", "drawn", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for line in (
        "Size of the training_set:  (450, 28, 28)",
        "Size of the test_set:  (50, 28, 28)",
        "Shape of each image:  (28, 28)",
        "Total number of classes:  10",
        "Unique class labels:  [0 1 2 3 4 5 6 7 8 9]",
        "Training Examples 400",
        "Validation Examples 50",
        "Test Examples 50",
    ):
        assert line in shown.stdout
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 2


def test_data_show_draws_what_an_augmentation_does(digits_file: Path, tmp_path: Path) -> None:
    shown = chiffres("data", "show", f"npz:{digits_file}", "--augment", "reader", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    (drawn,) = tmp_path.glob("*-augmented-reader.png")
    assert shown.stdout.splitlines()[-1] == drawn.name
    assert len(list(tmp_path.iterdir())) == 3
    with Image.open(drawn) as image:
        assert min(image.size) > 1000


def test_data_list_names_every_dataset() -> None:
    shown = chiffres("data", "list", cold=True)
    for name in ("mnist", "mnist-5k", "digits", "auto", "folder:DIR", "npz:FILE", "idx:FILE"):
        assert name in shown.stdout


def test_the_version_is_the_package_s() -> None:
    assert chiffres("--version", cold=True).stdout == "chiffres 0.1.0\n"
