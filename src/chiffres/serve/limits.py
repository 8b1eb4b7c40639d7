"""What the server accepts: every limit by name, checked before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """The limits of one server.

    Attributes:
        upload_bytes: of one request's body.
        held_bytes: of all the bodies that are held at once.
        pixels: of one picture, read in its header before it is decoded.
        batch: images in one call of ``/v1/classify``.
        parts: of a multipart body.
        receive_seconds: for a request to arrive, its head and then its body.
        answer_seconds: that a worker may spend on one request; it is replaced if it takes longer.
        connections: open at once.
        waiting_drawings: how many drawings and batches may wait for a worker.
        waiting_photos: how many photos may.
        waiting_seconds: for how long.
        patient_seconds: after how long a photo takes turns with the drawings.
    """

    upload_bytes: int = 16 * MIB
    held_bytes: int = 128 * MIB
    pixels: int = 24_000_000
    batch: int = 512
    parts: int = 8
    receive_seconds: float = 10.0
    answer_seconds: float = 10.0
    connections: int = 256
    waiting_drawings: int = 64
    waiting_photos: int = 8
    waiting_seconds: float = 5.0
    patient_seconds: float = 0.1

    @property
    def longest(self) -> float:
        """How many seconds a request may take, from its first byte to its answer."""
        return 2 * self.receive_seconds + self.waiting_seconds + self.answer_seconds
