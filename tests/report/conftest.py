"""The convolutional models, trained once on few digits and compared."""

import dataclasses

import pytest

from chiffres.data import Dataset
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.seeds import JudgedModel
from chiffres.lab.experiment import run_lab


@pytest.fixture(scope="session")
def comparison(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Train three models for two epochs each; the report is in French."""
    out = tmp_path_factory.mktemp("lab")
    models = ("conv", "conv-pool", "conv-dropout")
    return run_lab(out, small, models, ["epochs=2", "learning_rate=0.001"], "fr")


@pytest.fixture(scope="session")
def seeded(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Train two models with two seeds each, and all else that the lab can be asked for."""
    out = tmp_path_factory.mktemp("seeded")
    settings = ["epochs=2", "learning_rate=0.001"]
    models = ("dense", "conv-pool")
    return run_lab(out, small, models, settings, "en", seeds=2, folds=2, robustness=True)


def renamed(model: JudgedModel, name: str) -> JudgedModel:
    """Return the same model of one run under another name."""
    test = dataclasses.replace(model.first.test, model=name)
    return JudgedModel(name, [dataclasses.replace(model.first, name=name, test=test)])
