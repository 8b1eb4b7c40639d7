"""A recipe trained with several seeds, each run judged once, and all of them together.

    python benchmarks/seeds.py reader [--seeds 5] [--set KEY=VALUE]... [--answers FOLDER]

The runs are ``runs/<recipe>-<seed>``; those that are there already are resumed, or taken as they
are. With ``--answers``, what each answered to the test part is kept there, and a seed whose answers
are there is not trained again. Prints a table in Markdown: mean and standard deviation over the
seeds, on MNIST's test part and on its corrected labels, and the same of the ensemble, whose answer
is the mean of all answers.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chiffres.data import Dataset, load_dataset
from chiffres.evaluation.corrected import on_corrected_labels
from chiffres.evaluation.judge import judge
from chiffres.evaluation.metrics import Evaluation
from chiffres.storage import replacing
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

FIRST_SEED = 9000
MOST = 2**16 - 1
"""A probability of 1, as it is kept."""


def answers_of(name: str, recipe: Recipe, folder: Path | None, dataset: Dataset) -> Evaluation:
    """Return what a recipe's network answers to the test part; train it if need be."""
    file = folder / f"{name}-{recipe.seed}.npz" if folder else None
    if file and file.is_file():
        with np.load(file) as kept:
            made_with = (str(kept["recipe"]), str(kept["dataset"]))
            if made_with != (recipe.toml(), dataset.checksum):
                raise SystemExit(f"{file}: of another recipe or other digits; delete it")
            probabilities = kept["probabilities"] / MOST
        return Evaluation(recipe.model, dataset.name, "test", dataset.test, probabilities)
    run = Run(Path("runs") / f"{name}-{recipe.seed}")
    test = judge(train(recipe, run.folder, dataset=dataset, resume=run.exists), dataset).test
    if file:
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                probabilities=np.rint(MOST * test.probabilities).astype(np.uint16),
                recipe=recipe.toml(),
                dataset=dataset.checksum,
            )
    return test


def ensemble(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return what all of them answer together."""
    mean = np.mean([each.probabilities for each in evaluations], axis=0)
    return dataclasses.replace(evaluations[0], probabilities=mean)


def row(name: str, evaluations: Sequence[Evaluation]) -> str:
    """Return the accuracies of one or several evaluations as a row of the table."""
    corrected = [on_corrected_labels(each) or each for each in evaluations]
    cells = []
    for several in (evaluations, corrected):
        accuracies = 100 * np.array([each.accuracy for each in several])
        spread = f" ± {accuracies.std(ddof=1):.3f}" if len(accuracies) > 1 else ""
        cells.append(f"{accuracies.mean():.3f}{spread} %")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--answers", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    dataset = load_dataset("mnist")
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    settings = ['data="mnist"', *arguments.settings]
    recipes = [load_recipe(arguments.recipe, [*settings, f"seed={seed}"]) for seed in seeds]
    tests = [answers_of(arguments.recipe, recipe, arguments.answers, dataset) for recipe in recipes]
    print(f"| `{arguments.recipe}` | test part | corrected labels |\n|---|---:|---:|")
    for seed, test in zip(seeds, tests, strict=True):
        print(row(f"seed {seed}", [test]))
    print(row(f"mean of {len(tests)} seeds", tests))
    print(row("ensemble", [ensemble(tests)]))


if __name__ == "__main__":
    main()
