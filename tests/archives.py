"""Archives that lie about what is in them."""

from __future__ import annotations

import struct
from pathlib import Path

CENTRAL_ENTRY = b"PK\x01\x02"


def announce(path: Path, member: str, size: int) -> None:
    """Rewrite the ZIP archive's directory so that ``member`` announces ``size`` bytes."""
    content = bytearray(path.read_bytes())
    at = content.index(member.encode(), content.index(CENTRAL_ENTRY)) - 46
    assert content[at : at + 4] == CENTRAL_ENTRY
    struct.pack_into("<I", content, at + 24, size)
    path.write_bytes(content)
