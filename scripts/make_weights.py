"""Make a model that comes with Chiffres anew: train, calibrate, judge it, put it in its place.

    python scripts/make_weights.py [reader]

The run goes to ``runs/<name>-9000``; one that is there already is resumed. Beside the weights
lies the model card, as JSON and to read: what was trained on what, with what, for how long, and
everything that was measured. The test part is opened here, once, after all choices are made.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import model_card
from chiffres.data import Dataset, load_dataset
from chiffres.evaluation.calibrate import calibrate
from chiffres.evaluation.corrected import on_corrected_labels
from chiffres.evaluation.corrupt import robustness
from chiffres.evaluation.judge import JudgedRun, judge
from chiffres.evaluation.strangers import separation
from chiffres.export import export_model
from chiffres.models.named import SHIPPED
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

IMAGES_AT_ONCE = 100


def make(name: str) -> None:
    """Train, calibrate, judge and ship the model of the recipe ``name``."""
    dataset = load_dataset("mnist")
    recipe = load_recipe(name, ['data="mnist"'])
    run = Run(Path("runs") / f"{name}-{recipe.seed}")
    train(recipe, run.folder, dataset=dataset, resume=run.exists)
    if not run.metrics().get("calibration"):
        calibrate(run, dataset)
    for target in ("keras", "onnx"):
        export_model(run.folder, target, SHIPPED / f"{name}.{target}")
    card = card_of(judge(run, dataset), dataset, SHIPPED / f"{name}.onnx")
    model_card.write(name, card, CARD.replace("{name}", name), figures_of(card))


def card_of(judged: JudgedRun, dataset: Dataset, onnx: Path) -> dict[str, Any]:
    """Return all that is to be known of a model, as JSON."""
    corrected = on_corrected_labels(judged.test)
    under = robustness(judged.model, dataset)
    metrics = judged.run.metrics()
    return {
        "schema": 1,
        "recipe": metrics["recipe"],
        "environment": judged.run.environment(),
        "parameters": metrics["parameters"],
        "training_seconds": metrics["training_seconds"],
        "calibration": metrics["calibration"],
        "validation": judged.validation.summary(),
        "test": judged.test.summary(),
        "corrected": corrected.summary() if corrected else None,
        "robustness": {each: evaluation.accuracy for each, evaluation in under.items()},
        "strangers": dataclasses.asdict(separation(judged.model, judged.test)),
        "onnx": onnx_figures(onnx, judged, dataset),
    }


def onnx_figures(path: Path, judged: JudgedRun, dataset: Dataset) -> dict[str, Any]:
    """Return size and speed of the ONNX file, and how far its answers are from Keras's."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = dataset.test.images
    (answers,) = session.run(None, {"images": images})

    def seconds(n: int, times: int) -> float:
        some = {"images": images[:n]}
        return model_card.median_seconds(lambda: session.run(None, some), times)

    return {
        "bytes": path.stat().st_size,
        "largest_difference": float(np.abs(answers - judged.test.probabilities).max()),
        "cores": os.cpu_count(),
        "milliseconds_of_one": 1e3 * seconds(1, 300),
        "images_per_second": IMAGES_AT_ONCE / seconds(IMAGES_AT_ONCE, 30),
    }


def figures_of(card: dict[str, Any]) -> dict[str, str]:
    """Return the rows of the card to read."""
    test, under, strangers = card["test"], card["robustness"], card["strangers"]
    worst = min(under, key=under.__getitem__)
    low, high = test["accuracy_interval"]
    return {
        "accuracy, test part": f"{test['accuracy']:.2%} (95 % interval {low:.2%} – {high:.2%})",
        "the same on corrected labels": f"{card['corrected']['accuracy']:.2%} of "
        f"{card['corrected']['n']:,} digits",
        "accuracy, validation part": f"{card['validation']['accuracy']:.2%}",
        "expected calibration error, test part": f"{test['calibration_error']:.2%}",
        "misread among the surest 99 %": f"{test['errors_at_99_coverage']:.3%}",
        "accuracy under the 15 corruptions of MNIST-C": f"{np.mean(list(under.values())):.2%} "
        f"on average, {under[worst]:.2%} at worst ({worst})",
        "AUROC, digits against what is none": f"{strangers['auroc']:.4f}",
        "below this confidence it refuses": f"{card['calibration']['threshold']:.4f}",
        "parameters": f"{card['parameters']:,}",
        "ONNX file": f"{card['onnx']['bytes']:,} bytes; at most "
        f"{card['onnx']['largest_difference']:.1e} from Keras's answers",
        f"ONNX Runtime, {card['onnx']['cores']} cores": "one image in "
        f"{card['onnx']['milliseconds_of_one']:.2f} ms, "
        f"{card['onnx']['images_per_second']:,.0f} images/s in batches of {IMAGES_AT_ONCE}",
    }


CARD = """# Model card: `{name}`

Reads one handwritten digit, prepared as MNIST's were, and knows when it does not know. Input:
images `(n, 28, 28)` uint8, 0 = background, 255 = ink; output: the probability of each digit,
calibrated.

**For** digits written by hand with any pen. **Not for** letters, printed numbers or whole pages:
what is no digit gets a low confidence, most of the time. MNIST's digits were written by American
census employees and high-school students; other hands are read less well.

| | |
|---|---|
{rows}

Made by `make weights`, from this recipe, chosen on the validation part; the test part was opened
once, for this table.

```toml
{recipe}```
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="reader", help="the recipe (default: reader)")
    make(parser.parse_args().name)
