"""Distinct chips for the fault tests, cropped from the demo fleet."""

import io
import random
from collections.abc import Sequence
from functools import cache

from PIL import Image

from tests.support.paths import FLEET

SAR, OPTICAL = "query", "bounding_box_test"
MAX_MARGIN_PX = 4
"""Less than the sea of the smallest ships: a chip without any sea may be refused."""


def cut_chip(dice: random.Random, folder: str = SAR) -> bytes:
    """Return a chip of the fleet with cropped margins; each call returns different bytes."""
    picture = dice.choice(_pictures(folder))
    left, top, right, bottom = (dice.randrange(MAX_MARGIN_PX) for _ in range(4))
    cut = picture.crop((left, top, picture.width - right, picture.height - bottom))
    buffer = io.BytesIO()
    cut.save(buffer, "TIFF" if folder == SAR else "PNG", **_unique_tag(dice, folder))
    return buffer.getvalue()


def _unique_tag(dice: random.Random, folder: str) -> dict[str, object]:
    """Return an option of `Image.save` that makes the bytes of equal crops differ."""
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
