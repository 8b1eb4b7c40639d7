from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chiffres.data import load_dataset
from chiffres.data.image import read_digit
from chiffres.errors import DatasetError, ImageError

EACH = 12


def picture(digit: int, number: int) -> np.ndarray:
    """Return a 28×28 image with its own class and number written in it."""
    image = np.zeros((28, 28), np.uint8)
    image[14, 10], image[14, 11], image[20, 14] = digit + 1, number + 1, 255
    return image


def write_classes(folder: Path, each: int = EACH) -> Path:
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for number in range(each):
            image = Image.fromarray(picture(digit, number))
            image.save(folder / str(digit) / f"{number:02}.png")
    return folder


def test_a_folder_per_class_is_split_in_three(tmp_path: Path) -> None:
    dataset = load_dataset(f"folder:{write_classes(tmp_path)}")
    assert (dataset.name, dataset.origin) == (f"folder:{tmp_path}", str(tmp_path))
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [96, 12, 12]
    seen = set()
    for part in parts:
        for image, label in zip(part.images, part.labels, strict=True):
            number = int(image[14, 11]) - 1
            np.testing.assert_array_equal(image, picture(int(label), number))
            seen.add((int(label), number))
    assert len(seen) == 120


def test_train_and_test_folders_are_kept_apart(tmp_path: Path) -> None:
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "test", 2)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert len(dataset.train) == 108
    assert len(dataset.validation) == 12
    np.testing.assert_array_equal(dataset.test.labels, np.repeat(np.arange(10), 2))
    expected = [picture(digit, number) for digit in range(10) for number in range(2)]
    np.testing.assert_array_equal(dataset.test.images, expected)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    write_classes(tmp_path)
    (tmp_path / "3" / "notes.txt").write_text("mine")
    (tmp_path / "3" / "more.PNG").write_bytes((tmp_path / "3" / "00.png").read_bytes())
    assert load_dataset(f"folder:{tmp_path}").development.counts().sum() == 121 - 12


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_class_without_images_is_named(tmp_path: Path, how: str) -> None:
    write_classes(tmp_path)
    for path in (tmp_path / "7").iterdir():
        path.unlink()
    if how == "missing":
        (tmp_path / "7").rmdir()
    with pytest.raises(DatasetError) as caught:
        load_dataset(f"folder:{tmp_path}")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / '7'}: expected images (.bmp, ")
    assert message.endswith("of the digit 7, found none")


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    broken = write_classes(tmp_path) / "4" / "05.png"
    broken.write_bytes(broken.read_bytes()[:50])
    with pytest.raises(ImageError, match=r"05\.png: cannot be read"):
        load_dataset(f"folder:{tmp_path}")


def test_an_image_of_another_size_is_brought_to_the_format(tmp_path: Path) -> None:
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "test", 1)
    odd = tmp_path / "test" / "6" / "00.png"
    Image.new("L", (90, 60), 250).save(odd)
    with Image.open(odd) as image:
        image.paste(10, (20, 10, 30, 50))
        image.save(odd)
    found = load_dataset(f"folder:{tmp_path}").test.images[6]
    np.testing.assert_array_equal(found, read_digit(odd))
    assert found[4, 14] == 255  # the bar, black on white, is now 5×20, white on black
    assert found[:, :10].max() == 0
    assert (found.max(axis=1) > 0).sum() == 20


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere: expected a folder .* found none"):
        load_dataset(f"folder:{tmp_path / 'nowhere'}")


def test_a_train_folder_without_test_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "train")
    with pytest.raises(DatasetError, match=r"test: expected a folder with the folders 0 to 9"):
        load_dataset(f"folder:{tmp_path}")
