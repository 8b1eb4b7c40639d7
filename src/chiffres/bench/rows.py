"""What a bench measured: rows of figures, and the machine they were measured on."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chiffres.errors import UsageError
from chiffres.evaluation.intervals import wilson


@dataclass(frozen=True)
class Row:
    """What was measured of one engine on one subject.

    Attributes:
        subject: what was measured: a model, a set of pictures.
        engine: of whom.
        metric: which property.
        unit: of ``runs`` and ``median``.
        runs: each measurement.
        n: where a share of so many was measured, how many; else 0.
        median: of ``runs``.
    """

    subject: str
    engine: str
    metric: str
    unit: str
    runs: list[float]
    n: int = 0
    median: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "median", statistics.median(self.runs))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of a share."""
        return wilson(round(self.median * self.n), self.n)


@dataclass(frozen=True)
class Measured:
    """All rows of a bench and the machine they were measured on."""

    bench: str
    machine: dict[str, Any]
    rows: list[Row]

    def json(self) -> dict[str, Any]:
        """Return the document of ``bench ... --json``."""
        return {
            "schema": 1,
            "bench": self.bench,
            "machine": self.machine,
            "rows": [_json(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, path: Path, bench: str) -> Measured:
        """Read what ``bench ... --json`` wrote.

        Raises:
            UsageError: it is not such a file.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["bench"] != bench:
                raise ValueError(f"it is of bench {document['bench']}")
            names = [each.name for each in fields(Row) if each.init]
            rows = [
                Row(**{key: row[key] for key in names if key in row}) for row in document["rows"]
            ]
            return cls(bench, document["machine"], rows)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}: expected what bench {bench} --json writes: {error}"
            ) from None

    def row(self, subject: str, engine: str, metric: str) -> Row | None:
        """Return that row, or None where it was not measured."""
        wanted = (subject, engine, metric)
        return next(
            (row for row in self.rows if (row.subject, row.engine, row.metric) == wanted), None
        )


def _json(row: Row) -> dict[str, Any]:
    """Return the row; a share with the count it is of, and its 95 % interval."""
    found = asdict(row)
    if not row.n:
        del found["n"]
        return found
    return found | {"interval": list(row.interval)}
