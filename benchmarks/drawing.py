"""How soon the page of ``chiffres serve`` answers a stroke, in a real browser.

``python benchmarks/drawing.py [--rounds 5]`` draws a 2, a 7, an 8 and a 2 and an 8 that touch with
the mouse in Chromium, in steps of a few pixels, and waits for the answer after each, and after the
pen is lifted. A time runs from the event that the page gets to the frame after the answer is shown;
it holds the reduced picture, the way to the server and back, the reading and the painting.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Page, sync_playwright
from serving import serving

STEPS = 12
"""Of each stroke."""
SOON = 100
"""Milliseconds."""
WATCH = """() => {
  let asked = null;
  window.answered = { down: [], lifted: [] };
  const note = (event) => { if (event.type === "pointerup" || event.buttons) asked = event; };
  for (const type of ["pointermove", "pointerup"]) {
    document.querySelector("#paper").addEventListener(type, note, true);
  }
  const seen = new MutationObserver(() => requestAnimationFrame((painted) => {
    if (asked === null) return;
    const pen = asked.type === "pointerup" ? "lifted" : "down";
    window.answered[pen].push(painted - asked.timeStamp);
    asked = null;
  }));
  seen.observe(document.querySelector("#time"), { childList: true });
}"""

Stroke = list[tuple[float, float]]


def drawings() -> list[list[Stroke]]:
    """Return the strokes of each drawing; points from 0 to 1, from the left and from the top."""
    turns = [math.radians(angle) for angle in range(-170, 41, 15)]
    two = [(0.5 + 0.19 * math.cos(turn), 0.36 + 0.18 * math.sin(turn)) for turn in turns]
    two += [(0.32, 0.8), (0.72, 0.8)]
    seven = [(0.3, 0.22), (0.7, 0.22), (0.45, 0.82)]
    around = [2 * math.pi * part / 24 for part in range(25)]
    eight = [(0.5 + 0.16 * math.sin(2 * turn), 0.5 - 0.3 * math.cos(turn)) for turn in around]
    touching = [[(x - 0.19, y) for x, y in two], [(x + 0.18, y + 0.02) for x, y in eight]]
    return [[two], [seven], [eight], touching]


def draw(page: Page, stroke: Stroke) -> None:
    """Draw a stroke, and wait for an answer after each step and in the end."""
    sheet = page.locator("#paper").bounding_box()
    assert sheet is not None
    lengths = np.cumsum([0.0, *(math.dist(*pair) for pair in itertools.pairwise(stroke))])
    places = np.linspace(0, lengths[-1], STEPS + 1)
    across, down = (np.interp(places, lengths, axis) for axis in zip(*stroke, strict=True))
    page.mouse.move(sheet["x"] + across[0] * sheet["width"], sheet["y"] + down[0] * sheet["height"])
    page.mouse.down()
    for x, y in zip(across[1:], down[1:], strict=True):
        with answer(page, "down"):
            page.mouse.move(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"])
    with answer(page, "lifted"):
        page.mouse.up()


@contextmanager
def answer(page: Page, pen: str) -> Iterator[None]:
    """Wait, after what the block does, for its answer."""
    known = page.evaluate("pen => answered[pen].length", pen)
    yield
    page.wait_for_function("([pen, known]) => answered[pen].length > known", arg=[pen, known])


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    path = shutil.which("chromium") or shutil.which("google-chrome")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with serving(2) as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_selector("body.ready")
        page.evaluate(WATCH)
        for strokes in rounds * drawings():
            for stroke in strokes:
                draw(page, stroke)
            page.click("#clear")
        answered = page.evaluate("answered")
        browser.close()
    for pen, times in answered.items():
        soon = np.mean(np.array(times) < SOON)
        print(
            f"pen {pen}: {len(times)} answers: median {np.median(times):.0f} ms, "
            f"{soon:.1%} within {SOON} ms, all within {max(times):.0f} ms"
        )


if __name__ == "__main__":
    main()
