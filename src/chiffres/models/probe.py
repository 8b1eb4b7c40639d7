"""Reads a whole model file before Keras does, in a process of its own.

HDF5 is C code that can hang or crash on a damaged file: here that ends one small process, within
a time limit. This file is that process's program as well, so it imports no framework.
"""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO

import h5py

from chiffres.errors import ModelFileError

MAX_BYTES = 2**30
"""The largest model, on disk, unpacked and in memory: 1 GiB."""
MAX_CONFIG_BYTES = 4 * 2**20
MAX_SECONDS = 30.0
"""How long the reading of a model file may take."""


def probe(path: Path) -> dict[str, str]:
    """Return the descriptions inside a model file, each a JSON text, once all of it was read.

    Args:
        path: a ``.keras`` archive or an ``.h5`` file.

    Returns:
        ``model``, how the model is built, and ``training``, how it was compiled, ``"{}"`` where
        that stands inside ``model`` or nowhere.

    Raises:
        ModelFileError: damaged, over a limit, or with weights that lie elsewhere.
    """
    command = [sys.executable, "-P", __file__, str(path.absolute())]
    try:
        child = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS)
        answer = json.loads(child.stdout)
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(
            f"damaged: it could not be read within {MAX_SECONDS:g} seconds"
        ) from error
    except ValueError as error:
        reason = child.stderr.decode(errors="replace").strip().splitlines() or [str(error)]
        raise ModelFileError(
            f"damaged: its reading ended with code {child.returncode}: {reason[-1][:200]}"
        ) from error
    if "refused" in answer:
        raise ModelFileError(answer["refused"])
    return dict(answer)


def check_size(size: int, what: str, limit: int = MAX_BYTES) -> None:
    """Raise ModelFileError where ``what`` takes more bytes than the limit."""
    if size > limit:
        raise ModelFileError(f"{what} takes {size:,} bytes, over the limit of {limit:,}")


def _descriptions(path: Path) -> dict[str, str]:
    check_size(path.stat().st_size, "the file")
    if path.suffix != ".h5":
        return {"model": _unzipped(path), "training": "{}"}
    with h5py.File(path) as file:
        _read_weights(file, set())
        if "model_config" not in file.attrs:
            raise ModelFileError(
                "holds weights only; expected a whole model, saved by model.save()"
            )
        texts = {
            "model": file.attrs["model_config"],
            "training": file.attrs.get("training_config", "{}"),
        }
    for text in texts.values():
        check_size(len(text), "the model's description", MAX_CONFIG_BYTES)
    return {
        what: text.decode() if isinstance(text, bytes) else str(text)
        for what, text in texts.items()
    }


def _unzipped(path: Path) -> str:
    """Return ``config.json`` of the ``.keras`` archive, once its members have been checked."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        expected = {"config.json", "metadata.json", "model.weights.h5"}
        if members.keys() != expected:
            raise ModelFileError(
                f"expected the members {sorted(expected)}, found {sorted(members)}"
            )
        check_size(sum(member.file_size for member in members.values()), "the archive, unpacked,")
        check_size(members["config.json"].file_size, "config.json", MAX_CONFIG_BYTES)
        weights: IO[bytes] = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights) as file:
            _read_weights(file, set())
        return archive.read("config.json").decode()


def _read_weights(group: h5py.Group, seen: set[int]) -> int:
    """Return the bytes that the arrays below ``group`` take; refuse links out of the file.

    An object whose address was ``seen`` before is refused too, lest a small file be a maze.
    """
    dict(group.attrs)
    total = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ModelFileError(f"the weights {group.name}/{name} point elsewhere; refused")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise ModelFileError(f"the weights {item.name} stand in two places; refused")
        seen.add(address)
        if isinstance(item, h5py.Group):
            total += _read_weights(item, seen)
        elif item.external or item.is_virtual:
            raise ModelFileError(f"the weights {item.name} lie outside the file; refused")
        else:
            total += math.prod(item.shape) * item.dtype.itemsize
        check_size(total, "the weights")
        if isinstance(item, h5py.Dataset):
            dict(item.attrs)
            item[()]
    return total


def _answer(path: Path) -> dict[str, str]:
    try:
        return _descriptions(path)
    except ModelFileError as error:
        return {"refused": str(error)}
    except Exception as error:  # what h5py and zipfile raise on damage has no common base
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        return {"refused": f"damaged or not a model file: {reason}"}


if __name__ == "__main__":
    print(json.dumps(_answer(Path(sys.argv[1]))))
