"""The report, as text and in a real browser."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chiffres.evaluation.compare import Comparison
from chiffres.lab.experiment import published
from chiffres.report.page import render, write_report
from chiffres.report.words import Words, languages
from tests.report.conftest import renamed

BROWSER = next(
    (found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))),
    None,
)


class Page(HTMLParser):
    """What a page consists of: checks that every element opened is closed."""

    VOID = frozenset({"img", "link", "meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.images.append(values)
        if identity := values.get("id"):
            self.ids.append(identity)
        if href := values.get("href"):
            self.links.append(href)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module", params=languages())
def html(comparison: Comparison, request: pytest.FixtureRequest) -> str:
    return render(comparison, Words(request.param))


def test_the_page_is_well_formed_and_its_links_lead_somewhere(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:|//|file:)""", html)
    assert "<script" not in html


def test_every_picture_is_inside_and_says_what_it_shows(html: str) -> None:
    images = Page(html).images
    assert len(images) >= 3 * 4
    for image in images:
        assert (image["src"] or "").startswith("data:image/")
        assert image["alt"]


def test_the_figures_in_the_page_are_the_measured_ones(comparison: Comparison) -> None:
    words = Words("en")
    html = render(comparison, words)
    for model in comparison.models:
        assert words.percent(model.test.accuracy) in html
        assert words.number(model.test.loss, 4) in html
        assert words.number(model.parameters) in html


def test_published_figures_are_shown_only_beside_their_own_dataset(comparison: Comparison) -> None:
    words = Words("en")
    assert words("published_title") not in render(comparison, words)
    beside = Comparison(comparison.dataset, comparison.models, published())
    html = render(beside, words)
    assert words("published_title") in html
    assert "98.14%" in html
    assert "97.15" not in html


def test_one_model_alone_makes_a_report_that_says_what_is_missing(
    comparison: Comparison, tmp_path: Path
) -> None:
    alone = Comparison(comparison.dataset, comparison.models[:1])
    write_report(alone, tmp_path / "report.html", Words("en"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "train these models too: conv-pool" in text


def test_the_command_at_the_end_names_what_was_changed(comparison: Comparison) -> None:
    html = render(comparison, Words("fr"))
    assert (
        "chiffres lab --data small --models conv,conv-pool,conv-dropout "
        "--set learning_rate=0.001 --set epochs=2 --lang fr"
    ) in html


@pytest.mark.parametrize("language", languages())
def test_a_page_of_several_seeds_has_all_that_was_measured(
    seeded: Comparison, language: str
) -> None:
    words = Words(language)
    failed = {"dropout=0 seed-1": "the loss is <nan>"}
    html = render(dataclasses.replace(seeded, published=published(), failed=failed), words)
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    for title in ("differences", "overfitting", "calibration", "cost", "robustness", "folds"):
        assert words(f"{title}_title") in html
    for text in ("seeds_text", "p_of_published_text", "curves_band"):
        assert words(text) in html
    assert words.points(seeded.pairs[0].difference) in html
    assert words("shown_of_seed", seed=9000) in html
    assert "the loss is &lt;nan&gt;" in html
    assert "--seeds 2 --folds 2 --robustness --lang" in html


def test_a_comparison_of_other_models_answers_no_exercise(comparison: Comparison) -> None:
    others = [
        renamed(model, f"dropout=0.{number}") for number, model in enumerate(comparison.models)
    ]
    words = Words("en")
    html = render(Comparison(comparison.dataset, others), words)
    assert words("exercises_title") not in html
    assert words("report_title_other") in html
    assert 'id="dropout-0.1"' in html


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_scrolling_sideways(
    comparison: Comparison, tmp_path: Path, width: int
) -> None:
    page = tmp_path / "report.html"
    html = render(comparison, Words("fr"))
    # The page itself forbids scripts; the measuring one needs a policy that lets it run.
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    measure = (
        "<script>addEventListener('load', () => { document.title = JSON.stringify(["
        "document.documentElement.scrollWidth - innerWidth,"
        "[...document.images].filter(image => !image.naturalWidth).length,"
        "document.images.length]) })</script>"
    )
    # A headless window is never narrower than 500 pixels, a frame is.
    page.write_text(html.replace("</body>", f"{measure}</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe src='report.html' width='{width}' height='900'></iframe><p></p>"
        "<script>const inner = document.querySelector('iframe');"
        "inner.onload = () => setTimeout(() => {"
        "document.querySelector('p').textContent = inner.contentDocument.title }, 300)</script>",
        encoding="utf-8",
    )
    shown = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--allow-file-access-from-files",
            "--virtual-time-budget=10000",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    measured = re.search(r"<p>\[(-?\d+),(\d+),(\d+)\]</p>", shown)
    assert measured, shown[-500:]
    overflow, broken, images = map(int, measured.groups())
    assert overflow <= 0
    assert broken == 0
    assert images >= 12
