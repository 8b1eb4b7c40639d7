from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from chiffres import errors
from chiffres.errors import ChiffresError, MissingExtraError, UnknownNameError, did_you_mean

CLASSES: dict[str, Any] = {
    name: each
    for name, each in vars(errors).items()
    if inspect.isclass(each) and issubclass(each, Exception)
}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ChiffresError", 1),
        ("UsageError", 2),
        ("UnknownNameError", 2),
        ("RecipeError", 2),
        ("MissingExtraError", 2),
        ("MissingToolError", 2),
        ("JobError", 1),
        ("DatasetError", 1),
        ("ImageError", 1),
        ("ModelFileError", 1),
        ("RunError", 1),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    assert CLASSES[name].exit_code == code


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"((?:│   |    )*(?:├── |└── )?)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            branch[depth:] = [found[2]]
            drawn[found[2]] = branch[depth - 1] if depth else "Exception"
    assert drawn == {name: each.__bases__[0].__name__ for name, each in CLASSES.items()}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnsit", " (did you mean 'mnist'?)"),
        ("learning_rat", " (did you mean 'learning_rate'?)"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_did_you_mean(name: str, hint: str) -> None:
    assert did_you_mean(name, ["learning_rate", "mnist", "seed"]) == hint


def test_an_unknown_name_says_what_is_known() -> None:
    error = UnknownNameError("model", "convpool", iter(["dense", "conv-pool"]))
    assert str(error) == (
        "unknown model 'convpool' (did you mean 'conv-pool'?); known: conv-pool, dense"
    )


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtraError("training", "train", "keras")
    assert isinstance(error, ChiffresError)
    assert "'keras'" in str(error)
    assert "pip install 'chiffres[train]'" in str(error)
