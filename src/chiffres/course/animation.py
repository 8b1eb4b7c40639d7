"""A window that slides over an image, drawn in the browser: convolution and pooling to look at.

All numbers are computed here, by the functions of ``chiffres.lab``; the page only draws them.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from chiffres.report.words import Words

LABELS = {
    "image": "slide_image",
    "feature_map": "slide_feature_map",
    "play": "slide_play",
    "pause": "slide_pause",
    "stop": "slide_stop",
}
FORMULAS = {"sum": "slide_sum", "max": "slide_max", "average": "slide_average"}
DECIMALS = 3


def sliding_window(
    image: npt.NDArray[np.float64],
    result: npt.NDArray[np.float64],
    words: Words,
    *,
    kernel: npt.NDArray[np.float64] | None = None,
    size: int = 0,
    kind: Literal["sum", "max", "average"] = "sum",
) -> Markup:
    """Return the animation as a frame of its own, whose names meet no others of the page.

    Args:
        image: ``(height, width)``, 0 to 1.
        result: what the window gives at each of its stops.
        words: the language.
        kernel: ``(k, k)``: the window is multiplied by it, and moves by 1.
        size: of a window without kernel; it moves by as much.
        kind: what the numbers in the window become.
    """
    data: dict[str, Any] = {
        "image": image.round(DECIMALS).tolist(),
        "result": result.round(DECIMALS).tolist(),
        "kernel": None if kernel is None else kernel.round(DECIMALS).tolist(),
        "size": size if kernel is None else len(kernel),
        "stride": size if kernel is None else 1,
        "kind": kind,
        "language": words.language,
        "labels": {label: words.plain(key) for label, key in LABELS.items()},
        "formula": words.plain(FORMULAS[kind]),
    }
    environment = Environment(
        loader=PackageLoader("chiffres.course", "."), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("sliding.html").render(
        language=words.language,
        labels=data["labels"],
        data=Markup(json.dumps(data).replace("<", "\\u003c")),
    )
    return Markup(
        '<iframe srcdoc="{}" title="{}" sandbox="allow-scripts" '
        'style="width: 100%; height: 420px; border: 0"></iframe>'
    ).format(page, data["formula"])
