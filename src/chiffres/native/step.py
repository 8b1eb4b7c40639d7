"""One step of training and of testing, on a lowered model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.errors import TrainingError
from chiffres.models.backend import keras
from chiffres.native.head import Head, with_head
from chiffres.native.layers import NotLowered, Operation, softmax
from chiffres.native.lowering import lower
from chiffres.native.optimizers import updater
from chiffres.native.processor import multiplies_bfloat16
from chiffres.native.team import Team

Logs = dict[str, Any]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Step:
    """What Keras's ``fit`` and ``evaluate`` do with a batch of a compiled, built model.

    A batch with sample weights, or of shapes that the model does not take, goes to Keras's own
    step, which treats it or says what is wrong with it.

    Each worker of a team is given the whole batch, and takes its rows.
    """

    def __init__(
        self,
        model: keras.Sequential,
        training: bool,
        training_loss: Loss | None = None,
        bfloat16: bool = False,
        team: Team | None = None,
    ) -> None:
        if type(model) is not keras.Sequential:
            raise NotLowered(f"it is a {type(model).__name__}, not a Sequential")
        if model.jit_compile or model.steps_per_execution > 1 or model.optimizer is None:
            raise NotLowered("it is compiled with jit_compile, several steps or no optimizer")
        if any(variable.value.device.type != "cpu" for variable in model.variables):
            raise NotLowered("its variables are not on the CPU")
        self.model = model
        self.input_shape = tuple(model.input_shape[1:])
        self.output_ndim = len(model.output_shape)
        self.team = team or Team()
        self.operations = lower(model, training, self.team)
        self.bfloat16 = bfloat16 and multiplies_bfloat16()
        self.head: Head | None = None
        self.variables = model.trainable_variables
        self.values = [variable.value for variable in self.variables]
        self.loss_on_logits = _loss_on_logits(model) if self.operations[-1] is softmax else None
        if training_loss and not self.loss_on_logits:
            raise NotLowered("it does not end in a softmax with its cross-entropy")
        self.loss_on_logits = training_loss or self.loss_on_logits
        if self.loss_on_logits:
            self.operations.pop()
        if training and self.loss_on_logits is _sparse and not model.optimizer.loss_scale_factor:
            self.operations, self.head = with_head(model, self.team) or (self.operations, None)
        if training and not self.values:
            raise NotLowered("nothing in it is trainable")
        self.metrics = _accuracies(model)
        if self.metrics is None and self.team.size > 1:
            raise NotLowered("it has metrics that do not add up over workers")
        self.means = [_Mean(each) for each in (model._loss_tracker, *(self.metrics or []))]
        if training:
            self.update = updater(model.optimizer, self.variables)

    def train(self, data: Any) -> Logs:
        """Learn from a list of one batch; return what was measured since the epoch began.

        Raises:
            TrainingError: the loss is not a number.
        """
        batch = self._batch(data[0])
        if batch is None:
            logs: Logs = self.model.train_step(data[0])
            return logs
        learn = self._learn_with_head if self.head else self._learn
        gradients, counts, output = learn(*batch)
        *gradients, counts = self.team.sum_all([*gradients, counts])
        self._refuse(bool(counts[0].isnan()))
        self.update(gradients)
        return self._measure(*batch, output, counts)

    def _learn(
        self, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[Sequence[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Return what these rows add to the gradients and the counts, and what they came out as."""
        output, loss = self._forward(x, y, training=True)
        scaled = self.model.optimizer.scale_loss(loss * self.team.share)
        gradients = torch.autograd.grad(scaled, self.values)
        return gradients, self._counts(y, output.detach(), loss.detach()), output.detach()

    def _learn_with_head(
        self, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[Sequence[torch.Tensor], torch.Tensor, torch.Tensor]:
        assert self.head
        entering = self._operate(x)
        found = self.head(entering.detach(), y.reshape(len(y)).long())
        gradients = found.gradients
        if found.of_product is not None:
            before = self.values[: len(self.values) - len(gradients)]
            gradients = [*torch.autograd.grad(entering, before, found.of_product), *gradients]
        if self.metrics is None or any(type(metric) is not _SPARSE for metric in self.metrics):
            counts = self._counts(y, found.logits, torch.tensor(found.loss))
        else:
            counts = torch.tensor([found.loss * len(x), *[found.right] * len(self.metrics)])
        return gradients, counts, found.logits

    def _refuse(self, is_nan: bool) -> None:
        if is_nan:
            optimizer = self.model.optimizer
            raise TrainingError(
                f"the loss is not a number at step {int(optimizer.iterations) + 1}; try a "
                f"learning rate below {float(optimizer.learning_rate):g}, or smaller inputs"
            )

    def test(self, data: Any) -> Logs:
        """Measure a list of one batch; return what was measured since the evaluation began."""
        batch = self._batch(data[0])
        with torch.no_grad():
            if batch is None:
                logs: Logs = self.model.test_step(data[0])
                return logs
            output, loss = self._forward(*batch, training=False)
            counts = self.team.sum(self._counts(batch[1], output, loss))
            return self._measure(*batch, output, counts)

    def _batch(self, data: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return this worker's rows of a batch; None where Keras's own step is to have it."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if sample_weight is not None or y is None:
            return None
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        if not self._takes(x.shape):
            x = x.unsqueeze(-1)  # as Keras does
            if not self._takes(x.shape):
                return None
        if self.loss_on_logits is _sparse and not self._answers(y.shape, len(x)):
            return None
        rows = self.team.take(len(x))
        return x[rows].to(torch.float32), y[rows]

    def _takes(self, shape: Sequence[int]) -> bool:
        """Whether the model takes inputs of a shape; a side of None may be of any length."""
        return len(shape) == 1 + len(self.input_shape) and all(
            wanted in (None, found)
            for found, wanted in zip(shape[1:], self.input_shape, strict=True)
        )

    def _answers(self, shape: Sequence[int], n: int) -> bool:
        """Whether labels of a shape may be those of ``n`` inputs: one each, or one a place."""
        if self.output_ndim == 2:
            return tuple(shape) in ((n,), (n, 1))
        return len(shape) == self.output_ndim - 1 and shape[0] == n

    def _operate(self, x: torch.Tensor) -> torch.Tensor:
        if self.bfloat16:
            with torch.autocast("cpu", torch.bfloat16):
                return functools.reduce(_apply, self.operations, x).float()
        return functools.reduce(_apply, self.operations, x)

    def _forward(
        self, x: torch.Tensor, y: torch.Tensor, training: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits, or outputs where the loss is not taken from logits, and the loss."""
        output = self._operate(x)
        if self.loss_on_logits:
            return output, self.loss_on_logits(y, output)
        return output, self.model._compute_loss(x=x, y=y, y_pred=output, training=training)

    def _counts(self, y: torch.Tensor, output: torch.Tensor, loss: torch.Tensor) -> torch.Tensor:
        """Return the sum of the rows' losses and, for each metric, how many rows are right.

        Of a row with several places the share that is right counts.
        """
        counts = [loss * len(y)]
        for metric in self.metrics or []:
            answers = output.argmax(-1)
            labels = y.argmax(-1) if type(metric) is _CATEGORICAL else y.reshape(answers.shape)
            right = (answers == labels).reshape(len(y), -1)
            counts.append(right.mean(1, dtype=loss.dtype).sum())
        return torch.stack(counts)

    def _measure(
        self, x: torch.Tensor, y: torch.Tensor, output: torch.Tensor, counts: torch.Tensor
    ) -> Logs:
        for mean, count in zip(self.means, counts, strict=True):
            mean.add(count, self.team.whole)
        if self.metrics is None:
            predicted = softmax(output) if self.loss_on_logits else output
            logs: Logs = self.model.compute_metrics(x, y, predicted)
            return logs
        return {mean.name: mean.result() for mean in self.means}


def _apply(x: torch.Tensor, operation: Operation) -> torch.Tensor:
    return operation(x)


_CATEGORICAL = keras.metrics.CategoricalAccuracy
_SPARSE = keras.metrics.SparseCategoricalAccuracy


def _accuracies(model: keras.Sequential) -> list[Any] | None:
    """Return the model's metrics where there are none but accuracies; None where there are."""
    compiled = model._compile_metrics
    if len(model.metrics) != 1 + (compiled is not None) or (compiled and not compiled.built):
        return None
    metrics = compiled.metrics if compiled else []
    return metrics if all(type(each) in (_CATEGORICAL, _SPARSE) for each in metrics) else None


class _Mean:
    """A mean of Keras's, on its own variables."""

    def __init__(self, metric: Any) -> None:
        self.name = metric.name
        self.total, self.count = metric.total.value, metric.count.value

    def add(self, total: torch.Tensor, count: int) -> None:
        self.total.add_(total)
        self.count.add_(count)

    def result(self) -> float:
        return float(self.total / self.count)


def _loss_on_logits(model: keras.Sequential) -> Loss | None:
    """Return the cross-entropy of logits that is the model's loss, None for any other loss."""
    if model._compile_loss is None or model._compile_loss._user_loss_weights is not None:
        return None
    loss = model.loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if loss is keras.losses.sparse_categorical_crossentropy:
        return _sparse
    if loss is keras.losses.categorical_crossentropy:
        return _categorical
    usual = {"from_logits": False, "axis": -1, "ignore_class": None, "label_smoothing": 0.0}
    if type(loss) in _CROSSENTROPIES and loss.reduction == "sum_over_batch_size":
        config = loss.get_config()
        if all(config.get(key, value) == value for key, value in usual.items()):
            return _CROSSENTROPIES[type(loss)]
    return None


def _sparse(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    total = F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long(), reduction="sum"
    )
    return total / labels.numel()


def _categorical(targets: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, targets.to(torch.float32))


_CROSSENTROPIES: dict[type, Loss] = {
    keras.losses.SparseCategoricalCrossentropy: _sparse,
    keras.losses.CategoricalCrossentropy: _categorical,
}
