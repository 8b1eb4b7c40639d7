"""Figures, each a function that returns one; what they say comes in the words of a language."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from PIL import Image

from chiffres.data import Dataset, Digits
from chiffres.data.dataset import CLASSES
from chiffres.evaluation.corrupt import CORRUPTIONS, corrupt
from chiffres.evaluation.metrics import Evaluation
from chiffres.report.words import Words
from chiffres.storage import replacing

if TYPE_CHECKING:
    from chiffres.training.augment import Augmentation

BLUE, ORANGE, GREY, INK = "#1f5fbf", "#d9730d", "#8a8f98", "#1d2430"
STYLE: Any = {
    "font.size": 10.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "chiffres",
}
ACROSS = 0.08
"""The gap between images in a row, in their width."""


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, whole or not at all."""
    with replacing(path) as temporary, rc_context(STYLE):
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def data_uri(figure: Figure, kind: str = "svg", dpi: int = 160) -> str:
    """Return the figure as a ``data:`` address, ``kind`` ``"svg"`` or ``"png"``."""
    buffer = io.BytesIO()
    with rc_context(STYLE):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=dpi, bbox_inches="tight", metadata=metadata)
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    content = buffer.getvalue() if kind == "svg" else _with_few_colours(buffer)
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _with_few_colours(png: io.BytesIO) -> bytes:
    """Return a PNG with 64 colours, a third of the size; what is drawn so are grey levels."""
    small = io.BytesIO()
    with Image.open(png) as image:
        image.convert("RGB").quantize(64).save(small, "png", optimize=True)
    return small.getvalue()


def digit_grid(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Figure:
    """Draw the lab's 3×3 grid: the first nine of ``images``, their labels above."""
    return labelled_grid(images[:9], labels[:9], columns=3)


def labelled_grid(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[Any], columns: int = 10
) -> Figure:
    """Draw all ``images``, ``(n, 28, 28)``, in rows of ``columns``, their labels above."""
    cells = [(image, str(label)) for image, label in zip(images, labels, strict=True)]
    return gallery(_in_rows(cells, columns), inches=1.05)


Cell = tuple[npt.NDArray[Any], str]
"""An image in grey levels, and its label."""


def gallery(rows: Sequence[Sequence[Cell]], inches: float, down: float = 0.22) -> Figure:
    """Draw digits in rows, their labels above.

    Args:
        rows: of images ``(28, 28)`` uint8.
        inches: the side of an image.
        down: how far apart the rows are, for their labels, in sides of an image.
    """
    columns = max(len(row) for row in rows)
    size = (inches * columns * (1 + ACROSS), inches * len(rows) * (1 + down))
    figure = Figure(figsize=size)
    hang(figure.add_axes((0, 0, 1, 1)), rows, down, highest=255)
    return figure


def hang(
    axes: Axes, rows: Sequence[Sequence[Cell]], down: float, highest: float | None = None
) -> None:
    """Draw images in rows, as in ``gallery``, on one pair of axes: a pair for each takes long.

    Args:
        axes: what to draw on.
        rows: of images.
        down: how far apart the rows are.
        highest: what is white; by default the highest value of each image.
    """
    for row, cells in enumerate(rows):
        for column, (image, label) in enumerate(cells):
            x, y = column * (1 + ACROSS), row * (1 + down)
            place = (x, x + 1, y + 1, y)
            axes.imshow(image, cmap="gray", vmin=0, vmax=highest, extent=place)
            axes.text(x + 0.5, y - 0.04, label, ha="center", va="bottom", fontsize=9.5)
    axes.axis("off")
    axes.set_xlim(0, max(len(cells) for cells in rows) * (1 + ACROSS) - ACROSS)
    axes.set_ylim(len(rows) * (1 + down) - down, 0)


def _in_rows(cells: Sequence[Cell], columns: int) -> list[Sequence[Cell]]:
    return [cells[first : first + columns] for first in range(0, len(cells), columns)]


def class_counts(dataset: Dataset, words: Words) -> Figure:
    """Draw how many of each digit every part has."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0))
        axes = figure.add_subplot()
        floor = np.zeros(CLASSES)
        for part, colour in (("train", BLUE), ("validation", ORANGE), ("test", GREY)):
            counts = dataset.part(part).counts()
            axes.bar(range(CLASSES), counts, bottom=floor, color=colour, label=words(part))
            floor = floor + counts
        axes.set_xticks(range(CLASSES))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(words("digit"))
        axes.set_ylabel(words("count"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))
        axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def learning_curve(history: Mapping[str, npt.ArrayLike], measure: str, words: Words) -> Figure:
    """Draw ``"accuracy"`` or ``"loss"`` of both parts after each epoch: the lab's two figures.

    Each column is ``(epochs,)``, or ``(seeds, epochs)``: the mean, in a band from the lowest to
    the highest.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0))
        axes = figure.add_subplot()
        lowest = 1.0
        for part, column, colour, marker in (
            ("train", measure, BLUE, "D-"),
            ("validation", f"val_{measure}", ORANGE, "o-"),
        ):
            curves = np.atleast_2d(history[column])
            epochs = range(1, curves.shape[1] + 1)
            axes.plot(epochs, curves.mean(axis=0), marker, color=colour, ms=4, label=words(part))
            band(axes, curves, colour)
            lowest = min(lowest, curves.min())
        axes.set_xlabel(words("epoch"))
        axes.set_ylabel(words(measure))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if measure == "accuracy":
            axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
            decimals = 1 if lowest > 0.9 else 0
            axes.yaxis.set_major_formatter(
                FuncFormatter(lambda value, _: words.percent(value, decimals))
            )
        else:
            logarithmic(axes, words)
        axes.legend()
    return figure


def band(axes: Axes, curves: npt.NDArray[np.float64], colour: str) -> None:
    """Shade from the lowest to the highest of curves, ``(seeds, epochs)``; nothing of one."""
    if len(curves) > 1:
        epochs = np.arange(1, curves.shape[1] + 1)
        low, high = curves.min(axis=0), curves.max(axis=0)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, lw=0)


def logarithmic(axes: Axes, words: Words) -> None:
    """Let the losses go up in factors, their ticks in plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value, words)))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def confusion(evaluation: Evaluation, words: Words) -> Figure:
    """Draw the confusion matrix; the diagonal is left pale, so that mistakes stand out."""
    matrix = evaluation.confusion
    mistakes = np.where(np.eye(CLASSES, dtype=bool), 0, matrix)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(5.2, 5.0))
        axes = figure.add_subplot()
        axes.imshow(mistakes, cmap="Oranges", vmax=max(1, mistakes.max() * 1.3))
        for row, column in np.ndindex(matrix.shape):
            if matrix[row, column]:
                colour = GREY if row == column else INK
                text = words.number(int(matrix[row, column]))
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8.5)
        axes.set_xticks(range(CLASSES))
        axes.set_yticks(range(CLASSES))
        axes.tick_params(length=0)
        axes.set_xlabel(words("read"))
        axes.set_ylabel(words("written"))
    return figure


def mistakes(evaluation: Evaluation, words: Words, limit: int = 24) -> Figure:
    """Draw the misread digits, the most confident first: written → read, confidence."""
    cells = []
    for index in evaluation.misread()[:limit]:
        written, read = evaluation.digits.labels[index], evaluation.predicted[index]
        confidence = words.percent(evaluation.probabilities[index].max(), 0)
        cells.append((evaluation.digits.images[index], f"{written} → {read}\n{confidence}"))
    return gallery(_in_rows(cells, 6), inches=0.9, down=0.5)


def feature_maps(
    image: npt.NDArray[np.uint8], maps: Mapping[str, npt.NDArray[np.float32]], words: Words
) -> Figure:
    """Draw a digit and its feature maps after each layer, ``(height, width, count)`` each."""
    figure = Figure(figsize=(9.6, 1.3 + 2.75 * len(maps)), layout="constrained")
    heights = [1.3] + [2.75] * len(maps)
    top, *below = figure.subfigures(1 + len(maps), 1, height_ratios=heights, squeeze=False)[:, 0]
    hang(top.add_subplot(), [[(image, words.plain("digit_caption"))]], down=0, highest=255)
    for part, (layer, stack) in zip(below, maps.items(), strict=True):
        height, width, count = stack.shape
        part.suptitle(
            words.plain("after_layer", layer=layer, count=count, height=height, width=width),
            fontsize=10,
        )
        cells = [(stack[:, :, channel], "") for channel in range(count)]
        hang(part.add_subplot(), _in_rows(cells, 11), down=ACROSS)
    return figure


def corruptions(image: npt.NDArray[np.uint8]) -> Figure:
    """Draw a digit, ``(28, 28)``, under every corruption, the corruption's name above."""
    cells = [(corrupt(image[None], name)[0], name) for name in CORRUPTIONS]
    figure = gallery(_in_rows(cells, 5), inches=1)
    figure.set_facecolor(STYLE["grid.color"])  # on white, a striped digit's sides would not be seen
    return figure


def augmentations(digits: Digits, augmentation: Augmentation) -> Figure:
    """Draw a digit of each class and, beside it, seven augmentations of it; always the same."""
    import torch

    columns = 8
    classes, first = np.unique(digits.labels, return_index=True)
    images = digits.images[first]
    copies = torch.from_numpy(np.repeat(images, columns - 1, axis=0))
    changed = augmentation(copies, torch.Generator().manual_seed(0)).round().numpy()
    changed = changed.reshape(len(images), columns - 1, *images[0].shape).astype(np.uint8)
    grid = np.concatenate([images[:, None], changed], axis=1).reshape(-1, *images[0].shape)
    labels = [str(label) if column == 0 else "" for label in classes for column in range(columns)]
    figure = labelled_grid(grid, np.array(labels), columns)
    figure.set_facecolor(STYLE["grid.color"])  # on white, white paper would not be seen
    return figure


def _short(value: float, words: Words) -> str:
    """Write a tick of a logarithmic axis with the decimals that it needs and no more."""
    return words.number(value, max(0, -int(np.floor(np.log10(value)))))
