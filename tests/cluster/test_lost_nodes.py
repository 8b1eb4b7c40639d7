"""A node is lost half-way: all is done, once, as it would have been done on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chiffres.data import Dataset, load_dataset
from chiffres.lab.sweep import plan
from chiffres.models.files import load_model
from chiffres.reading.archive import Archive, prepare
from chiffres.reading.engines import in_processes, on_ray
from chiffres.training.cluster import Cluster
from chiffres.training.trials import Processes, Trial
from tests.reading.conftest import WEIGHTS
from tests.reading.made import on_paper, row_of

pytestmark = [
    pytest.mark.cluster,
    # of Ray's own code, in this process
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
TRIALS = int(os.environ.get("CHIFFRES_CLUSTER_TRIALS", "4"))
PICTURES = int(os.environ.get("CHIFFRES_CLUSTER_PICTURES", "200"))
"""For the whole claim: CHIFFRES_CLUSTER_TRIALS=12 CHIFFRES_CLUSTER_PICTURES=20000."""
PARTS = 12


def test_a_sweep_loses_no_trial_and_repeats_none(
    small: Dataset, tmp_path: Path, lose_a_node: Callable[[], None]
) -> None:
    digits = tmp_path / "digits.npz"
    np.savez(digits, images=small.development.images, labels=small.development.labels)
    name = load_dataset(f"npz:{digits}").name
    settings = ["epochs=2", "scale=unit"]
    local, cluster = (
        plan("dense", ["batch_size=32,64"], tmp_path / engine, name, -(-TRIALS // 2), settings)
        for engine in ("local", "cluster")
    )
    outcomes = []
    for outcome in Cluster("ray")(cluster, []):
        outcomes.append(outcome)
        if len(outcomes) == len(cluster) // 2:
            lose_a_node()
    assert [outcome.error for outcome in outcomes] == [""] * len(cluster)
    assert sorted(outcome.trial.folder for outcome in outcomes) == sorted(
        trial.folder for trial in cluster
    )
    assert not any(outcome.error for outcome in Processes(1)(local, []))
    for here, there in zip(local, cluster, strict=True):
        assert what_was_trained(there) == what_was_trained(here)
        weights = [load_model(trial.folder).get_weights() for trial in (here, there)]
        for mine, theirs in zip(*weights, strict=True):
            assert mine.tobytes() == theirs.tobytes()


def what_was_trained(trial: Trial) -> list[bytes]:
    """Return the files of a run that are the same whoever trained it, and whenever."""
    return [(trial.folder / name).read_bytes() for name in ("recipe.toml", "history.csv")]


def test_a_reading_loses_no_picture_and_repeats_none(
    mnist_5k: Dataset, tmp_path: Path, lose_a_node: Callable[[], None]
) -> None:
    if not WEIGHTS.is_file():
        pytest.skip("this checkout has no reading/weights/reader.onnx: make weights")
    pictures = tmp_path / "pictures"
    write_pictures(pictures, mnist_5k)
    size = max(1, PICTURES // PARTS)
    local, cluster = (
        prepare([str(pictures)], tmp_path / f"{engine}.parquet", part_size=size)
        for engine in ("local", "cluster")
    )
    parts = [part.number for part in cluster.missing()]
    read = []
    for part in on_ray(cluster, "ray"):
        read.append(part.number)
        if len(read) == len(parts) // 2:
            lose_a_node()
    assert sorted(read) == parts
    assert len(list(in_processes(local, 2))) == len(parts)
    assert contents(cluster) == contents(local)
    paths = [path for part in parts for path in paths_in(cluster, part)]
    assert paths == sorted(map(str, pictures.iterdir()))
    assert len(paths) == PICTURES
    assert cluster.unreadable() == 1


def write_pictures(folder: Path, dataset: Dataset) -> None:
    """Write numbers on paper, and a file that is no picture."""
    folder.mkdir()
    rng = np.random.default_rng(9)
    for number in range(PICTURES - 1):
        digits = rng.choice(dataset.test.images, rng.integers(1, 4))
        Image.fromarray(on_paper(row_of(list(digits)))).save(folder / f"{number:06}.png")
    (folder / "broken.png").write_bytes(b"no picture")


def contents(archive: Archive) -> dict[str, bytes]:
    """Return all parts, byte for byte."""
    return {path.name: path.read_bytes() for path in archive.folder.glob("part-*")}


def paths_in(archive: Archive, part: int) -> list[str]:
    """Return the pictures of a part as its file has them."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(archive.file(part), columns=["path"])
    return [str(path) for path in table.column("path").to_pylist()]
