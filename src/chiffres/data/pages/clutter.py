"""What else is on a page, and is no digit: underlines, frames, printed words, stains, holes, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from chiffres.data.glyphs import MONO, SANS, SERIF, typeset
from chiffres.data.pages.noise import Sheet, blend, blot, colour
from chiffres.data.pen import Floats, curve

Box = tuple[float, float, float, float]
"""x and y of the upper left corner, width, height."""

WORDS = """
Name Nom Date Total Page Exercice Note Prix Code postal Ville Rue Montant Reference Client
Numéro Téléphone Signature Classe Adresse Quantité Amount Account Phone Zip Street City
Order Invoice Student Score Room Floor Bonjour Merci Cordialement the quick brown fox jumps
over a lazy dog voix ambiguë d'un cœur au zéphyr préfère les jattes de kiwis
""".split()  # noqa: SIM905
"""What is printed: real words, whose o, l and s look like digits to who does not read them."""

BLOT = 200
"""The side of a stain before it is brought to size, in pixels."""


@dataclass(eq=False)
class Scene:
    """A sheet with digits on it.

    Attributes:
        sheet: ``(height, width, 3)`` float32, changed in place by what is added.
        height: of a digit, in pixels.
        pen: the width of its strokes, in pixels.
        ink: the colour it is written in, ``(3,)``.
        paper: the mean colour of the paper, ``(3,)``.
        text: the box around all digits.
        taken: where nothing may be put.
    """

    sheet: Sheet
    height: float
    pen: float
    ink: Sheet
    paper: Sheet
    text: Box
    taken: list[Box] = field(default_factory=list)

    def place(self, rng: np.random.Generator, width: float, height: float) -> Box | None:
        """Return a box of that size where nothing is yet, or None after twenty tries."""
        rows, columns = self.sheet.shape[:2]
        gap = 0.3 * self.height
        if width > columns or height > rows:
            return None
        for _ in range(20):
            box = (rng.uniform(0, columns - width), rng.uniform(0, rows - height), width, height)
            if not any(_overlap(box, other, gap) for other in self.taken):
                return box
        return None

    def draw(self, lines: list[Floats], width: float, shade: Sheet, strength: float) -> None:
        """Draw strokes of a round pen."""
        size = self.sheet.shape[:2]
        mask = np.zeros(size, np.uint8)
        for line in lines:
            points = np.rint(line * 16).astype(np.int32)[:, None]
            cv2.polylines(mask, [points], False, 255, max(1, round(width)), cv2.LINE_AA, 4)
        blend(self.sheet, mask.astype(np.float32) * np.float32(strength / 255), shade)


def underline(rng: np.random.Generator, scene: Scene) -> bool:
    """Underline the digits, once or twice, with the pen that wrote them."""
    x, y, width, height = scene.text
    below = y + height + scene.pen + scene.height * rng.uniform(0.12, 0.35)
    lines = []
    for number in range(1 if rng.random() < 0.8 else 2):
        left = x - width * rng.uniform(-0.1, 0.1)
        right = x + width * rng.uniform(0.9, 1.1)
        level = below + number * (scene.pen + 0.15 * scene.height)
        ends = np.array([[left, level], [(left + right) / 2, level], [right, level]])
        # downwards only: the line must not run into the digits
        ends[:, 1] += np.abs(rng.normal(0, 0.03 * scene.height, 3))
        lines.append(curve(ends))
    if level + scene.height > len(scene.sheet):
        return False
    scene.draw(lines, scene.pen, scene.ink, 0.9)
    scene.taken.append((x, below, width, level - below + scene.pen))
    return True


def frame(rng: np.random.Generator, scene: Scene) -> bool:
    """Draw a box around all digits, printed or by hand."""
    x, y, width, height = scene.text
    room = scene.height * rng.uniform(0.2, 0.6, 4) + scene.pen
    left, top, right, bottom = x - room[0], y - room[1], x + width + room[2], y + height + room[3]
    rows, columns = scene.sheet.shape[:2]
    if left < 1 or top < 1 or right > columns - 2 or bottom > rows - 2:
        return False
    corners = _outline(left, top, right, bottom)
    if rng.random() < 0.5:
        corners += np.clip(rng.normal(0, 0.04 * scene.height, corners.shape), -0.1, 0.1)
        scene.draw([corners], scene.pen, scene.ink, 0.9)
    else:
        thin = float(np.clip(scene.pen * rng.uniform(0.3, 0.8), 1, 8))
        scene.draw([corners], thin, _faint(rng, scene), 0.9)
    scene.taken.append((left, top, right - left, bottom - top))
    return True


def boxes(rng: np.random.Generator, scene: Scene, places: Sequence[Box]) -> None:
    """Print the boxes of a form, with square corners.

    Args:
        rng: where it takes its chance from.
        scene: where; changed in place.
        places: x, y, width and height of each, in pixels.
    """
    thin = float(np.clip(scene.pen * rng.uniform(0.3, 0.9), 1, 8))
    shade, strength = _faint(rng, scene), rng.uniform(0.6, 0.95)
    outlines = [_outline(x, y, x + width, y + height) for x, y, width, height in places]
    scene.draw(outlines, thin, shade, strength)


def _outline(left: float, top: float, right: float, bottom: float) -> Floats:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])


def printed(rng: np.random.Generator, scene: Scene) -> bool:
    """Print one to three words beside the digits, smaller than they are."""
    done = False
    for _ in range(int(rng.integers(1, 4))):
        height = scene.height * rng.uniform(0.2, 0.55)
        if height < 6:
            return done
        done = _print(rng, scene, " ".join(words(rng, int(rng.integers(1, 3)))), height) or done
    return done


def _print(rng: np.random.Generator, scene: Scene, text: str, height: float) -> bool:
    ink = typeset(text, str(rng.choice(SANS + SERIF + MONO[:3])))
    width = ink.width * height / ink.height
    box = scene.place(rng, width + 2, height + 2)
    if box is None:
        return False
    stamp(scene.sheet, ink, box, _dark(scene), rng.uniform(0.6, 1))
    scene.taken.append(box)
    return True


def words(rng: np.random.Generator, count: int) -> list[str]:
    """Return some words, some of them in capitals."""
    chosen = [WORDS[int(place)] for place in rng.integers(len(WORDS), size=count)]
    return [word.upper() if rng.random() < 0.15 else word for word in chosen]


def stamp(sheet: Sheet, ink: Image.Image, box: Box, shade: Sheet, strength: float) -> None:
    """Put a drawing, light on black, onto the sheet, scaled into the box."""
    x, y = round(box[0]), round(box[1])
    size = (max(1, round(box[2])), max(1, round(box[3])))
    small = ink.resize(size, Image.Resampling.LANCZOS)
    region = sheet[max(0, y) : y + size[1], max(0, x) : x + size[0]]
    share = np.asarray(small, np.float32)[-min(y, 0) :, -min(x, 0) :]
    share = share[: region.shape[0], : region.shape[1]] * np.float32(strength / 255)
    blend(region, share, shade)


def stain(rng: np.random.Generator, scene: Scene) -> bool:
    """Spill coffee or grease, faint, under or beside the digits; or leave the ring of a cup."""
    side = int(scene.height * rng.uniform(1.2, 5)) + 4
    shape = blot(rng, BLOT, rng.uniform(0.1, 0.5))
    if rng.random() < 0.5:
        inner = cv2.erode(
            shape, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BLOT // 9, BLOT // 9))
        )
        shape = shape - np.float32(rng.uniform(0.7, 1)) * np.asarray(inner, np.float32)
    rows, columns = scene.sheet.shape[:2]
    x, y = rng.uniform(-side / 2, columns - side / 2), rng.uniform(-side / 2, rows - side / 2)
    image = Image.fromarray((shape * 255).astype(np.uint8))
    brown = colour(120, 80, 40) if scene.paper.mean() > 0.5 else scene.paper * 1.4
    stamp(scene.sheet, image, (x, y, side, side), brown, rng.uniform(0.06, 0.3))
    return True


def specks(rng: np.random.Generator, scene: Scene) -> bool:
    """Drop small dots of ink or dust, beside the digits."""
    count = int(rng.integers(2, 25))
    for _ in range(count):
        side = max(2.0, scene.height * rng.uniform(0.02, 0.09))
        if box := scene.place(rng, side, side):
            image = Image.fromarray((255 * blot(rng, max(3, round(side)))).astype(np.uint8))
            stamp(scene.sheet, image, box, _dark(scene), rng.uniform(0.3, 1))
    return True


def holes(rng: np.random.Generator, scene: Scene) -> bool:
    """Punch holes along the left edge, dark as what is below."""
    rows = len(scene.sheet)
    radius = scene.height * rng.uniform(0.25, 0.5)
    pitch, x = rows / rng.uniform(1.5, 4), radius * rng.uniform(1.5, 3)
    shade = colour(*(rng.uniform(20, 120, 3) if scene.paper.mean() > 0.5 else (230, 230, 230)))
    y, done = rng.uniform(0, pitch), False
    while y < rows:
        box = (x - radius, y - radius, 2 * radius, 2 * radius)
        if not any(_overlap(box, other, 0.3 * scene.height) for other in scene.taken):
            mask = np.zeros(scene.sheet.shape[:2], np.uint8)
            cv2.circle(mask, (round(x), round(y)), round(radius), 255, -1, cv2.LINE_AA)
            blend(scene.sheet, mask.astype(np.float32) / np.float32(255), shade)
            scene.taken.append(box)
            done = True
        y += pitch
    return done


def stroke(rng: np.random.Generator, scene: Scene) -> bool:
    """Draw a line across the page, a fold, or a hair, away from the digits."""
    rows, columns = scene.sheet.shape[:2]
    if rng.random() < 0.5:
        length, thick = scene.height * rng.uniform(0.8, 2), scene.pen * rng.uniform(0.15, 0.4)
        box = scene.place(rng, length, length)
        if box is None:
            return False
        points = rng.uniform(0, length, (4, 2)) + box[:2]
        scene.draw([curve(points)], thick, _dark(scene), rng.uniform(0.4, 0.9))
        return True
    across = (columns, scene.pen) if rng.random() < 0.7 else (scene.pen, rows)
    box = scene.place(rng, *across)
    if box is None:
        return False
    x, y, width, height = box
    ends = np.array([[x, y], [x + width, y]] if width > height else [[x, y], [x, y + height]])
    scene.draw([ends], scene.pen * rng.uniform(0.3, 1.2), _faint(rng, scene), rng.uniform(0.5, 1))
    scene.taken.append(box)
    return True


def neighbours(rng: np.random.Generator, scene: Scene) -> bool:
    """Leave the lower or upper parts of other handwriting at the edge, cut by the picture."""
    rows, columns = scene.sheet.shape[:2]
    x = columns * rng.uniform(0, 0.5)
    word = columns * rng.uniform(0.2, 0.5)
    top = rng.random() < 0.5
    box = (x, -0.6 * scene.height if top else rows - 0.4 * scene.height, word, scene.height)
    if any(_overlap(box, other, 0.3 * scene.height) for other in scene.taken):
        return False
    steps = np.linspace(0, 1, int(np.clip(word / (0.35 * scene.height), 3, 40)))
    points = np.stack([x + steps * word, np.full_like(steps, box[1] + scene.height / 2)], axis=1)
    points[:, 1] += scene.height * rng.uniform(0.15, 0.45) * np.resize([-1, 1], len(steps))
    scene.draw([curve(points)], scene.pen, scene.ink, 0.9)
    return True


CLUTTER: dict[str, tuple[float, Callable[[np.random.Generator, Scene], bool]]] = {
    "underline": (0.12, underline),
    "frame": (0.08, frame),
    "printed words": (0.14, printed),
    "stain": (0.12, stain),
    "specks": (0.12, specks),
    "holes": (0.05, holes),
    "stroke": (0.1, stroke),
    "other writing": (0.05, neighbours),
}
"""How often each is on a page, and what adds it and says whether there was room."""


def _overlap(box: Box, other: Box, gap: float) -> bool:
    return all(
        box[axis] < other[axis] + other[axis + 2] + gap
        and other[axis] < box[axis] + box[axis + 2] + gap
        for axis in (0, 1)
    )


def _dark(scene: Scene) -> Sheet:
    return colour(30, 30, 34) if scene.paper.mean() > 0.5 else colour(220, 220, 215)


def _faint(rng: np.random.Generator, scene: Scene) -> Sheet:
    """Return a shade between paper and ink."""
    share = np.float32(rng.uniform(0.3, 1))
    return np.asarray(scene.paper + share * (_dark(scene) - scene.paper), np.float32)
