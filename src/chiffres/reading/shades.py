"""From colours to shades: a picture as one channel, in which its writing stands out."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.reading.picture import Pixels

Floats = npt.NDArray[np.float32]

COARSE = 400
"""The longest side, in pixels, of the reduced picture in which the paper is looked for."""
GREYISH = 0.95
"""Colours that count this much or more, compared with the one that counts most, are just grey."""
SMOOTHER, SMOOTHEST = 300, 3.0
"""Smoothed by more, its reach is the shorter side by the first, up to the second, in pixels."""
COLOURED, FAR_ABOVE = 0.08, 6.0
"""Writing has a colour of its own where the ratio of parts of the light is another than around it,
by so many nepers where it differs most, and by so many times what it does in most places."""
STRONGEST = 99.5
"""What is coloured more than this share of a picture, in percent, is its strongest colour."""
FAINT_COLOUR = 0.3
"""What is coloured less than this share of the strongest is as good as grey."""
DARKEST = 24.0
"""Black has no colour: so many grey levels are added to each part of the light."""


def to_shades(pixels: Pixels) -> Pixels:
    """Return the picture as one channel, the mix of its colours in which details differ most.

    The mix is the first principal component of what remains of the colours without their
    surroundings, so ink shows that is as light as its paper but of another colour.

    Returns:
        ``(height, width)`` uint8.
    """
    if pixels.ndim == 2:
        return pixels
    small = shrunk(pixels, COARSE // 2).astype(np.float32)
    details = _without_surroundings(small).reshape(-1, 3)
    covariance = details.T @ details / len(details)
    # what is nearly grey is taken as grey: red, green and blue alike
    covariance += 1e-3 * covariance.trace() / 3 + np.full((3, 3), 0.01, np.float32)
    mix = np.linalg.eigh(covariance)[1][:, -1]
    mix = mix if mix.sum() >= 0 else -mix
    if mix.min() > GREYISH * mix.max():
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return _mixed(pixels, mix)


def colour_alone(pixels: Pixels) -> Pixels | None:
    """Return how much of its own colour everything in a picture has, whatever the light on it.

    Print, shadows and the lines of a pencil are grey, and go. What matters is the logarithm of the
    ratio between parts of the light, to which a shadow does nothing (G. Finlayson, S. Hordley,
    C. Lu and M. Drew, On the Removal of Shadows from Images, IEEE PAMI 28 (1), 2006).

    Returns:
        ``(height, width)`` uint8, 128 = as most of the picture; None where hardly anything has one.
    """
    if pixels.ndim == 2:
        return None
    small = _ratios(shrunk(pixels, COARSE), _RATIOS)
    details = _without_surroundings(small).reshape(-1, 2)
    axis = np.linalg.eigh(details.T @ details)[1][:, -1]
    usual, strongest = np.percentile(np.abs(details @ axis), [50, STRONGEST])
    if strongest < max(COLOURED, FAR_ABOVE * usual):
        return None
    faint = float(FAINT_COLOUR * strongest)
    beside = _ratios(pixels, axis @ _RATIOS) - np.median(small @ axis)
    own = np.maximum(beside, faint) + np.minimum(beside, -faint)
    return np.asarray(np.clip(128 + own * (120 / (strongest - faint)), 0, 255), np.uint8)


_LOGARITHMS = np.log(np.arange(256, dtype=np.float32) + np.float32(DARKEST))
_RATIOS = np.array([[1, -1, 0], [-0.5, -0.5, 1]], np.float32)
"""Of red to green, and of blue to both."""


def _ratios(pixels: Pixels, weights: Floats) -> Floats:
    """Return sums of the logarithms of red, green and blue, one for each row of the weights."""
    logarithms = cv2.LUT(pixels, _LOGARITHMS)
    return np.asarray(cv2.transform(logarithms, weights.reshape(-1, 3)), np.float32)


def _without_surroundings(channels: Floats) -> Floats:
    """Return what is left of a picture without what is as wide as a sixth of its shorter side."""
    reach = max(3.0, min(channels.shape[:2]) / 6)
    return np.asarray(channels - cv2.GaussianBlur(channels, (0, 0), reach), np.float32)


def smoothed(pixels: Pixels) -> Pixels:
    """Return the picture without its grain, and without what is as fine."""
    reach = min(SMOOTHEST, max(1.0, min(pixels.shape[:2]) / SMOOTHER))
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), reach), np.uint8)


def _mixed(pixels: Pixels, mix: Floats) -> Pixels:
    """Return the weighted sum of the channels, moved and stretched into 0 to 255."""
    scale = 1 / np.abs(mix).sum()
    lowest = 255 * scale * np.minimum(mix, 0).sum()
    weights = np.array([[*(mix * scale), -lowest]], np.float32)
    return np.asarray(cv2.transform(pixels, weights), np.uint8)


def shrunk(pixels: Pixels, longest: int) -> Pixels:
    """Return the picture reduced, by averaging, to a longest side of at most ``longest``."""
    factor = longest / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
