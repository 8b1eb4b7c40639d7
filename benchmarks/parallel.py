"""Steps per second of one training by several workers, side by side, one thread for each worker.

``python benchmarks/parallel.py --workers 1,2 --recipe reader``. Each is a training of three epochs,
the first of which does not count; they take turns, as a machine that slows down slows them all.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
from pathlib import Path


def steps_per_second(recipe_name: str, data: str, workers: int) -> float:
    """Train, and return the steps per second of the fastest epoch but the first."""
    os.environ["LOKY_MAX_CPU_COUNT"] = str(workers)  # what is divided into threads
    from chiffres.data import load_dataset
    from chiffres.training.parallel import train_in_parallel
    from chiffres.training.recipe import load_recipe

    recipe = load_recipe(recipe_name, ["epochs=3"])
    dataset = load_dataset(data)
    with tempfile.TemporaryDirectory() as folder:
        run = train_in_parallel(
            recipe, Path(folder) / "run", workers, dataset=dataset, show_progress=False
        )
        seconds = min(run.metrics()["epoch_seconds"][1:])
    digits = round(len(dataset.train) * (1 + recipe.negatives))
    return math.ceil(digits / recipe.batch_size) / seconds


def main() -> None:
    """Print a line per number of workers: the median, and how much faster than the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,2", help="how many, with commas between")
    parser.add_argument("--recipe", default="reader")
    parser.add_argument("--data", default="mnist-5k")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    counts = [int(count) for count in options.workers.split(",")]
    found: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(options.repeats):
        for count in counts:
            found[count].append(steps_per_second(options.recipe, options.data, count))
    first = statistics.median(found[counts[0]])
    for count, rates in found.items():
        median = statistics.median(rates)
        spread = f"{min(rates):.2f} to {max(rates):.2f}"
        print(f"{count} worker(s): {median:.2f} steps/s ({spread}), {median / first:.2f} x")


if __name__ == "__main__":
    main()
