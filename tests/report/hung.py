"""What a gallery of digits shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure


def hung(figure: Figure) -> list[tuple[str, npt.NDArray[Any]]]:
    """Return each image of a gallery with the label that stands right above it, in order."""
    (axes,) = figure.axes
    shown = []
    for image, label in zip(axes.images, axes.texts, strict=True):
        left, right, _, top = image.get_extent()
        x, y = label.get_position()
        assert left < x < right
        assert 0 < top - y < 0.1
        shown.append((label.get_text(), np.asarray(image.get_array())))
    return shown
