# The course in both languages; `make notebooks` makes course.fr.ipynb and course.en.ipynb of it.
#
# Each text stands here twice, French then English; code stands once. A cell tagged "answer" is
# what a student finds and fills in; the cell "solution" after it replaces it where the tests run
# the notebook solved.

# %% [markdown] lang="fr"
"""
# Chiffres : du pixel au microcontrôleur

Ce cours suit le laboratoire « Classification des chiffres manuscrits MNIST » pas à pas : regarder
les données, construire un réseau, convolution, pooling, dropout, comparaison, puis un réseau assez
petit pour un microcontrôleur. Il tourne sur 5 000 vrais chiffres de MNIST, sans accès au réseau,
en moins de cinq minutes.

Chaque section pose un exercice. Remplacez les `...` de la cellule, exécutez-la : `course.check`
dit si la réponse tient, et sinon sur quelles valeurs elle échoue. Le cours se déroule aussi sans
réponses.
"""

# %% [markdown] lang="en"
"""
# Chiffres: from the pixel to the microcontroller

This course follows the lab “Classification of MNIST's handwritten digits” step by step: look at
the data, build a network, convolution, pooling, dropout, comparison, then a network small enough
for a microcontroller. It runs on 5,000 real digits of MNIST, without a network connection, in less
than five minutes.

Each section sets an exercise. Replace the `...` in its cell and run it: `course.check` says
whether the answer holds, and if it does not, for which values it fails. The course also runs
without answers.
"""

# %% lang="fr"
from chiffres.course import Course

course = Course("fr")

# %% lang="en"
from chiffres.course import Course

course = Course("en")

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import chiffres
from chiffres.models.backend import keras
from chiffres.report import charts, figures

EPOCHS = int(os.environ.get("CHIFFRES_COURSE_EPOCHS", 20))
folder = Path(tempfile.mkdtemp(prefix="chiffres-course-"))
keras.utils.set_random_seed(9000)

# %% [markdown] lang="fr"
"""
## 1. Regarder les données

Un chiffre de MNIST est un carré de 28 × 28 niveaux de gris : 0 pour le fond, 255 pour l'encre. Ils
sont rangés en trois parties. On apprend sur `train` ; on choisit sur `validation` ; on ouvre `test`
une seule fois, à la fin, pour dire ce que vaut ce qu'on a choisi.
"""

# %% [markdown] lang="en"
"""
## 1. Look at the data

A digit of MNIST is a square of 28 × 28 grey levels: 0 is background, 255 is ink. They come in three
parts. We learn from `train`; we choose by `validation`; we open `test` only once, at the end, to
say what our choice is worth.
"""

# %%
dataset = chiffres.load_dataset("mnist-5k")
for part in ("train", "validation", "test"):
    digits = dataset.part(part)
    print(part, digits.images.shape, digits.images.dtype, digits.counts())

# %%
plt.figure(figsize=(4.5, 4.5))
for i in range(9):
    plt.subplot(3, 3, 1 + i)
    plt.axis("off")
    plt.title(int(dataset.train.labels[i]), fontsize=9)
    plt.imshow(dataset.train.images[i], cmap="gray")
plt.show()

# %% [markdown] lang="fr"
"""
**Exercice 1.** Quel chiffre demande, en moyenne, le moins d'encre ? Répondez par un calcul sur
`dataset.train`, non à vue.
"""

# %% [markdown] lang="en"
"""
**Exercise 1.** Which digit takes the least ink, on average? Answer by a computation on
`dataset.train`, not by eye.
"""

# %% tags=["answer"]
least_ink = ...

# %% tags=["solution"]
train = dataset.train
least_ink = int(np.argmin([train.images[train.labels == digit].mean() for digit in range(10)]))

# %%
course.check("least_ink", least_ink)

# %% [markdown] lang="fr"
"""
## 2. Les hyper-paramètres

Ce que l'on fixe avant d'apprendre. Chiffres les réunit dans une *recette* : le modèle, l'optimiseur
et son taux d'apprentissage, la taille des lots, le nombre d'époques, la graine du hasard. Une
époque est un passage sur tous les chiffres d'entraînement ; elle se fait par lots, et chaque lot
donne un pas de l'optimiseur.
"""

# %% [markdown] lang="en"
"""
## 2. The hyper-parameters

What is fixed before learning begins. Chiffres keeps them in a *recipe*: the model, the optimizer
and its learning rate, the batch size, the number of epochs, the seed of all chance. An epoch is one
pass over all training digits; it goes batch by batch, and each batch gives one step of the
optimizer.
"""

# %%
print(chiffres.load_recipe("dense").toml())

# %% [markdown] lang="fr"
"""
**Exercice 2.** Écrivez `steps` : combien de pas fait une époque ?
"""

# %% [markdown] lang="en"
"""
**Exercise 2.** Write `steps`: how many steps does an epoch make?
"""


# %% tags=["answer"]
def steps(digits, batch_size): ...


# %% tags=["solution"]
def steps(digits, batch_size):
    return -(-digits // batch_size)


# %%
course.check("steps", steps)

# %% [markdown] lang="fr"
"""
## 3. Un réseau dense

Le réseau le plus simple : l'image mise à plat, deux couches cachées de 300 neurones, dix sorties.
`softmax` fait des dix sorties des probabilités ; la perte, l'entropie croisée, est faible quand la
bonne réponse a reçu une probabilité proche de 1.
"""

# %% [markdown] lang="en"
"""
## 3. A dense network

The simplest network: the image laid flat, two hidden layers of 300 units, ten outputs. `softmax`
makes probabilities of the ten outputs; the loss, cross-entropy, is low where the right answer was
given a probability close to 1.
"""

# %%
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((784,)),
        layers.Dense(300, activation="relu"),
        layers.Dense(300, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.Adam(learning_rate=0.0001),
    metrics=["accuracy"],
)
model.summary()

# %% [markdown] lang="fr"
"""
**Exercice 3.** Écrivez `parameters` : combien de paramètres a une couche dense ? Le résumé
ci-dessus donne trois valeurs pour vérifier.

**Exercice 4.** Avant d'apprendre, un réseau sans opinion donne 1/10 à chaque chiffre. Que vaut
alors sa perte, `guess_loss` ?
"""

# %% [markdown] lang="en"
"""
**Exercise 3.** Write `parameters`: how many parameters does a dense layer have? The summary above
gives three values to check by.

**Exercise 4.** Before it learns, a network without an opinion gives 1/10 to each digit. What is its
loss then, `guess_loss`?
"""


# %% tags=["answer"]
def parameters(inputs, units): ...


guess_loss = ...


# %% tags=["solution"]
def parameters(inputs, units):
    return (inputs + 1) * units


guess_loss = -np.log(1 / 10)

# %%
course.check("parameters", parameters)

# %%
course.check("guess_loss", guess_loss)

# %% [markdown] lang="fr"
"""
L'entraînement, comme dans le laboratoire : `fit` reçoit les images, leurs étiquettes, le nombre
d'époques, la taille des lots et la partie de validation, mesurée après chaque époque.
"""

# %% [markdown] lang="en"
"""
The training, as in the lab: `fit` is given the images, their labels, the number of epochs, the
batch size and the validation part, which is measured after each epoch.
"""

# %%
history = model.fit(
    dataset.train.images.reshape(-1, 784),
    dataset.train.labels,
    epochs=EPOCHS,
    batch_size=128,
    validation_data=(dataset.validation.images.reshape(-1, 784), dataset.validation.labels),
    verbose=0,
)
course.show(figures.learning_curve(history.history, "loss", course.words))

# %% [markdown] lang="fr"
"""
La première perte est bien plus haute que celle de l'exercice 4 : les niveaux de gris entrent tels
quels, de 0 à 255, et le réseau commence par se tromper avec assurance. Ramenez-les entre 0 et 1
(`scale=unit` dans une recette) et regardez la courbe changer.

La même chose en une ligne, avec une recette : ce qu'elle laisse dans un dossier se reprend, se juge
et se compare.
"""

# %% [markdown] lang="en"
"""
The first loss is far above that of exercise 4: the grey levels go in as they are, from 0 to 255,
and the network begins by being wrong with confidence. Bring them to between 0 and 1 (`scale=unit`
in a recipe) and watch the curve change.

The same in one line, by a recipe: what it leaves in a folder can be resumed, judged and compared.
"""


# %%
def train(model):
    recipe = chiffres.load_recipe(model, [f"epochs={EPOCHS}"])
    return chiffres.train(recipe, folder / model, dataset=dataset, show_progress=False)


dense = train("dense")
print(chiffres.evaluate(dense.folder, dataset, "validation").accuracy_interval)

# %% [markdown] lang="fr"
"""
## 4. La convolution, à la main

Un réseau dense ne sait pas que deux pixels se touchent. Une convolution fait glisser une petite
fenêtre, le *noyau*, sur l'image ; à chaque arrêt, elle multiplie et fait la somme. Regardez : la
fenêtre, ses neuf produits, et la carte qui se remplit. Montrez un endroit de l'image pour y porter
la fenêtre. En bleu, ce qui est négatif.
"""

# %% [markdown] lang="en"
"""
## 4. Convolution by hand

A dense network does not know that two pixels touch. A convolution lets a small window, the
*kernel*, slide over the image; at every stop it multiplies and sums. Watch: the window, its nine
products, and the map that fills. Point at a place of the image to take the window there. What is
negative is blue.
"""

# %%
digit = dataset.train.images[0]
vertical = [[1, 0, -1], [1, 0, -1], [1, 0, -1]]
course.convolution(digit, vertical)

# %% [markdown] lang="fr"
"""
**Exercice 5.** Ce noyau répond aux bords debout. Trouvez-en un, `kernel`, qui réponde aux traits
couchés, et reste muet sur une encre uniforme.

**Exercice 6.** Écrivez `convolve` : la carte que donne un noyau, de n'importe quelle taille, sur
une image de n'importe quelle taille.
"""

# %% [markdown] lang="en"
"""
**Exercise 5.** This kernel answers to upright edges. Find one, `kernel`, that answers to lying
strokes, and is silent on even ink.

**Exercise 6.** Write `convolve`: the map that a kernel of any size gives on an image of any size.
"""

# %% tags=["answer"]
kernel = ...


def convolve(image, kernel): ...


# %% tags=["solution"]
kernel = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]


def convolve(image, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(image, np.shape(kernel))
    return (windows * kernel).sum(axis=(2, 3))


# %%
course.check("kernel", kernel)

# %%
course.check("convolve", convolve)

# %% [markdown] lang="fr"
"""
## 5. La convolution avec Keras

On ne choisit pas les noyaux : le réseau les apprend. `Conv2D(32, (3, 3))` en apprend trente-deux à
la fois, et une couche dense lit les trente-deux cartes.
"""

# %% [markdown] lang="en"
"""
## 5. Convolution with Keras

Kernels are not chosen: the network learns them. `Conv2D(32, (3, 3))` learns thirty-two at once, and
a dense layer reads the thirty-two maps.
"""

# %%
conv = train("conv")
learnt = chiffres.load_model(conv.folder)
learnt.summary()

# %%
from chiffres.evaluation.judge import feature_maps

seen = feature_maps(learnt, digit)
course.show(figures.feature_maps(digit, seen, course.words))

# %% [markdown] lang="fr"
"""
Un modèle se garde dans un fichier, `.keras` ou `.h5` comme dans le laboratoire, et se relit.
"""

# %% [markdown] lang="en"
"""
A model is kept in a file, `.keras` or `.h5` as in the lab, and read again.
"""

# %%
saved = chiffres.export_model(conv.folder, "h5", folder / "conv.h5")
again = chiffres.predict(saved, dataset.validation.images[:3])
print(again.argmax(axis=1), dataset.validation.labels[:3])

# %% [markdown] lang="fr"
"""
## 6. Le pooling

Le pooling réduit une carte : d'une fenêtre de 2 × 2, il garde le plus grand nombre (ou la moyenne).
Un trait déplacé d'un pixel laisse presque la même carte, et ce qui suit est quatre fois plus petit.
"""

# %% [markdown] lang="en"
"""
## 6. Pooling

Pooling makes a map smaller: of a window of 2 × 2 it keeps the largest number (or the mean). A
stroke that moves by one pixel leaves nearly the same map, and what follows is four times smaller.
"""

# %%
course.pooling(digit, "max")

# %% [markdown] lang="fr"
"""
**Exercice 7.** Écrivez `max_pool`, pour toute image et toute taille de fenêtre.

**Exercice 8.** Le modèle `conv-pool` : une image, `Conv2D(32, (3, 3))`, un pooling de 2 × 2, puis
`Flatten`. Combien de nombres reçoit la couche dense, `flattened` ?
"""

# %% [markdown] lang="en"
"""
**Exercise 7.** Write `max_pool`, for any image and any size of the window.

**Exercise 8.** The model `conv-pool`: an image, `Conv2D(32, (3, 3))`, pooling of 2 × 2, then
`Flatten`. How many numbers does the dense layer receive, `flattened`?
"""


# %% tags=["answer"]
def max_pool(image, size): ...


flattened = ...


# %% tags=["solution"]
def max_pool(image, size):
    rows, columns = (length // size for length in image.shape)
    kept = image[: rows * size, : columns * size]
    return kept.reshape(rows, size, columns, size).max(axis=(1, 3))


flattened = 13 * 13 * 32

# %%
course.check("max_pool", max_pool)

# %%
course.check("flattened", flattened)

# %%
pool = train("conv-pool")
for run in (conv, pool):
    metrics = run.metrics()
    print(run.recipe().model, metrics["parameters"], metrics["epoch_seconds"][-1], "s")

# %% [markdown] lang="fr"
"""
## 7. Le sur-apprentissage et le dropout

Un grand réseau finit par apprendre ses chiffres d'entraînement par cœur. Cela se voit deux fois :
l'exactitude d'entraînement dépasse celle de validation, et la perte de validation cesse de baisser,
puis remonte. Le dropout met à zéro une part des valeurs, tirée au hasard à chaque pas : aucun
neurone ne peut compter sur un autre.

**Exercice 9.** Écrivez `dropout` : chaque valeur devient 0 avec la probabilité `rate`, et ce qui
reste est agrandi pour que la somme soit la même en moyenne. `rng` est un générateur de NumPy.

**Exercice 10.** Écrivez `best_epoch` : l'époque, comptée à partir de 1, où la perte de validation
est la plus basse.
"""

# %% [markdown] lang="en"
"""
## 7. Overfitting, and dropout

A large network ends up learning its training digits by heart. It shows twice: the training accuracy
is above the validation accuracy, and the validation loss stops falling, then rises. Dropout makes
a share of the values zero, drawn anew at each step: no unit can count on another.

**Exercise 9.** Write `dropout`: each value becomes 0 with the probability `rate`, and what is left
is made larger so that the sum is the same on average. `rng` is a generator of NumPy.

**Exercise 10.** Write `best_epoch`: the epoch, counted from 1, at which the validation loss is
lowest.
"""


# %% tags=["answer"]
def dropout(values, rate, rng): ...


def best_epoch(validation_losses): ...


# %% tags=["solution"]
def dropout(values, rate, rng):
    return values * (rng.random(values.shape) >= rate) / (1 - rate)


def best_epoch(validation_losses):
    return int(np.argmin(validation_losses)) + 1


# %%
course.check("dropout", dropout)

# %%
course.check("best_epoch", best_epoch)

# %%
dropped = train("conv-dropout")
course.show(figures.learning_curve(dropped.history(), "loss", course.words))

# %% [markdown] lang="fr"
"""
## 8. Lequel est le meilleur ?

Le résumé comparatif que demande le laboratoire. Les mêmes chiffres de test ont été lus par tous :
on compare donc deux modèles sur les seuls chiffres où ils sont en désaccord. Si `only_a` sont lus
du premier seul et `only_b` du second seul, et que les deux se valent, chaque désaccord est une
pièce que l'on lance.

**Exercice 11.** Écrivez `mcnemar` : la valeur p du test exact, bilatéral.

**Exercice 12.** Avec six paires, il faut corriger : écrivez `holm`, qui rend les valeurs p
corrigées, dans le même ordre.
"""

# %% [markdown] lang="en"
"""
## 8. Which one is best?

The comparative summary that the lab asks for. All have read the same test digits: so two models are
compared on those digits alone on which they disagree. If `only_a` are read by the first alone and
`only_b` by the second alone, and the two are equally good, each disagreement is the toss of a coin.

**Exercise 11.** Write `mcnemar`: the p-value of the exact, two-sided test.

**Exercise 12.** Six pairs call for a correction: write `holm`, which returns the corrected
p-values, in the same order.
"""


# %% tags=["answer"]
def mcnemar(only_a, only_b): ...


def holm(p_values): ...


# %% tags=["solution"]
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests


def mcnemar(only_a, only_b):
    disagreed = only_a + only_b
    return binomtest(only_a, disagreed).pvalue if disagreed else 1.0


def holm(p_values):
    return multipletests(p_values, method="holm")[1]


# %%
course.check("mcnemar", mcnemar)

# %%
course.check("holm", holm)

# %%
from chiffres.lab.comparing import compare_runs

comparison = compare_runs([run.folder for run in (dense, conv, pool, dropped)], dataset)
for pair in comparison.pairs:
    print(
        f"{pair.a:>9} {pair.b:>12}  {100 * pair.difference:+.1f}"
        f"  p = {pair.p_value:.4f}, Holm {pair.p_corrected:.4f}"
    )

# %%
course.show(charts.cost_against_accuracy(comparison.models, comparison.costs, course.words))

# %% [markdown] lang="fr"
"""
Cinq cents chiffres de test ne départagent que de grandes différences : c'est pourquoi un intervalle
accompagne chaque point. Sur MNIST entier, avec cinq graines, `chiffres lab --data mnist --seeds 5`
répond mieux, et écrit un rapport.

## 9. De nouvelles images

Une photo d'un chiffre est le plus souvent à l'encre noire sur papier blanc ; MNIST est l'inverse.

**Exercice 13.** Écrivez `prepare` : d'une image `uint8`, noir sur blanc, elle fait ce que le réseau
connaît.

Ensuite, la même épreuve deux fois : l'exactitude et, entre parenthèses, la confiance moyenne, sur
des chiffres tels que photographiés puis tels que MNIST les montre.
"""

# %% [markdown] lang="en"
"""
Five hundred test digits tell only large differences apart: that is why every point has its
interval. On the whole of MNIST, with five seeds, `chiffres lab --data mnist --seeds 5` answers
better, and writes a report.

## 9. New images

A photo of a digit is black ink on white paper most of the time; MNIST is the reverse.

**Exercise 13.** Write `prepare`: of a `uint8` image, black on white, it makes what the network
knows.

Then the same trial twice: the accuracy and, in brackets, the mean confidence, on digits as they are
photographed and as MNIST shows them.
"""


# %% tags=["answer"]
def prepare(picture): ...


# %% tags=["solution"]
def prepare(picture):
    return 255 - picture


# %%
course.check("prepare", prepare)

# %%
photo = 255 - dataset.validation.images[:200]
for name, images in {"photo": photo, "MNIST": 255 - photo}.items():
    answers = chiffres.predict(dropped.folder, images)
    right = (answers.argmax(axis=1) == dataset.validation.labels[:200]).mean()
    print(f"{name}: {right:.1%} ({answers.max(axis=1).mean():.1%})")

# %% [markdown] lang="fr"
"""
`chiffres predict` prépare lui-même une image : polarité, cadrage, centre.

## 10. Sur un microcontrôleur

Un microcontrôleur a quelques centaines de kilo-octets de mémoire et souvent aucun calcul à virgule
rapide. On garde donc chaque poids sur un octet, un entier de -127 à 127, et un *pas* par tableau :
le poids vaut à peu près l'entier fois le pas.

**Exercice 14.** Écrivez `quantize` : elle rend les entiers (`np.int8`) et le pas, pour l'erreur la
plus petite possible.
"""

# %% [markdown] lang="en"
"""
`chiffres predict` prepares an image by itself: polarity, frame, centre.

## 10. On a microcontroller

A microcontroller has some hundred kilobytes of memory, and often no fast arithmetic with fractions.
So each weight is kept in one byte, a whole number from -127 to 127, with one *step* per array: the
weight is about the whole number times the step.

**Exercise 14.** Write `quantize`: it returns the whole numbers (`np.int8`) and the step, for the
smallest error possible.
"""


# %% tags=["answer"]
def quantize(weights): ...


# %% tags=["solution"]
def quantize(weights):
    scale = np.abs(weights).max() / 127
    return np.round(weights / scale).astype(np.int8), scale


# %%
course.check("quantize", quantize)

# %% [markdown] lang="fr"
"""
Le modèle choisi, ses poids arrondis à un octet, puis à quatre bits, à deux : combien de chiffres
de validation lit-il encore ?
"""

# %% [markdown] lang="en"
"""
The chosen model, its weights rounded to a byte, then to four bits, to two: how many validation
digits does it still read?
"""


# %%
def rounded(weights, bits):
    step = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    return np.round(weights / step) * step if step else weights


chosen = chiffres.load_model(dropped.folder)
exact = chosen.get_weights()
for bits in (8, 4, 3, 2):
    chosen.set_weights([rounded(each, bits) for each in exact])
    found = chiffres.evaluate(chosen, dataset, "validation")
    kilobytes = sum(each.size for each in exact) * bits / 8 / 1024
    print(f"{bits} bits: {found.accuracy:.1%}, {kilobytes:,.0f} KiB")

# %% [markdown] lang="fr"
"""
`chiffres export --to c` fait tout cela : poids et valeurs sur un octet, une seule fonction en C99,
les mêmes réponses au bit près. Voici ce que demande ce modèle, puis le programme, compilé et
exécuté sur cet ordinateur s'il a un compilateur C.

Ce modèle-ci est trop grand pour la plupart des microcontrôleurs. Le modèle `micro`, entraîné avec
ses poids de quatre bits, tient dans 16 Kio : `chiffres train micro`, puis
`chiffres export … --to c --max-flash 16384`.
"""

# %% [markdown] lang="en"
"""
`chiffres export --to c` does all of this: weights and values of one byte, one function in C99, the
same answers to the bit. Here is what this model takes, then the program, compiled and run on this
computer if it has a C compiler.

This model is too large for most microcontrollers. The model `micro`, trained with its weights of
four bits, fits into 16 KiB: `chiffres train micro`, then
`chiffres export … --to c --max-flash 16384`.
"""

# %%
import shutil
import subprocess

source = chiffres.export_model(dropped.folder, "c", folder / "c")
header = (source / "src" / "chiffres_model.h").read_text(encoding="utf-8")
print(header[: header.index("*/") + 2])

# %%
if shutil.which("make") and shutil.which("cc"):
    made = subprocess.run(["make", "run"], cwd=source, capture_output=True, text=True, check=True)
    print(made.stdout)
