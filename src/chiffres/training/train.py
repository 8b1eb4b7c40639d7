"""Training through Keras's own ``fit``: reproducible, and safe to interrupt at any moment."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chiffres.data import Dataset, load_dataset
from chiffres.errors import UsageError
from chiffres.models import build_model, find_builder, strings
from chiffres.models.backend import BACKEND, keras
from chiffres.models.files import load_model
from chiffres.native import accelerate
from chiffres.native.team import Team
from chiffres.storage import remove_unfinished
from chiffres.training import few_bits
from chiffres.training.augment import find_augmentation
from chiffres.training.batches import Change, Shuffled, make_batches, with_additions
from chiffres.training.callbacks import AccuracyOfDigits, Randomness, Recorder
from chiffres.training.loss import NOT_A_DIGIT, Loss, crossentropy, train_on_logits
from chiffres.training.mirror import Mirror
from chiffres.training.progress import ProgressBar
from chiffres.training.recipe import Recipe
from chiffres.training.run import Run
from chiffres.training.strings import strings_of
from chiffres.training.teacher import Teacher
from chiffres.training.tracking import Tracking, check_trackers


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    show_progress: bool = True,
    storage: str = "",
    team: Team | None = None,
) -> Run:
    """Train a recipe's model and leave a run in the folder ``out``.

    Progress goes to standard error. The validation part is measured after each epoch; the test
    part is not touched.

    Args:
        recipe: what to train.
        out: the run's folder; made if need be.
        dataset: what to train on, where it is loaded already; else the recipe's ``data``.
        resume: continue the run in ``out`` after its last finished epoch; it ends with the same
            history as an uninterrupted one. A finished run is returned as it is.
        log: where else the run is to be shown: ``"tensorboard"``, ``"mlflow"``.
        show_progress: whether to say how the training goes.
        storage: the URL of a folder that is to hold the run's files too, as they are after each
            epoch; a run that is resumed is fetched from there.
        team: the workers that train together, of which this process is one. Each has a folder of
            its own; see ``chiffres.training.parallel``.

    Raises:
        UsageError: ``out`` or ``storage`` holds another run, or there is nothing to resume.
        MissingExtraError: what is to show the run is not installed.
        TrainingError: the loss is no longer a number.
        WorkerLost: another worker is gone.
    """
    dataset = dataset or load_dataset(recipe.data)
    recipe = recipe.model_copy(update={"data": dataset.name})
    run = prepare(recipe, out, dataset, resume=resume, log=log, storage=storage)
    tracking = Tracking(run, log)
    try:
        if not run.finished:
            _fit(run, recipe, dataset, tracking, show_progress, team or Team())
    finally:
        tracking.close()
    return run


def prepare(
    recipe: Recipe,
    out: str | Path,
    dataset: Dataset,
    *,
    resume: bool = False,
    log: Sequence[str] = (),
    storage: str = "",
    workers: int = 1,
) -> Run:
    """Begin a run, or fetch the one that is to be resumed; see ``train``.

    Args:
        recipe: what to train; its ``data`` is the name of ``dataset``, not ``auto``.
        out: the run's folder.
        dataset: what to train on.
        resume: whether to go on with a run.
        log: where else the run is to be shown.
        storage: the URL of where the run's files are put too.
        workers: how many processes are going to train it together.
    """
    run = Run(Path(out), Mirror(storage) if storage else None)
    check_trackers(log)
    stored = bool(run.mirror and run.mirror.holds_a_run)
    if resume and run.mirror and stored:
        with TemporaryDirectory() as looked_at:  # before anything is replaced in the folder
            run.mirror.fetch(Path(looked_at), ("recipe.toml", "environment.json"))
            _check_same(Run(Path(looked_at)), recipe, dataset, storage)
        run.mirror.fetch(run.folder)
        remove_unfinished(run.folder)
    elif resume:
        _check_same(run, recipe, dataset, str(out))
        remove_unfinished(run.folder)
        if run.mirror:
            run.mirror.put_all(run.folder)
    elif run.exists or stored:
        raise UsageError(
            f"{out if run.exists else storage}: holds a run already; "
            "resume it (--resume) or choose another folder"
        )
    elif run.folder.exists() and not run.folder.is_dir():
        raise UsageError(f"{out}: not a folder; choose another")
    else:
        builder = find_builder(recipe.model, recipe.options)  # raises before anything is written
        find_augmentation(recipe.augment)
        _check_strings(recipe)
        if recipe.teachers:
            Teacher(recipe.teachers, recipe.teaching)
        if recipe.bits:
            few_bits.check_bits(builder(), recipe.bits)
        if recipe.start:
            _take_weights(build_model(recipe.model, recipe.scale, **recipe.options), recipe.start)
        run.start(recipe, dataset, BACKEND, workers)
    return run


def _check_strings(recipe: Recipe) -> None:
    if recipe.strings != (recipe.model in strings.MODELS):
        reads = "one digit in an image" if recipe.strings else "strings of digits"
        raise UsageError(
            f"strings = {str(recipe.strings).lower()}: the model {recipe.model!r} reads {reads}; "
            "set the other, or another model"
        )


def _check_same(run: Run, recipe: Recipe, dataset: Dataset, where: str) -> None:
    if not run.exists:
        raise UsageError(f"{where}: no run to resume")
    changed = recipe.differences(run.recipe())
    if changed:
        raise UsageError(
            f"{where}: cannot be resumed with another recipe ({changed}); "
            "choose another folder or delete this one"
        )
    recorded = run.environment().get("dataset", {}).get("sha256")
    if recorded != dataset.checksum:
        raise UsageError(
            f"{where}: was begun on other digits "
            f"(SHA-256 {recorded}, now {dataset.checksum}); "
            "choose another folder"
        )


def _fit(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    tracking: Tracking,
    show_progress: bool,
    team: Team,
) -> None:
    keras.utils.set_random_seed(recipe.seed)
    digits = dataset.train if recipe.strings else with_additions(dataset.train, recipe)
    rows = max(1, round(recipe.share * len(digits)))
    steps = math.ceil(rows / recipe.batch_size)
    model = _resumed(run) or _compiled(recipe, steps)
    team.agree(each.value for each in model.weights)
    loss, change = _lesson(recipe, team)
    train_on_logits(model, loss)
    accelerate(model, loss, bfloat16=recipe.precision == "bfloat16", team=team)
    batches: Shuffled
    validation: Shuffled
    if recipe.strings:
        batches, validation = strings_of(recipe, dataset)
    else:
        batches = make_batches(digits, model, recipe.batch_size, change, rows)
        validation = make_batches(dataset.validation, model, recipe.batch_size)
    done = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps
    progress = ProgressBar(recipe.model, recipe.epochs, steps, done)
    rounding = [few_bits.FewBits(recipe.bits, recipe.epochs)] if recipe.bits else []
    callbacks = [
        Randomness(recipe.seed, batches, recipe.distinct_epochs),
        *rounding,
        AccuracyOfDigits(len(digits) / int((digits.labels != NOT_A_DIGIT).sum())),
        Recorder(run, recipe, done),
        tracking,
        *([progress] if show_progress else []),
    ]
    try:
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=done,
            epochs=recipe.epochs,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    finally:
        progress.bar.stop()
    run.record(epochs=recipe.epochs)  # a crash may have come between the last model and this


def _lesson(recipe: Recipe, team: Team) -> tuple[Loss | None, Change | None]:
    """Return what is minimised in place of the loss, and what is done to each batch."""
    augmentation = find_augmentation(recipe.augment)
    right = functools.partial(crossentropy, smoothing=recipe.label_smoothing)
    if recipe.teachers:
        teacher = Teacher(recipe.teachers, recipe.teaching, remembers=recipe.distinct_epochs > 0)
        return teacher.loss(right), teacher.beside(augmentation, team)
    return right if recipe.has_negatives or recipe.label_smoothing else None, augmentation


def _compiled(recipe: Recipe, steps: int) -> keras.Model:
    model = build_model(recipe.model, recipe.scale, **recipe.options)
    if recipe.start:
        _take_weights(model, recipe.start)
    model.compile(loss=recipe.loss, optimizer=_optimizer(recipe, steps), metrics=["accuracy"])
    return model


def _take_weights(model: keras.Model, start: str) -> None:
    """Give the model the weights of another one, which has the same layers."""
    other = load_model(start)
    shapes, given = ([tuple(each.shape) for each in one.weights] for one in (model, other))
    if shapes != given:
        raise UsageError(
            f"{start}: its layers are not those of {model.name}: weights of the shapes {given}, "
            f"expected {shapes}; name the recipe that it was trained by"
        )
    model.set_weights(other.get_weights())


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return Keras's optimizer for a training of so many steps per epoch."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "one-cycle":
        rate = _one_cycle(rate, steps * recipe.epochs, recipe.warmup)
    config: dict[str, Any] = {"learning_rate": rate}
    if recipe.weight_decay or recipe.optimizer == "adamw":  # whose default in Keras is not 0
        config["weight_decay"] = recipe.weight_decay
    if recipe.beta_2 is not None:
        config["beta_2"] = recipe.beta_2
    if recipe.momentum:
        config["momentum"] = recipe.momentum
    return keras.optimizers.get({"class_name": recipe.optimizer, "config": config})


def _one_cycle(highest: float, steps: int, warmup: float) -> Any:
    rising = min(round(warmup * steps), steps - 1)  # a step at least is left to come down
    schedule = keras.optimizers.schedules.CosineDecay
    if not rising:
        return schedule(highest, steps)
    return schedule(highest / 25, steps - rising, warmup_target=highest, warmup_steps=rising)


def _resumed(run: Run) -> keras.Model | None:
    return load_model(run.model_path, compile=True) if run.model_path.is_file() else None
