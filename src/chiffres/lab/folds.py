"""The baseline, cross-validated: the harness that the lab's introduction asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sklearn.model_selection import StratifiedKFold

from chiffres.data import Dataset
from chiffres.data.dataset import SPLIT_SEED
from chiffres.errors import UsageError
from chiffres.evaluation.folds import CrossValidation
from chiffres.lab.comparing import FOLD
from chiffres.models.backend import keras
from chiffres.training.recipe import Recipe
from chiffres.training.run import Run
from chiffres.training.train import train


def cross_validate(
    recipe: Recipe, dataset: Dataset, folds: int, out: Path, log: Sequence[str] = ()
) -> CrossValidation:
    """Train the recipe on all folds of the training set but one, each fold left out in turn.

    The folds are stratified; the test part is not touched. The runs lie in ``OUT/fold-1-of-K``
    and so on; what is there already is not trained again.

    Args:
        recipe: what to train.
        dataset: whose ``development`` is cut into folds.
        folds: how many, from 2 to the count of the rarest digit.
        out: where the runs are to be.
        log: where else they are to be shown, as for ``train``.

    Raises:
        UsageError: there cannot be so many folds, or a run in ``out`` is of another recipe.
    """
    labels = dataset.development.labels
    rarest = int(dataset.development.counts()[labels.min() :].min())
    if not 2 <= folds <= rarest:
        raise UsageError(f"folds = {folds}: expected 2 to {rarest}, the count of the rarest digit")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=SPLIT_SEED)
    accuracies, held = [], labels[:0]
    for number, (kept, held) in enumerate(splitter.split(labels, labels), 1):
        keras.utils.clear_session()
        folder = out / f"{FOLD}{number}-of-{folds}"
        split = dataclasses.replace(dataset, train_indices=kept, validation_indices=held)
        run = train(recipe, folder, dataset=split, resume=Run(folder).exists, log=log)
        accuracies.append(run.history()["val_accuracy"][-1])
    return CrossValidation(recipe.model, accuracies, len(labels) - len(held), len(held))
