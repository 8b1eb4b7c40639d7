"""Readings as rows of a Parquet file, with the names that ``chiffres read --json`` has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chiffres.errors import ImageError
from chiffres.reading.listing import parquet
from chiffres.reading.reader import Reader
from chiffres.reading.result import unread
from chiffres.storage import replacing


def row_of(reader: Reader, path: str) -> dict[str, Any]:
    """Return one element of ``pictures`` in ``chiffres read --json``, as a row.

    A picture that cannot be read, for whatever reason, is a row with an error.
    """
    shown = _text(path)
    try:
        row = reader.read(path).json(shown)
    except ImageError as error:
        return unread(shown, _text(str(error)))
    except Exception as error:  # one picture of a million is not to stop the others
        return unread(shown, _text(f"{path}: {type(error).__name__} in the reader: {error}"))
    for digit in row["digits"]:
        names = ("value", "probability")
        digit["alternatives"] = [
            dict(zip(names, each, strict=True)) for each in digit["alternatives"]
        ]
    return row


def _text(text: str) -> str:
    """Return what UTF-8 can hold; the names of files can be any bytes."""
    return text.encode(errors="backslashreplace").decode()


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows to a Parquet file, whole or not at all."""
    import pyarrow as pa

    alternative = pa.struct([("value", pa.int8()), ("probability", pa.float64())])
    digit = pa.struct(
        [
            ("value", pa.int8()),
            ("confidence", pa.float64()),
            ("box", pa.list_(pa.int32())),
            ("alternatives", pa.list_(alternative)),
        ]
    )
    columns = {
        "path": pa.string(),
        "text": pa.string(),
        "lines": pa.list_(pa.string()),
        "digits": pa.list_(digit),
        "error": pa.string(),
    }
    table = pa.Table.from_pylist(rows, schema=pa.schema(columns))
    with replacing(path) as temporary:
        parquet().write_table(table, temporary, compression="zstd")


def count_errors(path: Path) -> int:
    """Return how many rows of a file have an error; the rows themselves are not looked at."""
    metadata = parquet().read_metadata(path)
    column = metadata.schema.names.index("error")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return sum(group.num_rows - group.column(column).statistics.null_count for group in groups)
