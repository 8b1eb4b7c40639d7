"""Several nodes of Ray on this machine, one core each, of which one can be lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chiffres.cluster import AT_HOME

NODES = 3


@pytest.fixture
def quick_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes of Ray start in time, which wait 15 seconds for each other.

    Where Jupyter is installed, each would take some to build a grammar that Ray has no use for.
    """
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "rfc3987_syntax.py").write_text("raise ImportError")
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path / "without"), before]))
    )
    for name, value in AT_HOME.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def lose_a_node(quick_start: None, session_cache: Path) -> Iterator[Callable[[], None]]:
    """Be connected to a cluster; return what kills one of its nodes, with all that runs there."""
    ray = pytest.importorskip("ray", reason="the extra cluster is not installed")
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        nodes = [
            cluster.add_node(
                num_cpus=1, include_dashboard=False, include_log_monitor=False, no_monitor=True
            )
            for _ in range(NODES)
        ]
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        yield lambda: cluster.remove_node(nodes[-1], allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()
