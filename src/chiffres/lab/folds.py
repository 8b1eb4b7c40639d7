"""The baseline, cross-validated: the harness that the lab's introduction asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chiffres.data import Dataset
from chiffres.data.dataset import fold
from chiffres.errors import UsageError
from chiffres.evaluation.folds import CrossValidation
from chiffres.lab.comparing import FOLD
from chiffres.models.backend import keras
from chiffres.training.recipe import Recipe
from chiffres.training.run import Run
from chiffres.training.train import train
from chiffres.training.trials import Engine, Trial, perform_all


def cross_validate(
    recipe: Recipe,
    dataset: Dataset,
    folds: int,
    out: Path,
    log: Sequence[str] = (),
    engine: Engine | None = None,
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
        engine: where the trainings are run, on the digits that the dataset's name means; by
            default here, one after the other.

    Raises:
        UsageError: there cannot be so many folds, or a run in ``out`` is of another recipe.
        TrainingError: a training on the engine failed.
    """
    labels = dataset.development.labels
    rarest = int(dataset.development.counts()[labels.min() :].min())
    if not 2 <= folds <= rarest:
        raise UsageError(f"folds = {folds}: expected 2 to {rarest}, the count of the rarest digit")
    folders = {number: out / f"{FOLD}{number}-of-{folds}" for number in range(1, folds + 1)}
    if engine:
        named = recipe.model_copy(update={"data": dataset.name})
        trials = [Trial(named, folders[number], (number, folds)) for number in folders]
        perform_all(engine, trials, log)
    for number, folder in folders.items():
        keras.utils.clear_session()
        held_out = fold(dataset, number, folds)
        train(recipe, folder, dataset=held_out, resume=Run(folder).exists, log=log)
    accuracies = [Run(folder).history()["val_accuracy"][-1] for folder in folders.values()]
    held = len(held_out.validation_indices)
    return CrossValidation(recipe.model, accuracies, len(labels) - held, held)
