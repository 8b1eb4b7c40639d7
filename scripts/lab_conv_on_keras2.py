"""Train the lab's convolution with the lab's own API, Keras 2 on TensorFlow, and print its figures.

    python scripts/lab_conv_on_keras2.py 9000    in an environment of its own, after
        pip install -e '.[train]' torch==2.13.0 tensorflow-cpu==2.21.0 tf_keras==2.21.0

What ``docs/lab-results.md`` compares Chiffres with: nothing of Chiffres is used but the digits.
The argument is the seed; the lab seeds NumPy alone, here every generator is.
"""

from __future__ import annotations

import sys

import tf_keras as keras

from chiffres.data import load_dataset

keras.utils.set_random_seed(int(sys.argv[1]))
dataset = load_dataset("mnist")
train, validation, test = (
    (part.images.reshape(-1, 28, 28, 1), part.labels)
    for part in (dataset.train, dataset.validation, dataset.test)
)
model = keras.Sequential(
    [
        keras.layers.Conv2D(32, kernel_size=(3, 3), input_shape=(28, 28, 1), activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.legacy.Adam(learning_rate=0.0001),
    metrics=["accuracy"],
)
model.fit(*train, epochs=20, batch_size=128, validation_data=validation, verbose=2)
loss, accuracy = model.evaluate(*test, verbose=0)
print(f"Test loss: {loss:.4f}\nAccuracy: {accuracy:.4f}")
