"""The layers of the package: an import points down, never up."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import chiffres

LAYERS = (  # from the top
    {"cli", "__main__"},
    {"course", "serve", "lab", "bench"},
    {"report"},
    {"reading"},  # asks export to convert a Keras model, where one is given
    {"evaluation", "export"},
    {"training"},
    {"native"},
    {"models", "recipes"},
    {"data"},
    {"cluster", "processes"},
    {"errors", "storage"},
)
HEIGHT = {part: -depth for depth, layer in enumerate(LAYERS) for part in layer}
ROOT = Path(chiffres.__file__).parent
FRAMEWORKS = {"keras", "torch", "sklearn", "scipy", "matplotlib", "onnx"}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the full name of everything imported below ``node``, for type checkers alone apart."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for branch in node.orelse:
            yield from imported(branch)
    else:
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


def module_name(path: Path) -> str:
    parts = ("chiffres", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


IMPORTS = {
    module_name(path): set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    for path in ROOT.rglob("*.py")
}
del IMPORTS["chiffres"]  # lists the public names of all layers, lazily


def part(module: str) -> str:
    """Return what of Chiffres a module belongs to: ``data`` for ``chiffres.data.idx``."""
    return module.split(".")[1]


def inner(module: str) -> set[str]:
    """Return the parts of Chiffres that a module imports."""
    names = (name for name in IMPORTS[module] if name.startswith("chiffres."))
    return {part(name) for name in names} - {"__version__"}


def test_the_imports_are_seen_even_inside_functions() -> None:
    assert "sklearn.model_selection.train_test_split" in IMPORTS["chiffres.data.dataset"]
    assert inner("chiffres.training.train") >= {"data", "errors", "models", "storage"}


def test_an_import_for_type_checkers_alone_is_none() -> None:
    source = "if TYPE_CHECKING:\n    import a\nelse:\n    import b\ndef f():\n    from c import d"
    assert set(imported(ast.parse(source))) == {"b", "c.d"}


def test_everything_has_a_layer() -> None:
    assert {part(module) for module in IMPORTS} <= HEIGHT.keys()
    assert {name for module in IMPORTS for name in inner(module)} <= HEIGHT.keys()


def test_no_import_points_up() -> None:
    upward = [
        f"{module} imports {other}"
        for module in IMPORTS
        for other in inner(module)
        if HEIGHT[other] > HEIGHT[part(module)]
    ]
    assert upward == []


def test_no_parts_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for module in IMPORTS:
        graph.setdefault(part(module), set()).update(inner(module) - {part(module)})
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_keras_is_imported_in_one_place() -> None:
    importers = {
        module
        for module, names in IMPORTS.items()
        if any(name.split(".")[0] == "keras" for name in names)
    }
    worker = "chiffres.bench.worker"  # runs where there is no Chiffres
    assert importers == {"chiffres.models.backend", worker}


def test_reading_pictures_needs_no_training_framework() -> None:
    modules = ["chiffres.data.image", *(name for name in IMPORTS if part(name) == "reading")]
    for module in modules:
        assert {name.split(".")[0] for name in IMPORTS[module]}.isdisjoint(FRAMEWORKS), module
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(modules) <= set(run.stdout.split())
    assert FRAMEWORKS.isdisjoint(run.stdout.split())
