"""Make the genuine ``.h5`` files of Keras 2 and Keras 3 that the tests load.

    python scripts/make_h5_fixtures.py keras3      in the environment of constraints.txt
    python scripts/make_h5_fixtures.py keras2      the same with: pip install tensorflow-cpu tf_keras

Two small models are trained for eight epochs on mnist-5k and saved by the framework's own
``model.save``. Beside each lies a JSON file with what that framework answered itself: its loss and
accuracy on the test part, and its probabilities for eight of those digits.
"""

from __future__ import annotations

import argparse
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from chiffres.data import load_dataset

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
ASKED = list(range(0, 400, 50))


def models(keras: Any) -> dict[str, Any]:
    """Return the two models: layers as in the lab, a few neurons each."""
    layers = keras.layers
    return {
        "dense": keras.Sequential(
            [
                layers.Dense(16, activation="relu"),
                layers.Dense(16, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ]
        ),
        "conv-dropout": keras.Sequential(
            [
                layers.Conv2D(4, kernel_size=(3, 3), activation="relu"),
                layers.MaxPool2D(2, 2),
                layers.Dropout(0.2),
                layers.Flatten(),
                layers.Dense(16, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(10, activation="softmax"),
            ]
        ),
    }


def main() -> None:
    """Train, save and write down the answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
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
    for name, model in models(keras).items():
        make(keras, model, FIXTURES / f"{generation}-{name}.h5", dataset, versions)


def make(keras: Any, model: Any, path: Path, dataset: Any, versions: dict[str, str]) -> None:
    """Train ``model`` and write it to ``path``, its answers beside it."""
    shape = (784,) if "dense" in path.stem else (28, 28, 1)
    keras.utils.set_random_seed(9000)
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
    model.fit(*train, epochs=8, batch_size=32, verbose=2)
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
