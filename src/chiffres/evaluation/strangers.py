"""Whether a model's confidence tells digits from what is no digit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chiffres.data.strangers import strangers
from chiffres.evaluation.confidence import auroc
from chiffres.evaluation.metrics import Evaluation
from chiffres.evaluation.predict import predict
from chiffres.models.backend import keras

COUNT = 10_000
"""How many images of no digit a model is asked for: as many as MNIST has to test with."""


@dataclass(frozen=True)
class Separation:
    """How well digits are told from what is none by their confidence.

    Attributes:
        auroc: against all strangers, 0 to 1; 0.5 is chance.
        by_kind: the same against each kind of them alone, the most frequent first.
    """

    auroc: float
    by_kind: dict[str, float]


def separation(
    model: keras.Model | str | Path, evaluation: Evaluation, n: int = COUNT, seed: int = 0
) -> Separation:
    """Ask a model for letters, drawings, scribbles and textures made unlike those of its training.

    Args:
        model: a Keras model, or where one is: a run folder, a ``.keras`` or an ``.h5`` file.
        evaluation: what the same model answered to digits.
        n: how many strangers, at least 1.
        seed: of ``chiffres.data.strangers``, at least 0.

    Raises:
        ModelFileError: the model cannot be loaded, or does not read 28×28 images of digits.
    """
    images, kinds = strangers(n, seed)
    answers, digits = predict(model, images), evaluation.probabilities
    names, counts = np.unique(kinds, return_counts=True)
    by_kind = {
        str(kind): auroc(digits, answers[kinds == kind])
        for kind in names[np.argsort(-counts, kind="stable")]
    }
    return Separation(auroc(digits, answers), by_kind)
