"""Whether models differ, judged on the same digits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from chiffres.data import Dataset
from chiffres.evaluation.bootstrap import bootstrap_difference
from chiffres.evaluation.folds import CrossValidation
from chiffres.evaluation.intervals import Interval, difference_over_seeds, paired_interval
from chiffres.evaluation.metrics import Evaluation
from chiffres.evaluation.seeds import Evaluations, JudgedModel

if TYPE_CHECKING:
    from chiffres.export.cost import Cost

SCHEMA = 1
SIGNIFICANCE = 0.05

Test = Literal["mcnemar", "seeds-and-digits"]


@dataclass(frozen=True)
class Pair:
    """Two models on the same digits.

    Attributes:
        a: the first model's name.
        b: the second's.
        difference: accuracy of ``a`` less accuracy of ``b``, -1 to 1.
        interval: of the difference, 95 %.
        only_a: how many digits only ``a`` read right; with several seeds, on average.
        only_b: how many digits only ``b`` read right.
        test: ``"mcnemar"``: of one run each, by McNemar's exact test; ``"seeds-and-digits"``: of
            several each, by Student's t over seeds and digits.
        p_value: of that test alone.
        p_corrected: corrected for the number of pairs.
        bootstrap_interval: of the difference, 95 %, by the paired bootstrap over seeds and digits;
            None with one run each.
    """

    a: str
    b: str
    difference: float
    interval: Interval
    only_a: float
    only_b: float
    test: Test
    p_value: float
    p_corrected: float
    bootstrap_interval: Interval | None = None

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is significant at 5 %, all pairs taken together."""
        return self.p_corrected < SIGNIFICANCE


def compare(a: Evaluations, b: Evaluations) -> Pair:
    """Compare two models: over their seeds where both have several, else by their first runs.

    Raises:
        ValueError: the two did not read the same digits.
    """
    first, second = a.each[0], b.each[0]
    if not np.array_equal(first.digits.images, second.digits.images):
        raise ValueError(f"{first.model} and {second.model} did not read the same digits")
    if min(len(a.each), len(b.each)) == 1:
        return _mcnemar(first, second)
    estimate = difference_over_seeds(a.right, b.right)
    share_a, share_b = a.right.mean(axis=0), b.right.mean(axis=0)
    return Pair(
        first.model,
        second.model,
        estimate.value,
        estimate.interval,
        float((share_a * (1 - share_b)).sum()),
        float((share_b * (1 - share_a)).sum()),
        "seeds-and-digits",
        estimate.p_value,
        estimate.p_value,
        bootstrap_difference(a.right, b.right),
    )


def _mcnemar(a: Evaluation, b: Evaluation) -> Pair:
    """Compare two runs by McNemar's exact test.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated
    proportions or percentages, Psychometrika 12 (1947), 153-157; exact by the binomial.
    """
    only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
    disagreed = only_a + only_b
    p_value = float(binomtest(only_a, disagreed).pvalue) if disagreed else 1.0
    interval = paired_interval(only_a, only_b, a.n)
    difference = a.accuracy - b.accuracy
    return Pair(a.model, b.model, difference, interval, only_a, only_b, "mcnemar", p_value, p_value)


def compare_all(models: Sequence[Evaluations]) -> list[Pair]:
    """Compare every two models, p-values corrected for the number of pairs by Holm's method.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6 (1979), 65-70.
    """
    pairs = [compare(a, b) for a, b in itertools.combinations(models, 2)]
    if not pairs:
        return []
    corrected = multipletests([pair.p_value for pair in pairs], method="holm")[1]
    return [replace(pair, p_corrected=float(p)) for pair, p in zip(pairs, corrected, strict=True)]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several judged models side by side.

    Attributes:
        dataset: what all of them were trained and judged on.
        models: in the order in which they are shown.
        published: figures of the same models from elsewhere, to stand beside the measured ones:
            by model ``train_accuracy``, ``validation_accuracy``, ``test_accuracy``, ``test_loss``.
        costs: what each model costs to train and to ask, by name.
        robustness: the accuracy of each model (outer) under each corruption (inner).
        folds: the baseline, trained and measured on other splits; None where that was not asked.
        command: what makes the same page again, but for its language.
        failed: why a training of a sweep has no model here, by its name.
    """

    dataset: Dataset
    models: Sequence[JudgedModel]
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    robustness: Mapping[str, Mapping[str, tuple[float, Interval]]] = field(default_factory=dict)
    folds: CrossValidation | None = None
    command: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every two models compared on the test part."""
        return compare_all([model.test for model in self.models])

    def pair(self, a: str, b: str) -> Pair:
        """Return the pair of ``a`` and ``b``, in the order in which the models are shown."""
        return next(pair for pair in self.pairs if {pair.a, pair.b} == {a, b})

    def named(self, name: str) -> JudgedModel:
        """Return the model of this name."""
        return next(model for model in self.models if model.name == name)

    @property
    def seeds(self) -> int:
        """The largest number of runs that a model has."""
        return max(len(model.runs) for model in self.models)

    @property
    def chosen(self) -> JudgedModel:
        """The model to keep: the lowest validation loss. The test part has no say."""
        return min(self.models, key=lambda model: model.validation.loss)

    def json(self) -> dict[str, Any]:
        """Return the document of ``chiffres compare --json``."""
        return {
            "schema": SCHEMA,
            "dataset": self.dataset.name,
            "n": self.models[0].test.n,
            "models": [self._model_json(model) for model in self.models],
            "pairs": [_pair_json(pair) for pair in self.pairs],
            "folds": self.folds.json() if self.folds else None,
            "failed": dict(self.failed),
        }

    def _model_json(self, model: JudgedModel) -> dict[str, Any]:
        under = self.robustness.get(model.name, {})
        return {
            "model": model.name,
            "runs": [
                {
                    "seed": run.seed,
                    "folder": str(run.run.folder),
                    "loss": run.test.loss,
                    "accuracy": run.test.accuracy,
                    "best_epoch": run.best_epoch,
                }
                for run in model.runs
            ],
            "accuracy_mean": model.test.accuracy,
            "accuracy_sd": model.test.accuracy_sd,
            "accuracy_interval": list(model.test.accuracy_interval),
            "validation_loss": model.validation.loss,
            "calibration_error": model.test.calibration_error,
            "gap": model.gap,
            "gap_interval": list(model.gap_interval),
            "accuracy_by_digit": [
                None if np.isnan(share) else float(share)
                for share in model.test.accuracy_by_digit()
            ],
            "cost": self.costs[model.name]._asdict() if model.name in self.costs else None,
            "robustness": {name: accuracy for name, (accuracy, _) in under.items()},
        }


def _pair_json(pair: Pair) -> dict[str, Any]:
    bootstrap = pair.bootstrap_interval
    return {
        "a": pair.a,
        "b": pair.b,
        "difference": pair.difference,
        "interval": list(pair.interval),
        "bootstrap_interval": list(bootstrap) if bootstrap else None,
        "only_a": pair.only_a,
        "only_b": pair.only_b,
        "test": pair.test,
        "p_value": pair.p_value,
        "p_corrected": pair.p_corrected,
        "distinguishable": pair.distinguishable,
    }
