"""The command line as its user meets it: each command in a process of its own.

Where processes can be forked, a command's is a copy of one that has imported the frameworks
already: that takes seconds, and most of what a command takes. ``cold`` starts one from nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LANGUAGE = {"LANG": "en", "LC_ALL": "en", "PYTHONUTF8": "1"}
FORKED = "forkserver" in multiprocessing.get_all_start_methods()

Done = subprocess.CompletedProcess[str]


def chiffres(*arguments: object, cwd: Path | None = None, cold: bool = False) -> Done:
    """Run a command to its end.

    Args:
        arguments: of ``chiffres``.
        cwd: the folder to run in; by default the current one.
        cold: whether the process begins without any import, as a user's does.
    """
    command = [sys.executable, "-m", "chiffres", *map(str, arguments)]
    folder = cwd or Path.cwd()
    if cold or not FORKED:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", cwd=folder, env=os.environ | LANGUAGE
        )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["chiffres.cli", "chiffres.lab.sweep", "chiffres.export"])
    with tempfile.TemporaryDirectory() as name:
        said, complained = Path(name, "stdout"), Path(name, "stderr")
        process = context.Process(target=_run, args=(command[3:], folder, said, complained))
        process.start()
        process.join()
        texts = [path.read_text(encoding="utf-8") for path in (said, complained)]
        return subprocess.CompletedProcess(command, process.exitcode or 0, *texts)


def _run(arguments: list[str], folder: Path, said: Path, complained: Path) -> None:
    from chiffres.cli import main

    for stream, path in ((sys.stdout, said), (sys.stderr, complained)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    os.environ.update(LANGUAGE)
    os.chdir(folder)
    sys.argv = ["chiffres", *arguments]
    main()
