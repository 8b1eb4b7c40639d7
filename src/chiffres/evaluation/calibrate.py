"""Makes a model's confidence mean something: one temperature, and a threshold to refuse below.

Both are fitted on the validation part. The temperature becomes part of the model, so that all that
is made of it, exports too, has it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from chiffres.data import Dataset
from chiffres.errors import RunError, UsageError
from chiffres.evaluation.confidence import (
    AnyLabels,
    Probabilities,
    expected_calibration_error,
    threshold_for,
)
from chiffres.evaluation.metrics import Evaluation, evaluate
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.storage import replacing
from chiffres.training.run import Run

LOWEST, HIGHEST = 0.01, 100.0
"""Between which a temperature is sought."""


@dataclass(frozen=True)
class Calibration:
    """What a calibration did to a run's model.

    Attributes:
        dataset: whose validation part it was fitted on.
        temperature: what the logits of the network, as it was trained, are divided by; above 1
            where it was too sure of itself.
        threshold: the lowest confidence to accept; at or above it, at most 1 in 1,000 digits of
            the validation part is misread. 0 accepts all, 2 none.
        coverage: the share of the validation part that it accepts, 0 to 1.
        calibration_error_before: on the validation part, as the network was trained, 0 to 1.
        calibration_error: the same with the temperature.
    """

    dataset: str
    temperature: float
    threshold: float
    coverage: float
    calibration_error_before: float
    calibration_error: float


def calibrate(run: Run, dataset: Dataset) -> Calibration:
    """Fit the temperature, fold it into the run's model, and choose the threshold.

    The answers stay as they are, only their probabilities change. Into ``metrics.json`` go
    ``calibration`` and the new figures of the validation part; those of the other parts were of
    the model before, so they are taken out. To calibrate again gives the same again: a temperature
    always speaks of the network as it was trained, and what was folded in before is replaced.

    Should the process die between the two writes, the model is calibrated and nothing says so;
    the next calibration then takes it for one that was trained so, and finds a temperature of 1.

    Args:
        run: finished; its optimizer's state is kept.
        dataset: what it was trained on. On digits that it has seen in training the threshold
            would come out too low.

    Raises:
        RunError: the folder is no run, or its training is not finished.
        UsageError: the model does not end in a dense layer with a softmax.
        ModelFileError: the model cannot be loaded, or does not read 28×28 images of digits.
    """
    _check_finished(run)
    model = load_model(run.folder, compile=True)
    last = _softmax_layer(model, run)
    folded = float((run.metrics().get("calibration") or {}).get("temperature", 1.0))
    labels = dataset.validation.labels
    given = evaluate(model, dataset, "validation").probabilities
    trained = tempered(given, 1 / folded)
    temperature = fit_temperature(trained, labels)
    last.set_weights([weights * (folded / temperature) for weights in last.get_weights()])
    calibrated = evaluate(model, dataset, "validation")
    before = expected_calibration_error(trained, labels)
    calibration = _calibration(calibrated, temperature, before)
    with replacing(run.model_path) as temporary:
        model.save(temporary)
    run.record(
        train=None,
        validation=calibrated.summary(),
        test=None,
        calibration=dataclasses.asdict(calibration),
    )
    return calibration


def fit_temperature(probabilities: Probabilities, labels: AnyLabels) -> float:
    """Return the temperature under which the right answers are the most probable, 0.01 to 100.

    It minimises the cross-entropy of ``tempered(probabilities, temperature)``. Where no answer is
    wrong it is 1: the cross-entropy then falls with the temperature for ever, which says nothing
    of how sure a model may be that is wrong one day.

    Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On Calibration of Modern Neural
    Networks, ICML 2017, arXiv:1706.04599, section 4.2.

    Args:
        probabilities: ``(n, 10)``, each row 0 to 1 with the sum 1.
        labels: ``(n,)`` integers, 0 to 9.
    """
    if (probabilities.argmax(axis=1) == labels).all():
        return 1.0
    logits, each = _logits(probabilities), np.arange(len(labels))

    def crossentropy(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(log_probabilities[each, labels].mean())

    bounds = np.log([LOWEST, HIGHEST])  # convex in 1 / temperature, so there is one minimum
    found = minimize_scalar(crossentropy, bounds=bounds, options={"xatol": 1e-7})
    return float(np.exp(found.x))


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities with their logits divided by the temperature, above 0."""
    return np.asarray(softmax(_logits(probabilities) / temperature, axis=1))


def _logits(probabilities: Probabilities) -> Probabilities:
    """Return the logarithms, which are logits up to a constant in each row; none is infinite."""
    return np.asarray(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)))


def _check_finished(run: Run) -> None:
    epochs = run.recipe().epochs
    if not run.finished:
        raise RunError(
            f"{run.folder}: {run.metrics().get('epochs', 0)} of {epochs} epochs are trained; "
            "finish the training first (chiffres train --resume)"
        )


def _softmax_layer(model: keras.Model, run: Run) -> Any:
    """Return the last layer, whose kernel and bias the temperature is folded into."""
    last = model.layers[-1]
    if type(last) is keras.layers.Dense and last.activation is keras.activations.softmax:
        return last
    activation = getattr(getattr(last, "activation", None), "__name__", "no activation")
    raise UsageError(
        f"{run.folder}: the model ends in a {type(last).__name__} layer with {activation}; "
        "only one that ends in a Dense layer with softmax can be calibrated"
    )


def _calibration(calibrated: Evaluation, temperature: float, before: float) -> Calibration:
    accepted = threshold_for(calibrated.probabilities, calibrated.digits.labels)
    return Calibration(
        calibrated.dataset,
        temperature,
        accepted.threshold,
        accepted.coverage,
        before,
        calibrated.calibration_error,
    )
