"""Whether two models differ, judged on the same digits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from chiffres.data import Dataset
from chiffres.evaluation.judge import JudgedModel
from chiffres.evaluation.metrics import Evaluation

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Pair:
    """Two models on the same digits.

    Attributes:
        a: the first model's name.
        b: the second's.
        difference: accuracy of ``a`` less accuracy of ``b``, -1 to 1.
        only_a: how many digits only ``a`` read right.
        only_b: how many digits only ``b`` read right.
        p_value: McNemar's exact test, corrected for the number of pairs.
    """

    a: str
    b: str
    difference: float
    only_a: int
    only_b: int
    p_value: float

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is significant at 5 %."""
        return self.p_value < SIGNIFICANCE


def compare(a: Evaluation, b: Evaluation) -> Pair:
    """Compare two models by McNemar's exact test.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated
    proportions or percentages, Psychometrika 12 (1947), 153-157; exact by the binomial.

    Raises:
        ValueError: the two did not read the same digits.
    """
    if not np.array_equal(a.digits.images, b.digits.images):
        raise ValueError(f"{a.model} and {b.model} did not read the same digits")
    only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
    disagreed = only_a + only_b
    p_value = float(binomtest(only_a, disagreed).pvalue) if disagreed else 1.0
    return Pair(a.model, b.model, a.accuracy - b.accuracy, only_a, only_b, p_value)


def compare_all(evaluations: Sequence[Evaluation]) -> list[Pair]:
    """Compare every two models, p-values corrected for the number of pairs by Holm's method.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6 (1979), 65-70.
    """
    pairs = [compare(a, b) for a, b in itertools.combinations(evaluations, 2)]
    if not pairs:
        return []
    corrected = multipletests([pair.p_value for pair in pairs], method="holm")[1]
    return [replace(pair, p_value=float(p)) for pair, p in zip(pairs, corrected, strict=True)]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several judged models side by side.

    Attributes:
        dataset: what all of them were trained and judged on.
        models: in the order in which they are shown.
        published: figures of the same models from elsewhere, to stand beside the measured ones:
            by model ``train_accuracy``, ``validation_accuracy``, ``test_accuracy``, ``test_loss``.
    """

    dataset: Dataset
    models: Sequence[JudgedModel]
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every two models compared on the test part."""
        return compare_all([model.test for model in self.models])

    def pair(self, a: str, b: str) -> Pair:
        """Return the pair of ``a`` and ``b``, in the order in which the models are shown."""
        return next(pair for pair in self.pairs if {pair.a, pair.b} == {a, b})

    @property
    def chosen(self) -> JudgedModel:
        """The model to keep: the lowest validation loss. The test part has no say."""
        return min(self.models, key=lambda model: model.validation.loss)
