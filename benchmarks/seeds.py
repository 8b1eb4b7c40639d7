"""A recipe trained with several seeds, each run judged once, and all of them together.

    python benchmarks/seeds.py reader [--seeds 5] [--set KEY=VALUE]...

The runs are ``runs/<recipe>-<seed>``; those that are there already are resumed, or taken as they
are. Prints a table in Markdown: mean and standard deviation over the seeds, on MNIST's test part
and on its corrected labels, and the same of the ensemble, whose answer is the mean of all answers.
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
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

FIRST_SEED = 9000


def trained(name: str, settings: Sequence[str], seeds: int, dataset: Dataset) -> list[Run]:
    """Return a finished run for each seed."""
    runs = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        recipe = load_recipe(name, [*settings, f"seed={seed}"])
        folder = Path("runs") / f"{name}-{seed}"
        runs.append(train(recipe, folder, dataset=dataset, resume=Run(folder).exists))
    return runs


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
    arguments = parser.parse_args()
    dataset = load_dataset("mnist")
    runs = trained(arguments.recipe, arguments.settings, arguments.seeds, dataset)
    tests = [judge(run, dataset).test for run in runs]
    print(f"| `{arguments.recipe}` | test part | corrected labels |\n|---|---:|---:|")
    for run, test in zip(runs, tests, strict=True):
        print(row(f"seed {run.recipe().seed}", [test]))
    print(row(f"mean of {len(tests)} seeds", tests))
    print(row("ensemble", [ensemble(tests)]))


if __name__ == "__main__":
    main()
