"""A network taught by another one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.errors import ModelFileError, UsageError
from chiffres.evaluation.predict import predict
from chiffres.models.backend import BACKEND, keras
from chiffres.models.named import find_model
from chiffres.training.callbacks import Randomness
from chiffres.training.loss import NOT_A_DIGIT
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

if BACKEND != "torch":
    pytest.skip("networks are taught on Torch", allow_module_level=True)

import torch

from chiffres.native.team import Team
from chiffres.training.teacher import TEMPERATURE, Teacher


def recipe(*settings: str) -> Recipe:
    own = ["epochs=6", "batch_size=50", "scale=unit", "learning_rate=0.003", "schedule=constant"]
    return load_recipe("dense", [*own, *settings])


def right(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, labels)


def test_it_sees_the_batch_that_is_trained_on(dense_run: Run, small: Dataset) -> None:
    teacher = Teacher([str(dense_run.folder)], 1.0)
    images = torch.from_numpy(small.test.images[:7])[..., None]
    generator = torch.Generator().manual_seed(0)
    lesson = teacher.beside(lambda x, _: x.flip(1), Team())  # type: ignore[arg-type]
    changed = lesson(images, generator)
    assert torch.equal(changed, images.flip(1))
    expected = predict(dense_run.folder, changed.numpy()[..., 0])
    probabilities = torch.softmax(TEMPERATURE * teacher.answers, 1)
    # its products are bfloat16 where the processor has them
    np.testing.assert_allclose(probabilities.numpy(), expected, atol=0.02)
    of_all = teacher.answers
    teacher.beside(None, Team(1, 2))(changed, generator)
    torch.testing.assert_close(teacher.answers, of_all[3:])


def test_it_answers_once_to_a_batch_that_comes_again(dense_run: Run, small: Dataset) -> None:
    teacher = Teacher([str(dense_run.folder)], 1.0, remembers=True)
    first, second = (torch.from_numpy(small.test.images[part]) for part in (slice(7), slice(7, 9)))
    found = []
    for batch in (first, second, first.clone(), first.flip(1)):
        teacher.see(batch)
        found.append(teacher.answers)
    assert found[2].data_ptr() == found[0].data_ptr()
    assert not torch.equal(found[3], found[0])
    forgetful = Teacher([str(dense_run.folder)], 1.0)
    for batch, answers in zip((first, second), found, strict=False):
        forgetful.see(batch)
        assert torch.equal(forgetful.answers, answers)


def test_several_answer_with_their_mean(dense_run: Run, small: Dataset, tmp_path: Path) -> None:
    images = torch.from_numpy(small.test.images[:9])
    found, mine = [], str(dense_run.folder)
    for models in ([mine], ["reader"], [mine, "reader"]):
        teacher = Teacher(models, 1.0)
        teacher.see(images)
        found.append(teacher.answers.exp())
    assert not torch.allclose(found[0], found[1], atol=0.01)
    torch.testing.assert_close(found[2], (found[0] + found[1]) / 2)
    both = recipe(f'teacher=["{mine}", "reader"]', "epochs=1")
    run = train(both, tmp_path / "run", dataset=small)
    assert run.recipe() == both.model_copy(update={"data": small.name})
    checksums = run.environment()["teacher_sha256"].split(", ")
    contents = [dense_run.model_path.read_bytes(), find_model("reader").read_bytes()]
    assert checksums == [hashlib.sha256(content).hexdigest() for content in contents]


def test_epochs_that_come_again_ask_the_teacher_nothing(
    dense_run: Run, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = Teacher._answer, []

    def counted(self: Teacher, images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return answer(self, images)

    monkeypatch.setattr(Teacher, "_answer", counted)
    settings = (f"teacher={dense_run.folder}", "augment=light", "distinct_epochs=2", "epochs=5")
    run = train(recipe(*settings), tmp_path / "run", dataset=small)
    before = 50  # Keras looks at one batch before it begins
    assert sum(asked) == before + 2 * len(small.train)
    begin = Randomness.on_epoch_begin

    def interrupt(self: Randomness, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 3:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    monkeypatch.setattr(Randomness, "on_epoch_begin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(*settings), tmp_path / "again", dataset=small)
    monkeypatch.setattr(Randomness, "on_epoch_begin", begin)
    again = train(recipe(*settings), tmp_path / "again", dataset=small, resume=True)
    assert again.history() == run.history()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_loss_is_least_where_both_agree(share: float, dense_run: Run, small: Dataset) -> None:
    teacher = Teacher([str(dense_run.folder)], share)
    teacher.see(torch.from_numpy(small.test.images[:9]))
    labels = torch.from_numpy(small.test.labels[:9].astype(np.int64))
    loss = teacher.loss(right)
    own = TEMPERATURE * teacher.answers
    least = float((1 - share) * right(labels, own))
    assert float(loss(labels, own)) == pytest.approx(least, abs=1e-6)
    other = torch.zeros(9, 10, requires_grad=True)
    differs = (teacher.answers.exp() * (teacher.answers - np.log(0.1))).sum(1).mean()
    expected = (1 - share) * np.log(10) + share * TEMPERATURE**2 * differs
    assert float(loss(labels, other).detach()) == pytest.approx(float(expected), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss(labels, other), other)
    assert gradient.abs().sum() > 0


def test_what_is_no_digit_is_none_to_a_teacher_too(dense_run: Run, small: Dataset) -> None:
    teacher = Teacher([str(dense_run.folder)], 1.0)
    teacher.see(torch.from_numpy(small.test.images[:9]))
    alike = torch.zeros(9, 10)
    loss = teacher.loss(lambda *_: torch.zeros(()))
    assert float(loss(torch.full((9,), NOT_A_DIGIT), alike)) == pytest.approx(0, abs=1e-6)
    assert float(loss(torch.arange(9), alike)) > 0.1


def test_a_network_learns_what_its_teacher_answers(
    dense_run: Run, small: Dataset, mnist_5k: Dataset, tmp_path: Path
) -> None:
    images = mnist_5k.validation.images
    answers = predict(dense_run.folder, images)
    far = []
    for teaching in (0.0, 1.0):
        chosen = recipe(f"teacher={dense_run.folder}", f"teaching={teaching}")
        run = train(chosen, tmp_path / str(teaching), dataset=small)
        far.append(np.abs(predict(run.folder, images) - answers).mean())
    assert far[1] < 0.7 * far[0]
    content = dense_run.model_path.read_bytes()
    assert run.environment()["teacher_sha256"] == hashlib.sha256(content).hexdigest()


def test_who_cannot_teach_is_named(dense_run: Run, small: Dataset, tmp_path: Path) -> None:
    layers = keras.layers
    keras.Sequential([keras.Input((784,)), layers.Dense(10)]).save(tmp_path / "logits.keras")
    inputs = keras.Input((784,))
    keras.Model(inputs, layers.Dense(10)(inputs)).save(tmp_path / "functional.keras")
    (tmp_path / "broken.keras").write_text("no model")
    for name, error, problem in (
        ("logits.keras", UsageError, "does not end in a softmax"),
        ("functional.keras", UsageError, "does not end in a softmax"),
        ("broken.keras", ModelFileError, "damaged"),
        ("none.keras", UsageError, "no such run folder or model file"),
    ):
        with pytest.raises(error, match=problem):
            train(recipe(f"teacher={tmp_path / name}"), tmp_path / "run", dataset=small)
    assert not (tmp_path / "run").exists()
