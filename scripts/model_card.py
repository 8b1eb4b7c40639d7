"""What the model cards of all networks that come with Chiffres say alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chiffres.models.named import SHIPPED
from chiffres.storage import write_text
from chiffres.training.recipe import load_recipe


def write(name: str, card: Mapping[str, Any], text: str, figures: Mapping[str, str]) -> None:
    """Write the card beside the weights, as JSON and to read, and print it.

    Args:
        name: of the recipe.
        card: all that is known, as JSON.
        text: what is to be read, with places for ``rows`` and ``recipe``.
        figures: the rows of its table, but for how the network was made.
    """
    rows = "\n".join(f"| {what} | {value} |" for what, value in {**figures, **made(card)}.items())
    readable = text.format(rows=rows, recipe=load_recipe(name).toml())
    write_text(SHIPPED / f"{name}.json", json.dumps(card, indent=2) + "\n")
    write_text(SHIPPED / f"{name}.md", readable)
    print(readable)


def made(card: Mapping[str, Any]) -> dict[str, str]:
    """Return how a network was trained, on what, with what."""
    environment, recipe = card["environment"], card["recipe"]
    dataset = environment["dataset"]
    packages = ", ".join(f"{each} {version}" for each, version in environment["packages"].items())
    return {
        "training": f"{card['training_seconds'] / 60:.0f} minutes, {recipe['epochs']} epochs, "
        f"seed {recipe['seed']}, on {environment['cores']} cores of an "
        f"{environment['processor']}, without a GPU",
        "data": f"{dataset['name']}, {dataset['train']:,} digits to train on, "
        f"SHA-256 `{dataset['sha256']}`",
        "made with": f"Chiffres {environment['chiffres']} at `{environment['git_commit']}`, "
        f"Python {environment['python']}, {packages}",
    }


def median_seconds(answer: Callable[[], Any], times: int) -> float:
    """Return the median time that an answer takes."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        answer()
        found.append(time.perf_counter() - started)
    return float(np.median(found))
