"""A recipe trained with several seeds, each run judged once, and all of them together.

    python benchmarks/seeds.py reader [--seeds 5] [--set KEY=VALUE]... [--answers FOLDER]
        [--misread PICTURE] [--curves PICTURE] [--lang en]

The runs are ``runs/<recipe>-<seed>``, calibrated on the validation part; those that are there
already are resumed, or taken as they are. With ``--answers``, what each answered to the test part
is kept there, with its history, and a seed whose answers are there is not trained again. Prints a
table in Markdown: mean and standard deviation over the seeds, on MNIST's test part and on its
corrected labels, how many of the surest 99 % are misread, and the same of the ensemble, whose
answer is the mean of all answers. ``--misread`` draws every test digit that the first seed
misreads, ``--curves`` the losses of all.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from chiffres.data import Dataset, load_dataset
from chiffres.evaluation.calibrate import calibrate
from chiffres.evaluation.corrected import CORRECTED, DISPUTED, on_corrected_labels
from chiffres.evaluation.judge import judge
from chiffres.evaluation.metrics import Evaluation
from chiffres.report import figures
from chiffres.report.words import Words, languages
from chiffres.storage import replacing
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import COLUMNS, History, Run
from chiffres.training.train import train

FIRST_SEED = 9000
MOST = 2**16 - 1
"""A probability of 1, as it is kept."""
ACROSS = 7
"""Misread digits in a row of the picture."""


class Seed(NamedTuple):
    """What a training left: its answers to the test part, and its history."""

    test: Evaluation
    history: History


def trained(name: str, recipe: Recipe, folder: Path | None, dataset: Dataset) -> Seed:
    """Return what a recipe's training leaves; train it if need be."""
    file = folder / f"{name}-{recipe.seed}.npz" if folder else None
    if file and file.is_file():
        return kept(file, recipe, dataset)
    run = Run(Path("runs") / f"{name}-{recipe.seed}")
    train(recipe, run.folder, dataset=dataset, resume=run.exists)
    calibrate(run, dataset)
    test = judge(run, dataset).test
    if file:
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                probabilities=np.rint(MOST * test.probabilities).astype(np.uint16),
                history=np.array([run.history()[column] for column in COLUMNS]),
                recipe=recipe.toml(),
                dataset=dataset.checksum,
            )
    return Seed(test, run.history())


def kept(file: Path, recipe: Recipe, dataset: Dataset) -> Seed:
    """Return what a training left, from where it was kept."""
    with np.load(file) as arrays:
        made_with = (str(arrays["recipe"]), str(arrays["dataset"]))
        if made_with != (recipe.toml(), dataset.checksum):
            raise SystemExit(f"{file}: of another recipe or other digits; delete it")
        probabilities = arrays["probabilities"] / MOST
        history = dict(zip(COLUMNS, arrays["history"].tolist(), strict=True))
    test = Evaluation(recipe.model, dataset.name, "test", dataset.test, probabilities)
    return Seed(test, history)


def ensemble(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return what all of them answer together."""
    mean = np.mean([each.probabilities for each in evaluations], axis=0)
    return dataclasses.replace(evaluations[0], probabilities=mean)


def row(name: str, evaluations: Sequence[Evaluation]) -> str:
    """Return the figures of one or several evaluations as a row of the table."""
    corrected = [on_corrected_labels(each) or each for each in evaluations]
    cells = [
        with_spread([100 * each.accuracy for each in evaluations], 3, " %"),
        with_spread([100 * each.accuracy for each in corrected], 3, " %"),
        with_spread([1e4 * each.errors_at_99_coverage for each in evaluations], 1),
        with_spread([1e4 * each.errors_at_99_coverage for each in corrected], 1),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def with_spread(values: Sequence[float], decimals: int, unit: str = "") -> str:
    """Return the mean, and the standard deviation where there are several."""
    spread = f" ± {np.std(values, ddof=1):.{decimals}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{decimals}f}{spread}{unit}"


def table(seeds: Mapping[int, Seed]) -> str:
    """Return the figures of each seed, of all, and of the ensemble."""
    tests = [seed.test for seed in seeds.values()]
    (name,) = {test.model for test in tests}
    return "\n".join(
        [
            f"| `{name}` | test part | corrected labels | misread of the surest 99 %, in 10,000 "
            "| … on corrected labels |",
            "|---|---:|---:|---:|---:|",
            *(row(f"seed {seed}", [trained.test]) for seed, trained in seeds.items()),
            row("mean", tests),
            row("ensemble", [ensemble(tests)]),
        ]
    )


def misread(seeds: Sequence[Seed], words: Words) -> Figure:
    """Draw each digit that the first seed misreads, and how many of all do."""
    first = seeds[0].test
    cells = []
    for index in first.misread():
        image, label = first.digits.images[index], first.digits.labels[index]
        read, confidence = first.predicted[index], first.probabilities[index].max()
        times = sum(not seed.test.right[index] for seed in seeds)
        caption = f"{label} → {read}, {words.percent(confidence, 0)}\n{times}/{len(seeds)}"
        cells.append((image, caption + wrong_label(int(index))))
    rows = [cells[start : start + ACROSS] for start in range(0, len(cells), ACROSS)]
    return figures.gallery(rows, inches=0.9, down=0.5)


def wrong_label(index: int) -> str:
    """Say what people see in a test digit of MNIST whose label is wrong or disputed."""
    if index in DISPUTED:
        return " (?)"
    return f" ({CORRECTED[index]})" if index in CORRECTED else ""


def curves(seeds: Sequence[Seed], words: Words) -> Figure:
    """Draw the losses of all seeds after each epoch."""
    history = {column: np.array([seed.history[column] for seed in seeds]) for column in COLUMNS}
    return figures.learning_curve(history, "loss", words)


def main() -> None:
    """Train what is missing, print the table and draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--answers", type=Path, metavar="FOLDER")
    parser.add_argument("--misread", type=Path, metavar="PICTURE")
    parser.add_argument("--curves", type=Path, metavar="PICTURE")
    parser.add_argument("--lang", default="en", choices=languages())
    arguments = parser.parse_args()
    dataset, words = load_dataset("mnist"), Words(arguments.lang)
    seeds = {}
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
        settings = ['data="mnist"', *arguments.settings, f"seed={seed}"]
        recipe = load_recipe(arguments.recipe, settings)
        seeds[seed] = trained(arguments.recipe, recipe, arguments.answers, dataset)
    print(table(seeds))
    for draw, path in ((misread, arguments.misread), (curves, arguments.curves)):
        if path:
            figures.save(draw(list(seeds.values()), words), path)


if __name__ == "__main__":
    main()
