"""One training by workers on several nodes of Ray, of which one is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chiffres.data import Dataset
from chiffres.errors import JobError, UsageError
from chiffres.models.backend import BACKEND
from chiffres.models.files import load_model
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run

pytest.importorskip("ray", reason="the extra cluster is not installed")

from chiffres.training.parallel import train_in_parallel
from chiffres.training.train import train

if BACKEND != "torch":
    pytest.skip("workers are of Torch's backend", allow_module_level=True)
pytestmark = pytest.mark.cluster


class Busy:
    """An actor that has a core and does nothing with it."""

    def begun(self) -> bool:
        return True


@pytest.fixture
def replace_a_node(quick_start: None, session_cache: Path) -> Iterator[Callable[[], None]]:
    """Be connected to three nodes of one core, one of which is busy; return what frees that one
    and kills another.
    """
    import ray
    from ray.cluster_utils import Cluster
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cluster = Cluster()
    quiet = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    try:
        cluster.add_node(num_cpus=1, **quiet)
        lost, spare = (cluster.add_node(num_cpus=1, **quiet) for _ in range(2))
        ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)

        there = NodeAffinitySchedulingStrategy(spare.node_id, soft=False)
        busy = ray.remote(num_cpus=1)(Busy).options(scheduling_strategy=there).remote()
        ray.get(busy.begun.remote())

        def replace() -> None:
            ray.kill(busy)
            cluster.remove_node(lost, allow_graceful=False)

        yield replace
    finally:
        ray.shutdown()
        cluster.shutdown()


def recipe(epochs: int) -> Recipe:
    own = [f"epochs={epochs}", "scale=unit", "learning_rate=0.001"]
    return load_recipe("conv-dropout", own)


def test_a_lost_node_loses_no_finished_epoch(
    small: Dataset,
    tmp_path: Path,
    replace_a_node: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    alone = train(recipe(12), tmp_path / "alone", dataset=small, show_progress=False)
    stored = Run(tmp_path / "stored")

    def lose_one() -> None:
        end = time.monotonic() + 240
        while time.monotonic() < end and not stored.metrics().get("epochs"):
            time.sleep(0.05)
        replace_a_node()

    thread = threading.Thread(target=lose_one)
    thread.start()
    run = train_in_parallel(
        recipe(12), tmp_path / "run", 2, on="ray", dataset=small, storage=str(stored.folder)
    )
    thread.join()
    assert "a worker was lost" in caplog.text
    for folder in (run.folder, stored.folder):
        weights = (load_model(each).get_weights() for each in (folder, alone.folder))
        pairs = zip(*weights, strict=True)
        assert max(abs(mine - theirs).max() for mine, theirs in pairs) < 1e-5
    for name, values in alone.history().items():
        assert run.history()[name] == pytest.approx(values, rel=1e-4)


def test_the_nodes_may_share_the_runs_folder(
    small: Dataset, tmp_path: Path, replace_a_node: Callable[[], None]
) -> None:
    run = train_in_parallel(recipe(1), tmp_path / "run", 2, on="ray", dataset=small)
    assert run.finished
    assert run.environment()["workers"] == 2
    with pytest.raises(UsageError, match=r"workers = 4: the cluster has 3 cores"):
        train_in_parallel(recipe(1), tmp_path / "other", 4, on="ray", dataset=small)
    assert not (tmp_path / "other").exists()


def test_no_cluster_there(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"ray://127.0.0.1:1\b.* cannot be reached"):
        train_in_parallel(recipe(1), tmp_path / "run", 2, on="ray://127.0.0.1:1", dataset=small)
