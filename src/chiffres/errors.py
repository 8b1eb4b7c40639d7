"""Every error that Chiffres raises on purpose.

ChiffresError
├── UsageError           what was asked for cannot be: exit code 2
│   ├── UnknownNameError     no such dataset, model, recipe or language
│   ├── RecipeError          a recipe with an unknown key or a value out of range
│   ├── MissingExtraError    a part of Chiffres that is not installed
│   └── MissingToolError     a compiler or an emulator that is not installed
└── JobError             what was asked for went wrong: exit code 1
    ├── DatasetError         a dataset that is missing, damaged or wrongly shaped
    ├── ImageError           an image that cannot be decoded, or that shows no digit
    ├── ModelFileError       a model file that is damaged, too large or not to be trusted
    ├── RunError             a run folder that is missing, incomplete or in the way
    └── TrainingError        a training whose loss is no longer a number

A message says what is wrong, with the value, and what to do next. The command line prints it
alone, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ChiffresError(Exception):
    """The base of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class UsageError(ChiffresError):
    """What was asked for cannot be."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not among the known ones; the message proposes the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(
            f"unknown {kind} {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
        )


class RecipeError(UsageError):
    """A recipe with an unknown key or a value out of range."""


class MissingExtraError(UsageError):
    """A part of Chiffres that is not installed."""

    def __init__(self, purpose: str, extra: str, missing: str | None) -> None:
        super().__init__(
            f"{purpose} needs the package {missing!r}, which is not installed; "
            f"install the extra with: pip install 'chiffres[{extra}]'"
        )


class MissingToolError(UsageError):
    """A compiler or an emulator that is not installed."""

    def __init__(self, purpose: str, missing: Iterable[str], packages: Iterable[str]) -> None:
        super().__init__(
            f"{purpose} needs {', '.join(missing)}, which this machine lacks; install, on Debian "
            f"or Ubuntu: apt-get install {' '.join(packages)}"
        )


class JobError(ChiffresError):
    """What was asked for went wrong."""


class DatasetError(JobError):
    """A dataset that is missing, damaged or wrongly shaped."""


class ImageError(JobError):
    """An image that cannot be decoded, or that shows no digit."""


class ModelFileError(JobError):
    """A model file that is damaged, too large or not to be trusted."""


class RunError(JobError):
    """A run folder that is missing, incomplete or in the way."""


class TrainingError(JobError):
    """A training whose loss is no longer a number."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` with the known name nearest to ``name``, or nothing."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""
