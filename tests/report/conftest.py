"""The convolutional models, trained once on few digits and compared."""

import pytest

from chiffres.data import Dataset
from chiffres.evaluation.compare import Comparison
from chiffres.lab.experiment import run_lab


@pytest.fixture(scope="session")
def comparison(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Train three models for two epochs each; the report is in French."""
    out = tmp_path_factory.mktemp("lab")
    models = ("conv", "conv-pool", "conv-dropout")
    return run_lab(out, small, models, ["epochs=2", "learning_rate=0.001"], "fr")
