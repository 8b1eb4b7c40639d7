"""What a student reads, in French and in English: one TOML file per language, the same keys."""

from __future__ import annotations

import os
import re
import tomllib
from datetime import date
from html import unescape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from chiffres.errors import UnknownNameError

if TYPE_CHECKING:
    from markupsafe import Markup


def languages() -> list[str]:
    """Return the languages that there is a catalogue for, ``"en"`` and ``"fr"``."""
    files = resources.files(__name__).iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".toml"))


def user_language() -> str:
    """Return the language of the user's locale where there is a catalogue for it, else English."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return locale[:2] if locale[:2] in languages() else "en"


class Words:
    """The catalogue of one language, and how that language writes numbers.

    Calling it with a key and the values of the sentence gives HTML: the values are escaped. That,
    and numbers, need the packages of the extra ``train``; ``sentence`` does not.
    """

    def __init__(self, language: str) -> None:
        """Raise UnknownNameError where there is no catalogue for ``language``."""
        if language not in languages():
            raise UnknownNameError("language", language, languages())
        self.language = language
        text = (resources.files(__name__) / f"{language}.toml").read_text(encoding="utf-8")
        if language == "fr":
            text = french_spaces(text)
        self.catalogue: dict[str, str] = tomllib.loads(text)

    def __call__(self, key: str, **values: object) -> Markup:
        """Return the sentence ``key`` with the values in their places, as HTML."""
        from markupsafe import Markup

        return Markup(self.catalogue[key]).format(**values)

    def sentence(self, key: str, **values: object) -> str:
        """Return a sentence that has no markup, with the values as they are."""
        return self.catalogue[key].format(**values)

    def plain(self, key: str, **values: object) -> str:
        """Return the sentence without its markup, for a terminal or a figure."""
        return plain(self(key, **values))

    def number(self, value: float, decimals: int = 0) -> str:
        """Write a number with exactly ``decimals`` decimals and the thousands set apart."""
        return self._written(value, _pattern(decimals))

    def percent(self, share: float, decimals: int = 2) -> str:
        """Write a share (0 to 1) in per cent."""
        sign = "\N{NO-BREAK SPACE}%" if self.language == "fr" else "%"
        return self._written(share, _pattern(decimals) + sign)

    def points(self, difference: float) -> str:
        """Write a difference of two shares in percentage points, with its sign."""
        pattern = _pattern(2)
        return self._written(100 * difference, f"+{pattern};-{pattern}")

    def p_value(self, p: float) -> str:
        """Write a p-value with its sign; under 1 in 1,000 the exact figure says nothing more."""
        return f"= {self.number(p, 3)}" if p >= 0.001 else f"< {self.number(0.001, 3)}"

    def date(self, day: date) -> str:
        """Write a date in full."""
        from babel.dates import format_date

        written: str = format_date(day, "long", locale=self.language)
        return written

    def _written(self, value: float, pattern: str) -> str:
        from babel.numbers import format_decimal

        written: str = format_decimal(value, format=pattern, locale=self.language)
        return written.replace("-", "\N{MINUS SIGN}")


def french_spaces(text: str) -> str:
    """Return French text whose punctuation does not break from its word."""
    return re.sub(r" (?=[:;!?»%])|(?<=«) ", "\N{NO-BREAK SPACE}", text)


def plain(markup: Markup) -> str:
    """Return HTML as text; unlike ``striptags``, the spaces that do not break are kept."""
    return unescape(re.sub(r"<[^>]*>", "", markup))


def _pattern(decimals: int) -> str:
    return "#,##0" + ("." + "0" * decimals if decimals else "")
