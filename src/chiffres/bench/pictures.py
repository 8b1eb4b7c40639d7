"""What was measured, as a table and as bars, in the words of a language."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.figure import Figure

from chiffres.bench.rows import Measured, Row
from chiffres.bench.training import FLOOR
from chiffres.report.figures import BLUE, GREY, INK, STYLE
from chiffres.report.tables import Table
from chiffres.report.words import Words

NAMES = {
    "chiffres": "engine_chiffres",
    "torch": "engine_torch",
    "keras-torch": "engine_keras_torch",
    "keras-tensorflow": "engine_keras_tensorflow",
    "keras-jax": "engine_keras_jax",
    FLOOR: "engine_floor",
}
"""What each engine is called, in the order in which they are shown."""

READERS = {
    "chiffres": "engine_chiffres",
    "classifier": "engine_classifier",
    "resized": "engine_resized",
    "tesseract": "engine_tesseract",
}
"""What each engine that reads is called, likewise."""
READ = {
    ("single", "read right"): "reading_single",
    ("forms", "read right"): "reading_forms",
    ("sketches", "read right"): "reading_sketches",
    ("strings", "read right"): "reading_strings",
    ("touching", "read right"): "reading_touching",
    ("lines", "read right"): "reading_lines",
    ("boxes", "read right"): "reading_boxes",
    ("mnist-files", "read right"): "reading_files",
    ("optical", "read right"): "reading_optical",
    ("cut-outs", "read right"): "reading_cut_outs",
    ("blank", "read right"): "reading_blank",
    ("inverted", "same reading"): "reading_inverted",
    ("turned", "same reading"): "reading_turned",
    ("scaled", "same reading"): "reading_scaled",
    ("shifted", "same reading"): "reading_shifted",
    ("cold start", "whole process"): "reading_cold",
    ("photograph", "whole process"): "reading_photograph_cold",
    ("photograph", "warm"): "reading_photograph_warm",
    ("28x28", "warm"): "reading_small_warm",
    ("cold start", "peak memory"): "reading_small_memory",
    ("photograph", "peak memory"): "reading_photograph_memory",
}
"""What each subject and metric of reading is called, likewise."""


def table(measured: Measured, words: Words) -> Table:
    """Return the seconds of an epoch, and how many times those of Chiffres they are."""
    models = _models(measured)
    rows = []
    for engine in _engines(measured):
        cells = [words.plain(NAMES[engine])]
        for model in models:
            row, ours = (
                measured.row(model, engine, "epoch"),
                measured.row(model, "chiffres", "epoch"),
            )
            assert row is not None
            assert ours is not None
            times = words.number(row.median / ours.median, 1)
            cells.append(f"{words.number(row.median, 2)} s (× {times})")
        rows.append(cells)
    return Table([words.plain("engine"), *models], rows)


def reading_table(measured: Measured, words: Words) -> Table:
    """Return a row per set with its share and interval, of each engine, then times and memory."""
    engines = [engine for engine in READERS if any(row.engine == engine for row in measured.rows)]
    rows = []
    for (subject, metric), key in READ.items():
        found = [measured.row(subject, engine, metric) for engine in engines]
        if any(found):
            count = next(row.n for row in found if row)
            cells = [_reading(row, words) if row else "–" for row in found]
            rows.append([words.plain(key), words.number(count) if count else "–", *cells])
    headings = [words.plain(key) for key in ("pictures", "count_read")]
    return Table([*headings, *(words.plain(READERS[engine]) for engine in engines)], rows)


def _reading(row: Row, words: Words) -> str:
    """Write a share with its interval, or the median with its unit."""
    if not row.n:
        decimals = 2 if row.median < 10 else 0
        return f"{words.number(row.median, decimals)} {row.unit}"
    low, high = row.interval
    share = words.percent(row.median, 1)
    return f"{share} ({words.percent(low, 1)} – {words.percent(high, 1)})"


def bars(measured: Measured, words: Words) -> Figure:
    """Draw a panel per model with a bar per engine, and the floor as a dashed line."""
    models, engines = _models(measured), _engines(measured)[:-1]
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 0.9 + 0.42 * len(engines)), layout="constrained")
        for panel, (model, axes) in enumerate(
            zip(models, figure.subplots(1, len(models), squeeze=False)[0], strict=True)
        ):
            rows = [row for engine in engines if (row := measured.row(model, engine, "epoch"))]
            floor = measured.row(model, FLOOR, "epoch")
            assert floor is not None
            medians = [row.median for row in rows]
            colours = [BLUE if row.engine == "chiffres" else GREY for row in rows]
            axes.barh(range(len(rows)), medians, color=colours, height=0.7)
            axes.axvline(floor.median, color=INK, linestyle="--", linewidth=1)
            for place, median in enumerate(medians):
                axes.annotate(
                    words.number(median, 2 if median < 10 else 1),
                    (median, place),
                    (3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )
            axes.set_title(model)
            axes.set_xlim(0, 1.22 * max(medians))
            axes.grid(visible=False)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
            names = [words.plain(NAMES[engine]) for engine in engines] if panel == 0 else []
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(left=False)
            axes.set_ylim(len(rows) - 0.5, -0.5)
        figure.supxlabel(
            words.plain(
                "bench_caption",
                images=words.number(measured.machine["dataset"]["train"]),
                batch_size=measured.machine["batch_size"],
            ),
            fontsize=9.5,
            color=INK,
        )
    return figure


def _models(measured: Measured) -> list[str]:
    return list(dict.fromkeys(row.subject for row in measured.rows))


def _engines(measured: Measured) -> list[str]:
    found = {row.engine for row in measured.rows}
    return [engine for engine in NAMES if engine in found]
