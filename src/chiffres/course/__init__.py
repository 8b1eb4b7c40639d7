"""What the notebooks of the course call: exercises that are judged, figures and animations."""

from __future__ import annotations

from chiffres.course.course import Course

__all__ = ["Course"]
