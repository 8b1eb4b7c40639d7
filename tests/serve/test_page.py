"""The page, in a real browser: drawn on, shown photos, by mouse, finger and keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from chiffres.report.words import Words
from tests.serve.pictures import CROSSES, STROKES, Stroke, photo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
FRENCH, ENGLISH = Words("fr").sentence, Words("en").sentence
READ = 20_000
"""Milliseconds for an answer, on a machine that has much else to do."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium, where there is one."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no browser on this machine: install chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def options() -> dict[str, Any]:
    """Return how the browser is set up: a French one, on a desk."""
    return {"locale": "fr-FR", "viewport": {"width": 1200, "height": 900}}


@pytest.fixture
def page(browser: Browser, address: str, options: dict[str, Any]) -> Iterator[Page]:
    """Open the page, and see that it never complains and asks no other server for anything."""
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda it: None if _ours(it.url, address) else complaints.append(it.url))
    page.goto(address)
    page.wait_for_selector("body.ready")
    page.wait_for_selector("#model option", state="attached")
    yield page
    context.close()
    assert complaints == []


def _ours(url: str, address: str) -> bool:
    return url.startswith((address, "blob:", "data:"))


def draw(page: Page, strokes: list[Stroke]) -> None:
    """Draw strokes with the mouse."""
    sheet = page.locator("#paper").bounding_box()
    assert sheet is not None
    for stroke in strokes:
        points = [
            (sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"]) for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def expect_said(page: Page, text: str) -> None:
    sync_api.expect(page.locator("#said")).to_have_text(text, timeout=READ)


def violations(page: Page) -> list[str]:
    """Return what axe-core objects to."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    found = axe.Axe().run(page).response["violations"]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


def test_each_of_the_ten_digits_is_read_as_it_is_drawn(page: Page) -> None:
    for digit, strokes in STROKES.items():
        draw(page, strokes)
        expect_said(page, str(digit))
        page.click("#clear")
        expect_said(page, "")


def test_an_answer_comes_while_the_pen_is_still_down(page: Page) -> None:
    draw(page, [STROKES[7][0][:2]])
    page.click("#undo")
    expect_said(page, "")
    sheet = page.locator("#paper").bounding_box()
    assert sheet is not None
    page.mouse.move(sheet["x"] + 0.3 * sheet["width"], sheet["y"] + 0.22 * sheet["height"])
    page.mouse.down()
    for x, y in ((0.7, 0.22), (0.45, 0.82)):
        page.mouse.move(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"], steps=9)
    expect_said(page, "7")
    page.mouse.up()
    assert page.locator("#bars li.best .digit").inner_text() == "7"


def test_what_is_no_digit_is_said_to_be_none(page: Page) -> None:
    draw(page, CROSSES)
    expect_said(page, FRENCH("serve_no_digit"))
    assert page.locator("#bars li.best").count() == 0


def test_the_network_is_seen_and_a_sum_followed(page: Page) -> None:
    page.select_option("#model", "small")
    assert FRENCH("serve_network_empty") in page.inner_text("#lead")
    draw(page, STROKES[0])
    page.select_option("#model", "reader")
    maps = page.locator("#convolution [role=option]")
    maps.nth(39).wait_for(timeout=READ)
    assert page.locator("#pooling [role=option]").count() == maps.count() == 40
    maps.nth(2).click()
    page.wait_for_selector("#inspector:not([hidden])", timeout=READ)
    assert page.inner_text("#inspector-title") == FRENCH("serve_inspector_title", number=3)
    assert page.locator("#products td").count() == 3 * 5 * 5
    before = page.inner_text("#formula")
    page.locator("#large").press("ArrowUp")
    page.locator("#large").click(position={"x": 5, "y": 5})
    assert page.inner_text("#formula") != before
    assert page.inner_text("#formula").startswith("Ligne 1, colonne 1")


def test_models_are_switched_with_the_same_drawing(page: Page) -> None:
    draw(page, STROKES[3])
    expect_said(page, "3")
    page.select_option("#model", "plain")
    dense = FRENCH("serve_network_dense")
    sync_api.expect(page.locator("#lead")).to_have_text(dense, timeout=READ)
    assert page.locator("#convolution").is_hidden()
    page.select_option("#model", "reader")
    expect_said(page, "3")


def test_a_photo_is_read_with_boxes_over_it(page: Page) -> None:
    file: FilePayload = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    page.set_input_files("#file", files=[file])
    expect_said(page, "2345")
    boxes = page.locator("#boxes button")
    assert [boxes.nth(i).inner_text() for i in range(4)] == list("2345")
    assert (boxes.nth(3).get_attribute("aria-label") or "").startswith("5")
    boxes.nth(3).click()
    page.wait_for_selector("#boxes button:nth-child(4)[aria-pressed=true]")
    assert page.locator("#bars li.best .digit").inner_text() == "5"
    assert violations(page) == []
    page.click("#clear")
    expect_said(page, "")
    assert page.locator("#paper").is_visible()


def test_a_file_that_is_no_image_is_said_to_be_none(page: Page) -> None:
    file: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": b"no image"}
    page.set_input_files("#file", files=[file])
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem") == FRENCH("serve_not_an_image")


def test_the_language_is_the_browsers_and_can_be_switched(page: Page) -> None:
    assert page.inner_text("#writing-title") == FRENCH("serve_draw_title")
    draw(page, STROKES[1])
    expect_said(page, "1")
    page.click("[data-language=en]")
    page.wait_for_selector("html[lang=en]")
    assert page.inner_text("#writing-title") == ENGLISH("serve_draw_title")
    assert "confidence" in page.inner_text("#sure")
    assert page.inner_text("#said") == "1"  # the drawing is still there
    page.reload()
    page.wait_for_selector("html[lang=en]")


def test_all_of_it_works_by_keyboard_alone(page: Page) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "paper":
            break
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(20):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect_said(page, "1")
    sync_api.expect(page.locator("#announce")).to_contain_text("1. 1", timeout=READ)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "option":
            break
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#inspector:not([hidden])", timeout=READ)
    assert page.inner_text("#inspector-title") == FRENCH("serve_inspector_title", number=2)
    page.locator("#paper").focus()
    page.keyboard.press("Backspace")
    expect_said(page, "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, address: str, options: dict[str, Any], scheme: str
) -> None:
    context = browser.new_context(**{**options, "color_scheme": scheme})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body.ready")
    assert violations(page) == []
    draw(page, STROKES[4])
    page.locator("#convolution [role=option]").first.click(timeout=READ)
    page.wait_for_selector("#inspector:not([hidden])", timeout=READ)
    assert violations(page) == []
    page.goto(f"{address}/docs")
    assert violations(page) == []
    context.close()


class TestOnAPhone:
    """The same with a finger, on 390 pixels."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Return how a phone is set up."""
        view = {"width": 390, "height": 844}
        return {"locale": "en-GB", "viewport": view, "has_touch": True, "is_mobile": True}

    def test_the_page_fits_and_the_answer_is_in_sight(self, page: Page) -> None:
        draw(page, STROKES[8])
        expect_said(page, "8")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390
        said = page.locator("#said").bounding_box()
        assert said is not None
        assert said["y"] + said["height"] / 2 < 844
        assert violations(page) == []


def test_the_key_is_asked_for_and_kept(
    browser: Browser, strict_address: str, options: dict[str, Any]
) -> None:
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(strict_address)
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", "open sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("#model option", state="attached")
    draw(page, STROKES[6])
    expect_said(page, "6")
    context.close()
