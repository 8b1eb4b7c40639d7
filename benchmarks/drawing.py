"""How soon the page of ``chiffres serve`` answers a stroke, in a real browser.

``python benchmarks/drawing.py [--rounds 5]`` draws a 2, a 7 and an 8 with the mouse in Chromium, in
steps of a few pixels, and waits for the answer after each. A time runs from the event that the
page gets to the frame in which the bars have changed; it holds the reduced picture, the way to the
server and back, the reading and the painting.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import shutil

import numpy as np
from playwright.sync_api import Page, sync_playwright
from serving import serving

STEPS = 12
"""Of each stroke."""
SOON = 100
"""Milliseconds."""
WATCH = """() => {
  let moved = null;
  window.answered = [];
  document.querySelector("#paper").addEventListener("pointermove", (event) => {
    if (event.buttons) moved = event.timeStamp;
  }, true);
  const seen = new MutationObserver(() => requestAnimationFrame((painted) => {
    if (moved !== null) window.answered.push(painted - moved);
    moved = null;
  }));
  const all = { attributes: true, childList: true, subtree: true };
  seen.observe(document.querySelector("#bars"), all);
}"""


def strokes() -> list[list[tuple[float, float]]]:
    """Return a 2, a 7 and an 8; points from 0 to 1, from the left and from the top."""
    turns = [math.radians(angle) for angle in range(-170, 41, 15)]
    two = [(0.5 + 0.19 * math.cos(turn), 0.36 + 0.18 * math.sin(turn)) for turn in turns]
    around = [2 * math.pi * part / 24 for part in range(25)]
    eight = [(0.5 + 0.16 * math.sin(2 * turn), 0.5 - 0.3 * math.cos(turn)) for turn in around]
    return [[*two, (0.32, 0.8), (0.72, 0.8)], [(0.3, 0.22), (0.7, 0.22), (0.45, 0.82)], eight]


def draw(page: Page, stroke: list[tuple[float, float]]) -> None:
    """Draw a stroke, and wait for an answer after each step."""
    sheet = page.locator("#paper").bounding_box()
    assert sheet is not None
    lengths = np.cumsum([0.0, *(math.dist(*pair) for pair in itertools.pairwise(stroke))])
    places = np.linspace(0, lengths[-1], STEPS + 1)
    across, down = (np.interp(places, lengths, axis) for axis in zip(*stroke, strict=True))
    page.mouse.move(sheet["x"] + across[0] * sheet["width"], sheet["y"] + down[0] * sheet["height"])
    page.mouse.down()
    for x, y in zip(across[1:], down[1:], strict=True):
        known = page.evaluate("answered.length")
        page.mouse.move(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"])
        page.wait_for_function("known => answered.length > known", arg=known)
    page.mouse.up()


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
        for stroke in rounds * strokes():
            draw(page, stroke)
            page.click("#clear")
        times = page.evaluate("answered")
        browser.close()
    print(
        f"{len(times)} answers: median {np.median(times):.0f} ms, "
        f"{np.mean(np.array(times) < SOON):.1%} within {SOON} ms, all within {max(times):.0f} ms"
    )


if __name__ == "__main__":
    main()
