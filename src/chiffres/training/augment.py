"""Digits as other hands, pens and cameras would have made them: whole batches at once, seeded.

An augmentation first moves the pixels of all images, by one map that is affine but for a smooth
disturbance, and then changes the grey levels of some of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.data.dataset import SIDE
from chiffres.errors import UnknownNameError

Effect = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Changes images ``(n, 28, 28)`` float32, 0 = background, 1 = ink."""

KNOTS = 5
"""Points along a side between which a disturbance is smooth."""
_TO_CENTRE = (SIDE - 1) / 2
_ACROSS = torch.arange(SIDE) - _TO_CENTRE
_SMOOTH = F.interpolate(
    torch.eye(KNOTS)[None, None], size=(SIDE, KNOTS), mode="bicubic", align_corners=True
)[0, 0]


@dataclass(frozen=True)
class Augmentation:
    """What is done to a batch of digits; each number is the largest change, in either direction.

    Attributes:
        rotation: degrees.
        shear: pixels to the side per pixel of height.
        scale: of the size, as a share of it.
        stretch: of height against width, as a share.
        shift: pixels.
        elastic: pixels, the standard deviation of the disturbance.
        wild: which share of the images, 0 to 1, moves up to twice as far.
        effects: which share of the images, 0 to 1, each of ``EFFECTS`` changes.
    """

    rotation: float = 0.0
    shear: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    wild: float = 0.0
    effects: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return ``images`` changed.

        Args:
            images: ``(n, …)`` of 28×28 values each, uint8 or float32, 0 to 255.
            generator: what all chance is drawn from.

        Returns:
            The same shape, float32, 0 to 255.
        """
        changed = images.reshape(len(images), SIDE, SIDE).to(torch.float32) / 255
        changed = self._move(changed, generator)
        for name, share in self.effects.items():
            chosen = torch.randperm(len(changed), generator=generator)
            chosen = chosen[: round(share * len(changed))]
            if len(chosen):
                changed[chosen] = EFFECTS[name](changed[chosen], generator)
        return (255 * changed.clamp_(0, 1)).reshape(images.shape)

    def _move(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        n = len(images)
        far = 1 + (torch.rand((n, 1, 1), generator=generator) < self.wild)
        angle, shear, size, stretch, right, down = (
            most * far * (2 * torch.rand((n, 1, 1), generator=generator) - 1)
            for most in (
                *(math.radians(self.rotation), self.shear, self.scale, self.stretch),
                *(self.shift, self.shift),
            )
        )
        x, y = _ACROSS[None, None, :] + right, _ACROSS[None, :, None] + down
        wide, high = torch.exp(size + stretch / 2), torch.exp(size - stretch / 2)
        x, y = wide * (x + shear * y), high * y
        sources = [x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()]
        if self.elastic:
            knots = torch.randn((2, n, KNOTS, KNOTS), generator=generator) * self.elastic
            sources = [*(torch.stack(sources) + _SMOOTH @ knots @ _SMOOTH.T)]
        grid = torch.stack(sources, dim=-1) * (2 / SIDE)
        moved: torch.Tensor = F.grid_sample(images[:, None], grid, align_corners=False)
        return moved[:, 0]


def _draw(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """Draw one number per image, ``(n, 1, 1)``."""
    return low + (high - low) * torch.rand((n, 1, 1), generator=generator)


def _around(images: torch.Tensor) -> list[torch.Tensor]:
    """Return, for each pixel, its neighbours above, below, left and right; 0 outside."""
    padded = F.pad(images, (1, 1, 1, 1))
    return [
        padded[:, :-2, 1:-1],
        padded[:, 2:, 1:-1],
        padded[:, 1:-1, :-2],
        padded[:, 1:-1, 2:],
    ]


def _field(n: int, generator: torch.Generator) -> torch.Tensor:
    """Draw a smooth field per image, ``(n, 28, 28)``, about 0 to 1."""
    knots = torch.rand((n, KNOTS, KNOTS), generator=generator)
    return _SMOOTH @ knots @ _SMOOTH.T


def _across(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a direction per image; return how far each pixel is along it, and across it."""
    angle = _draw(n, 0, 2 * math.pi, generator)
    x, y = _ACROSS[None, None, :], _ACROSS[None, :, None]
    return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()


def thicker(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Widen the strokes by up to a pixel on each side: a marker."""
    widest = images
    for neighbour in _around(images):
        widest = torch.maximum(widest, neighbour)
    return torch.lerp(images, widest, _draw(len(images), 0.2, 1, generator))


def thinner(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Narrow the strokes by up to a pixel on each side: a sharp pencil."""
    thinnest = images
    for neighbour in _around(images):
        thinnest = torch.minimum(thinnest, neighbour)
    return torch.lerp(images, thinnest, _draw(len(images), 0.1, 0.7, generator))


def blurred(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mix each pixel with its neighbours, twice: out of focus."""
    amount = _draw(len(images), 0.2, 0.9, generator)
    for _ in range(2):
        mean = sum(_around(images)) / 4
        images = torch.lerp(images, torch.as_tensor(mean), amount)
    return images


def faint(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Leave 25 to 80 % of the ink."""
    return images * _draw(len(images), 0.25, 0.8, generator)


def grainy(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Leave 20 to 100 % of each pixel's ink, at random: chalk, or a pencil on rough paper."""
    left = torch.rand(images.shape, generator=generator)
    return images * (1 - left * _draw(len(images), 0.2, 0.8, generator))


def heavy(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut the grey levels at a threshold, softly: a photocopy, or a scan in black and white."""
    sharpness = _draw(len(images), 1.5, 8, generator)
    return ((images - _draw(len(images), 0.2, 0.6, generator)) * sharpness + 0.5).clamp_(0, 1)


def noisy(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add Gaussian noise with a standard deviation of up to 0.25."""
    noise = torch.randn(images.shape, generator=generator)
    return images + noise * _draw(len(images), 0.02, 0.25, generator)


def speckled(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Set up to 20 % of the pixels to any grey level."""
    drawn = torch.rand(images.shape, generator=generator)
    most = _draw(len(images), 0.01, 0.2, generator)
    return torch.where(drawn < most, drawn / most, images)


def shaded(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Darken the paper by up to 0.6, more or less evenly, as a shadow or fog does."""
    n = len(images)
    shade = torch.lerp(_field(n, generator).clamp_(0, 1), torch.ones(()), _draw(n, 0, 1, generator))
    shade = shade * _draw(n, 0.1, 0.6, generator)
    return torch.maximum(images, torch.lerp(images, torch.ones(()), shade))


def lined(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw a straight line through the image: a ruled line, or a box's side."""
    along, across = _across(len(images), generator)
    n = len(images)
    distance = (across - _draw(n, -12, 12, generator)).abs()
    line = (_draw(n, 0.5, 1.3, generator) - distance + 0.5).clamp_(0, 1)
    dashes = torch.where(_draw(n, 0, 1, generator) < 0.3, (along * 1.5).sin() > 0, True)
    begun = along > _draw(n, -30, 5, generator)
    return torch.maximum(images, line * (dashes & begun) * _draw(n, 0.3, 1, generator))


def edged(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Leave something at a side of the image: the table beside the paper, the next digit."""
    _, across = _across(len(images), generator)
    n = len(images)
    beyond = (across - _draw(n, 9, 14, generator)).clamp_(0, 1)
    return torch.maximum(images, beyond * _draw(n, 0.3, 1, generator))


def clipped(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut the image off at a side."""
    _, across = _across(len(images), generator)
    return images * (across < _draw(len(images), 7, 11, generator))


def stained(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Put a few round spots anywhere."""
    n = len(images)
    for _ in range(3):
        x = _ACROSS[None, None, :] - _draw(n, -14, 14, generator)
        y = _ACROSS[None, :, None] - _draw(n, -14, 14, generator)
        spot = (_draw(n, 0.5, 2.5, generator) - (x * x + y * y).sqrt() + 0.5).clamp_(0, 1)
        images = torch.maximum(images, spot * _draw(n, 0, 1, generator))
    return images


def half_inverted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn light into dark on one side of a line."""
    _, across = _across(len(images), generator)
    return torch.where(across > _draw(len(images), 2, 13, generator), 1 - images, images)


def outlined(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Leave the edges of the strokes alone, as a copier does with a thick pen."""
    around = _around(images)
    edges = ((around[0] - around[1]) ** 2 + (around[2] - around[3]) ** 2).sqrt()
    return (edges * _draw(len(images), 1, 2.5, generator)).clamp_(0, 1)


EFFECTS: dict[str, Effect] = {
    "thicker": thicker,
    "thinner": thinner,
    "outlined": outlined,
    "faint": faint,
    "grainy": grainy,
    "heavy": heavy,
    "blurred": blurred,
    "lined": lined,
    "stained": stained,
    "clipped": clipped,
    "edged": edged,
    "half-inverted": half_inverted,
    "shaded": shaded,
    "speckled": speckled,
    "noisy": noisy,
}
"""Every effect, in an order in which they make sense one after the other."""

_READER_EFFECTS = {
    "thicker": 0.08,
    "thinner": 0.08,
    "outlined": 0.02,
    "faint": 0.06,
    "grainy": 0.04,
    "heavy": 0.06,
    "blurred": 0.08,
    "lined": 0.08,
    "stained": 0.04,
    "clipped": 0.02,
    "edged": 0.03,
    "half-inverted": 0.03,
    "shaded": 0.05,
    "speckled": 0.04,
    "noisy": 0.05,
}
AUGMENTATIONS = {
    "shift": Augmentation(shift=1.5),
    "light": Augmentation(rotation=8, shear=0.1, scale=0.07, stretch=0.07, shift=1.0, elastic=0.45),
    "reader": Augmentation(
        rotation=13,
        shear=0.2,
        scale=0.14,
        stretch=0.12,
        shift=2.0,
        elastic=0.55,
        wild=0.1,
        effects=_READER_EFFECTS,
    ),
}
"""What a recipe's ``augment`` can name, besides ``"none"``."""


def find_augmentation(name: str) -> Augmentation | None:
    """Return the augmentation called ``name``, None for ``"none"``.

    Raises:
        UnknownNameError: there is no such augmentation.
    """
    if name == "none":
        return None
    if name not in AUGMENTATIONS:
        raise UnknownNameError("augmentation", name, ["none", *AUGMENTATIONS])
    return AUGMENTATIONS[name]
