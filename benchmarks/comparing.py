"""How often the statistics of a comparison are wrong, on simulated runs whose truth is known.

Run from the root of the repository: ``python -m benchmarks.comparing``; one minute. It prints, by
the luck of a seed and the number of seeds: how many of 2,000 pairs of equal models the test at 5 %
calls different, how many the percentile bootstrap does (of 500), and how many of the 95 %
intervals of an accuracy, a difference and a gap hold the true value.
"""

from __future__ import annotations

import numpy as np
from tests.evaluation.simulated import Population

from chiffres.evaluation.bootstrap import bootstrap_difference
from chiffres.evaluation.intervals import difference_over_seeds, gap_over_seeds
from chiffres.evaluation.seeds import accuracy_interval

TIMES, BOOTSTRAPS, DRAWS, DIGITS, BETTER = 2000, 500, 400, 600, 0.3


def measure(population: Population, seeds: int) -> list[float]:
    """Return the shares of one row of the table."""
    rng = np.random.default_rng(seeds)
    truth = population.accuracy()
    apart = population.accuracy(BETTER) - truth
    found: list[list[bool]] = [[] for _ in range(5)]
    for number in range(TIMES):
        digits, others = population.digits(DIGITS, rng), population.digits(DIGITS, rng)
        luck = [population.luck(seeds, rng) for _ in range(3)]
        better = population.read(digits, luck[0], rng, BETTER)
        unseen = population.read(others, luck[0], rng)
        a, b = (population.read(digits, each, rng) for each in luck[1:])
        found[0].append(difference_over_seeds(a, b).p_value < 0.05)
        if number < BOOTSTRAPS:
            found[1].append(not _holds(bootstrap_difference(a, b, DRAWS, number), 0))
        found[2].append(_holds(accuracy_interval(a), truth))
        found[3].append(_holds(difference_over_seeds(better, a).interval, apart))
        found[4].append(_holds(gap_over_seeds(better, unseen).interval, apart))
    return [float(np.mean(each)) for each in found]


def _holds(interval: tuple[float, float], true: float) -> bool:
    return interval[0] <= true <= interval[1]


def main() -> None:
    """Print the table in Markdown."""
    print("| luck of a seed | seeds | test | bootstrap | accuracy | difference | gap |")
    print("|---:" * 7 + "|")
    for luck in (0.03, 0.1, 0.2):
        population = Population(seed=luck)
        points = 100 * (population.accuracy(luck) - population.accuracy())
        for seeds in (2, 3, 5, 10):
            shares = " | ".join(f"{100 * share:.1f}" for share in measure(population, seeds))
            print(f"| {points:.1f} points | {seeds} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
