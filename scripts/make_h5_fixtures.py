"""Make the genuine ``.h5`` files of Keras 2 and Keras 3 that the tests load.

    python scripts/make_h5_fixtures.py keras3    after scripts/setup
    python scripts/make_h5_fixtures.py keras2    after, in an environment of its own,
        pip install -e '.[train]' torch==2.13.0 tensorflow-cpu==2.21.0 tf_keras==2.21.0

Two small models are trained for four epochs on mnist-5k, brought to take grey levels from 0 to
255, and saved by the framework's own ``model.save``. Beside each lies a JSON file with what that
framework answered itself: its loss and accuracy on the test part, and its probabilities for eight
of those digits. Once more on the same machine, the answers are the same to the last digit.
"""

from __future__ import annotations

import argparse
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from chiffres.data import Dataset, load_dataset

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
ASKED = list(range(0, 400, 50))
SEED = 9000
UNITS = 12  # with 16 the four files, which hold Adam's two moments as well, pass 600 kB


def dense(keras: Any) -> Any:
    """Return the lab's dense model with a few neurons."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def conv_dropout(keras: Any) -> Any:
    """Return the lab's convolutional model with a few kernels and neurons."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Conv2D(4, kernel_size=(3, 3), activation="relu"),
            layers.MaxPool2D(2, 2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(UNITS, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )


MODELS = {"dense": (dense, (784,)), "conv-dropout": (conv_dropout, (28, 28, 1))}
"""What builds each model, and the shape of its input."""


def main() -> None:
    """Train, save and write down the answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generation", choices=["keras2", "keras3"])
    generation = parser.parse_args().generation
    if generation == "keras2":
        import tf_keras as keras

        packages = ["tf_keras", "tensorflow-cpu"]
    else:
        from chiffres.models.backend import BACKEND, keras

        packages = ["keras", BACKEND]
    versions = {name: metadata.version(name) for name in packages}
    dataset = load_dataset("mnist-5k")
    for name, (build, shape) in MODELS.items():
        keras.utils.set_random_seed(SEED)  # before the layers: Keras 3 draws their seeds with them
        make(build(keras), shape, FIXTURES / f"{generation}-{name}.h5", keras, dataset, versions)


def make(
    model: Any,
    shape: tuple[int, ...],
    path: Path,
    keras: Any,
    dataset: Dataset,
    versions: dict[str, str],
) -> None:
    """Train ``model`` and write it to ``path``, its answers beside it."""
    model.build((None, *shape))
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        metrics=["accuracy"],
    )
    train, test = (
        (part.images.reshape(-1, *shape).astype(np.float32), part.labels.astype(np.int64))
        for part in (dataset.train, dataset.test)
    )
    # On raw inputs so few neurons die within an epoch, and a dead model answers from its biases.
    model.fit(train[0] / 255, train[1], epochs=4, batch_size=32, verbose=2)
    first = model.layers[0].kernel
    first.assign(first / 255)
    loss, accuracy = model.evaluate(*test, verbose=0)
    answers = {
        "made_by": versions,
        "asked": ASKED,
        "probabilities": model.predict(test[0][ASKED], verbose=0).astype(float).tolist(),
        "loss": loss,
        "accuracy": accuracy,
    }
    model.save(path)
    path.with_suffix(".json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size:,} bytes, test accuracy {accuracy}")


if __name__ == "__main__":
    main()
