"""Make the network that reads digits that touch anew: train it, judge it, put it in its place.

    python scripts/make_strings.py

The run goes to ``runs/strings-9000``; one that is there already is resumed. Beside the weights lies
the model card. The strings that it is judged by are written with the digits of the test part, which
is opened here, once, after all choices are made.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

import model_card
from chiffres.data import Dataset, Digits, load_dataset
from chiffres.data.strings import COUNTS
from chiffres.data.strips import stacked
from chiffres.evaluation.intervals import wilson
from chiffres.export import export_model
from chiffres.models.named import SHIPPED
from chiffres.reading.network import StringNetwork
from chiffres.reading.touching import middles
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.strings import StringBatches
from chiffres.training.train import train

NAME = "strings"
JUDGED_BY = 10_000
"""Strings, about as many."""
BATCH = 50


def main() -> None:
    """Train, judge and ship the network."""
    dataset = load_dataset("mnist")
    recipe = load_recipe(NAME, ['data="mnist"'])
    run = Run(Path("runs") / f"{NAME}-{recipe.seed}")
    train(recipe, run.folder, dataset=dataset, resume=run.exists)
    onnx = export_model(run.folder, "onnx", SHIPPED / f"{NAME}.onnx")
    card = card_of(run, dataset, onnx)
    model_card.write(NAME, card, CARD, figures_of(card))


def card_of(run: Run, dataset: Dataset, onnx: Path) -> dict[str, Any]:
    """Return all that is to be known of the network, as JSON."""
    metrics = run.metrics()
    network = StringNetwork(onnx.read_bytes())
    pair = np.zeros((1, 28, 44), np.uint8)
    return {
        "schema": 1,
        "recipe": metrics["recipe"],
        "environment": run.environment(),
        "parameters": metrics["parameters"],
        "training_seconds": metrics["training_seconds"],
        "validation": read_right(network, dataset.validation),
        "test": read_right(network, dataset.test),
        "onnx": {
            "bytes": onnx.stat().st_size,
            "cores": os.cpu_count(),
            "milliseconds_of_a_pair": 1e3 * model_card.median_seconds(lambda: network(pair), 200),
        },
    }


def read_right(network: StringNetwork, digits: Digits) -> dict[str, list[int]]:
    """Return of strings of each number of digits how many are read exactly, of how many."""
    batches = StringBatches(digits, BATCH, seed=1, negatives=0.05)
    found = {str(count): [0, 0] for count in range(len(COUNTS) + 1)}
    for number in range(JUDGED_BY // BATCH):
        for string in batches.written(number):
            (answers,) = network(stacked([string.strip]))
            values = tuple(int(each.probabilities.argmax()) for each in middles(answers))
            counted = found[str(len(string.digits))]
            counted[0] += values == string.digits
            counted[1] += 1
    return found


def figures_of(card: dict[str, Any]) -> dict[str, str]:
    """Return the rows of the card to read."""
    return {
        f"strings of {count} digits read exactly, test part": shares(*card["test"][count])
        for count in card["test"]
        if count != "0"
    } | {
        "letters and signs in which nothing is read": shares(*card["test"]["0"]),
        "parameters": f"{card['parameters']:,}",
        "ONNX file": f"{card['onnx']['bytes']:,} bytes",
        f"ONNX Runtime, {card['onnx']['cores']} cores": "a pair in "
        f"{card['onnx']['milliseconds_of_a_pair']:.2f} ms",
    }


def shares(right: int, count: int) -> str:
    """Return a share with its interval."""
    low, high = wilson(right, count)
    return f"{right / count:.1%} (95 % interval {low:.1%} – {high:.1%}) of {count:,}"


CARD = """# Model card: `strings`

Reads handwritten digits that touch, from a strip of them 28 pixels high: for every second column it
answers which digit has its middle there, if any. Input: strips `(n, 28, width)` uint8,
0 = background, 255 = ink; output: `(n, 11, 1, width / 2)`, the probability that no digit has its
middle there, then that a 0 has, a 1, and so on.

**For** up to six digits that touch or nearly do, from any pen. **Not for** letters, nor for one
digit alone, which [`reader`](reader.md) reads better.

| | |
|---|---|
{rows}

The strings are made by chance ([how](../../data/strings.py)), with overlaps, small sizes, blur and
grain, and are harder than most that people write. Made by `make weights`, from this recipe, chosen
on the validation part; the test part was opened once, for this table.

```toml
{recipe}```
"""


if __name__ == "__main__":
    main()
