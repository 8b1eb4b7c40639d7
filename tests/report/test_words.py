"""Both languages say the same things."""

import re
import string
from datetime import date
from pathlib import Path

import pytest

import chiffres
from chiffres.errors import UnknownNameError
from chiffres.report.words import Words, languages, user_language


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_language_has_the_same_sentences_with_the_same_places() -> None:
    english, french = Words("en").catalogue, Words("fr").catalogue
    assert {key: placeholders(text) for key, text in english.items()} == {
        key: placeholders(text) for key, text in french.items()
    }
    assert languages() == ["en", "fr"]


def test_every_sentence_is_used() -> None:
    root = Path(chiffres.__file__).parent
    text = "".join(
        path.read_text(encoding="utf-8")
        for pattern in ("*.py", "*.html", "*.js")
        for path in root.rglob(pattern)
    )
    unused = [key for key in Words("en").catalogue if not re.search(rf"\b{key}\b", text)]
    assert unused == []


def test_numbers_are_written_as_the_language_writes_them() -> None:
    english, french = Words("en"), Words("fr")
    assert english.number(2770634) == "2,770,634"
    assert french.number(2770634) == "2\u202f770\u202f634"
    assert english.percent(0.9814) == "98.14%"
    assert french.percent(0.9814) == "98,14\u00a0%"
    assert english.percent(0.5, decimals=0) == "50%"
    assert english.points(-0.0123) == "−1.23"
    assert french.points(0.0123) == "+1,23"
    assert english.p_value(0.0004) == "< 0.001"
    assert english.p_value(0.25) == "= 0.250"
    assert french.date(date(2026, 11, 24)) == "24 novembre 2026"


def test_values_are_escaped_and_ours_are_not() -> None:
    sentence = Words("en")("result_line", model="<script>", loss=1, accuracy=1, low=1, high=1)
    assert "&lt;script&gt;" in sentence
    assert "<code>" in sentence
    assert "<" not in Words("en").plain("choice", model="m", loss=1, accuracy=1, low=1, high=1)


def test_french_punctuation_does_not_break_from_its_word() -> None:
    for key, sentence in Words("fr").catalogue.items():
        assert not re.search(r" [:;!?»%]|« ", sentence), key


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown language 'de'.*known: en, fr"):
        Words("de")


@pytest.mark.parametrize(
    ("locale", "language"), [("fr_FR.UTF-8", "fr"), ("en_GB", "en"), ("de_DE", "en"), ("C", "en")]
)
def test_the_user_is_spoken_to_in_the_language_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, locale: str, language: str
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", locale)
    assert user_language() == language
