"""Which file the name of a trained model means; told without a framework, which takes seconds."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from chiffres.errors import UsageError

MODEL_FILE = "model.keras"
"""The model's file inside a run folder."""
SUFFIXES = (".keras", ".h5")
SHIPPED = Path(str(resources.files("chiffres"))) / "reading" / "weights"
"""Where the models lie that come with Chiffres."""


def shipped_models() -> list[str]:
    """Return the names of the models that come with Chiffres."""
    return sorted(path.stem for path in SHIPPED.glob("*.keras"))


def find_model(model: str | Path) -> Path:
    """Return the model file that ``model`` names.

    Args:
        model: a run folder, a ``.keras`` or an ``.h5`` file, or one of ``shipped_models()``.

    Raises:
        UsageError: there is no such thing.
    """
    path = Path(model).expanduser()
    if not path.exists() and str(model) in shipped_models():
        path = SHIPPED / f"{model}.keras"
    if path.is_dir():
        path = path / MODEL_FILE
        if not path.is_file():
            raise UsageError(f"{model}: a folder without {MODEL_FILE}, so not a run to load")
    elif not path.exists():
        raise UsageError(f"{model}: no such run folder or model file{_instead(str(model))}")
    elif path.suffix not in SUFFIXES:
        raise UsageError(f"{model}: expected a run folder or a file {' or '.join(SUFFIXES)}")
    return path


def _instead(name: str) -> str:
    """Return what to do where ``name`` is not found."""
    if f"{name}.toml" in (file.name for file in resources.files("chiffres.recipes").iterdir()):
        return f"; {name} is a recipe, so train it (chiffres train {name}) and name the run"
    shipped = " or ".join(shipped_models())
    return f", and no model that comes with Chiffres ({shipped})" if shipped else ""
