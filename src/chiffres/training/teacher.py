"""A network taught by larger ones: it learns what those answer, besides what is right.

Source: G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural Network, 2015,
arXiv:1503.02531.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.data.dataset import CLASSES
from chiffres.errors import UsageError
from chiffres.models.backend import BACKEND, keras
from chiffres.models.files import load_model
from chiffres.native.frozen import freeze
from chiffres.native.layers import NotLowered, softmax
from chiffres.native.processor import multiplies_bfloat16
from chiffres.native.team import Team
from chiffres.training.augment import Augmentation
from chiffres.training.loss import NOT_A_DIGIT, Loss

TEMPERATURE = 4.0
"""What the logits of both are divided by, so that the less likely digits count more."""
BLOCK = 2**16
"""Digits whose answers lie together, in 2.6 MB."""


class Teacher:
    """Trained models that see each batch before the one that is trained does.

    What they hold for likely is the mean of what each does.

    Args:
        models: run folders, ``.keras`` or ``.h5`` files, or names of shipped models.
        share: of the loss, that is to answer as they do; the rest is to answer what is right.
        remembers: whether their answers are kept, 40 bytes each, for when a batch comes again.

    Raises:
        UsageError: one is no model that Torch runs from images to a softmax.
        ModelFileError: one cannot be loaded.
    """

    def __init__(self, models: Sequence[str], share: float, remembers: bool = False) -> None:
        if BACKEND != "torch":
            raise UsageError(f"teacher: a network is taught on torch alone, not on {BACKEND}")
        self.numbers = torch.bfloat16 if multiplies_bfloat16() else torch.float32
        self.networks = [_Network(model, self.numbers) for model in models]
        self.share = share
        self.answers = torch.empty(0)
        self.memory = _Memory() if remembers else None

    def beside(self, augmentation: Augmentation | None, team: Team) -> _Lesson:
        """Return what does as ``augmentation`` to a batch, and lets the teacher see the result.

        It sees this worker's rows alone.
        """
        return _Lesson(self, augmentation, team)

    def see(self, images: torch.Tensor) -> None:
        """Answer to a batch, ``(n, …)`` of 28×28 values each, 0 to 255."""
        self.answers = self.memory(images, self._answer) if self.memory else self._answer(images)

    def _answer(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of what it holds for likely, ``(n, 10)`` float32."""
        cast = self.numbers is torch.bfloat16
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=cast):
            logits = torch.stack([network(images) for network in self.networks]) / TEMPERATURE
            return torch.logsumexp(torch.log_softmax(logits, -1), 0) - math.log(len(logits))

    def loss(self, right: Loss) -> Loss:
        """Return the loss of labels and logits on the batch that was seen last.

        Where the label is that nothing is to be read, all digits are as likely to the teacher, too.

        Args:
            right: the loss of what is right.
        """

        def taught(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            mine = torch.log_softmax(logits / TEMPERATURE, -1)
            none = labels.reshape(-1, 1) == NOT_A_DIGIT
            answers = self.answers.masked_fill(none, -math.log(CLASSES))
            differs = F.kl_div(mine, answers, reduction="batchmean", log_target=True)
            # so that its gradients are as large as those of the other loss
            differs = differs * TEMPERATURE**2
            return torch.lerp(torch.as_tensor(right(labels, logits)), differs, self.share)

        return taught


class _Network:
    """A model without its softmax, loaded to compute with ``numbers`` where it can."""

    def __init__(self, model: str, numbers: torch.dtype) -> None:
        loaded = load_model(model)
        try:
            self.operations = freeze(loaded, numbers)
        except NotLowered as reason:
            raise UsageError(f"teacher {model}: {reason}; use another") from reason
        if type(loaded) is not keras.Sequential or self.operations.pop() is not softmax:
            raise UsageError(f"teacher {model}: does not end in a softmax; use another")
        self.shape = loaded.input_shape[1:]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, ``(n, 10)`` float32, of ``(n, …)`` images."""
        x = images.reshape(len(images), *self.shape).to(torch.float32)
        for operation in self.operations:
            x = operation(x)
        return x.float()


class _Memory:
    """Answers to batches that were seen.

    They lie in large blocks: small ones of their own, between what a step takes and gives back,
    would hold gigabytes apart.
    """

    def __init__(self) -> None:
        self.places: dict[bytes, tuple[int, int, int]] = {}
        self.blocks = [torch.empty((0, CLASSES))]
        self.used = 0

    def __call__(
        self, images: torch.Tensor, answer: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Return the answers to a batch, which ``answer`` gives where it is new."""
        batch = hashlib.sha256(images.contiguous().numpy().data).digest()
        if batch not in self.places:
            self.places[batch] = self._keep(answer(images))
        block, first, last = self.places[batch]
        return self.blocks[block][first:last]

    def _keep(self, answers: torch.Tensor) -> tuple[int, int, int]:
        first, last = self.used, self.used + len(answers)
        if last > len(self.blocks[-1]):
            self.blocks.append(torch.empty((max(BLOCK, len(answers)), CLASSES)))
            first, last = 0, len(answers)
        self.blocks[-1][first:last] = answers
        self.used = last
        return len(self.blocks) - 1, first, last


class _Lesson:
    """Changes a batch, and lets the teacher see it."""

    def __init__(self, teacher: Teacher, augmentation: Augmentation | None, team: Team) -> None:
        self.teacher = teacher
        self.augmentation = augmentation
        self.team = team

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return ``images`` changed, as the augmentation does it."""
        if self.augmentation:
            images = self.augmentation(images, generator)
        self.teacher.see(images[self.team.rows(len(images))])
        return images
