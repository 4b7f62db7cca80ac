"""Chips for the tests under faults, every one different: cuttings of the demo fleet's."""

import io
import random
from collections.abc import Sequence
from functools import cache

from PIL import Image

from tests.support.paths import FLEET

SAR, OPTICAL = "query", "bounding_box_test"
WIDEST_MARGIN = 6


def cut_chip(dice: random.Random, folder: str = SAR) -> bytes:
    """One chip of the fleet without a few rows and columns; no two calls give the same bytes."""
    picture = dice.choice(_pictures(folder))
    left, top, right, bottom = (dice.randrange(WIDEST_MARGIN) for _ in range(4))
    cut = picture.crop((left, top, picture.width - right, picture.height - bottom))
    buffer = io.BytesIO()
    cut.save(buffer, "TIFF" if folder == SAR else "PNG", **_drawn(dice, folder))
    return buffer.getvalue()


def _drawn(dice: random.Random, folder: str) -> dict[str, object]:
    """Something that makes the bytes differ where two cuttings are alike."""
    mark = f"{dice.getrandbits(64):016x}"
    if folder == SAR:
        return {"description": mark}
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", mark)
    return {"pnginfo": info}


@cache
def _pictures(folder: str) -> Sequence[Image.Image]:
    pictures = []
    for path in sorted((FLEET / folder).iterdir()):
        with Image.open(path) as picture:
            pictures.append(picture.copy())
    return pictures
