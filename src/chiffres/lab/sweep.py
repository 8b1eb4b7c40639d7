"""A sweep: one recipe trained for every combination of some values, each with several seeds."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from chiffres.data import Dataset, load_dataset
from chiffres.errors import TrainingError, UsageError
from chiffres.evaluation.compare import Comparison
from chiffres.lab.comparing import changed_settings, compare_runs
from chiffres.models import find_builder
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.tracking import check_trackers
from chiffres.training.trials import Engine, Outcome, Trial

NOT_SWEPT = {"seed": "use --seeds", "data": "compare models on the same digits"}


def run_sweep(
    recipe: str,
    over: Sequence[str],
    out: str | Path,
    engine: Engine,
    dataset: Dataset | None = None,
    *,
    seeds: int = 1,
    settings: Sequence[str] = (),
    resume: bool = False,
    log: Sequence[str] = (),
    say: Callable[[Outcome], None] = lambda outcome: None,
) -> Comparison:
    """Train every combination of the values with every seed, and compare what came out.

    Each trial is a run, ``OUT/<values>/seed-<seed>``. A sweep that was stopped loses the epochs
    under way at most; finished trials are not trained again.

    Args:
        recipe: its name, or the path of its TOML file.
        over: ``"key=value,value,..."`` texts.
        out: the sweep's folder.
        engine: where the trials are run.
        dataset: the digits; by default those of the recipe.
        seeds: how many, beginning with the recipe's.
        settings: ``"key=value"`` texts for all trials, as in ``load_recipe``.
        resume: go on with the sweep in ``out``; it may have got more values or seeds.
        log: where else the runs are to be shown, as for ``train``.
        say: told how each trial ended.

    Raises:
        UsageError: a key cannot be swept, ``out`` holds a sweep already, or the model has no such
            option.
        TrainingError: no trial was finished.
    """
    out = Path(out)
    dataset = dataset or load_dataset(load_recipe(recipe, settings).data)
    trials = plan(recipe, over, out, dataset.name, seeds, settings)
    if not resume and any(trial.run.exists for trial in trials):
        raise UsageError(f"{out}: holds a sweep already; resume it (--resume) or choose another")
    check_trackers(log)
    errors = {}
    for outcome in engine([trial for trial in trials if not trial.run.finished], log):
        say(outcome)
        if outcome.error:
            errors[outcome.trial.folder] = outcome.error
    finished = [trial.folder for trial in trials if trial.folder not in errors]
    if not finished:
        raise TrainingError(f"no trial was finished; the first: {next(iter(errors.values()))}")
    failed = {f"{folder.parent.name} {folder.name}": error for folder, error in errors.items()}
    command = _command(recipe, over, trials[0].recipe, seeds)
    comparison = compare_runs(finished, dataset)
    return dataclasses.replace(comparison, failed=failed, command=command)


def plan(
    recipe: str,
    over: Sequence[str],
    out: Path,
    data: str,
    seeds: int = 1,
    settings: Sequence[str] = (),
) -> list[Trial]:
    """Return the trials of a sweep, all checked before the first is run; see ``run_sweep``."""
    axes = [_axis(text) for text in over]
    keys = [axis[0].partition("=")[0] for axis in axes]
    if len(set(keys)) < len(keys):
        raise UsageError(f"{', '.join(over)}: name each key once")
    trials = []
    for values in itertools.product(*axes):
        varied = load_recipe(recipe, [*settings, *values])
        find_builder(varied.model, varied.options)  # raises where the model has no such option
        for seed in range(varied.seed, varied.seed + seeds):
            changed = varied.model_dump() | {"data": data, "seed": seed}
            folder = out / re.sub(r"[^\w.=,+-]+", "-", ",".join(values)) / f"seed-{seed}"
            trials.append(Trial(Recipe.model_validate(changed), folder))
    if len({trial.folder for trial in trials}) < len(trials) or _repeated(trials):
        raise UsageError(f"{', '.join(over)}: name each value once")
    return trials


def _axis(text: str) -> list[str]:
    """Return ``key=value`` of each value in ``"key=value,value"``."""
    key, separator, values = text.partition("=")
    key, each = key.strip(), [value.strip() for value in values.split(",")]
    if not separator or not key or not all(each):
        raise UsageError(f"--over {text!r}: expected key=value,value, as in dropout=0,0.2,0.5")
    if key in NOT_SWEPT:
        raise UsageError(f"--over {text!r}: {key} cannot be swept; {NOT_SWEPT[key]}")
    return [f"{key}={value}" for value in each]


def _repeated(trials: Sequence[Trial]) -> bool:
    """Whether two trials are the same training, written otherwise, as 0.2 and 0.20."""
    return len({trial.recipe.toml() for trial in trials}) < len(trials)


def _command(recipe: str, over: Sequence[str], first: Recipe, seeds: int) -> str:
    swept = {text.partition("=")[0].strip(): None for text in over}
    settings = changed_settings(first, {"data": None, **swept})
    return " ".join(
        [
            f"chiffres sweep {recipe} --data {first.data}",
            *(f"--over {text}" for text in over),
            *(f"--set {setting}" for setting in settings),
            f"--seeds {seeds}",
        ]
    )
