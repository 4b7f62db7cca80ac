"""With the shipped bundle, a picture that is encoded anew is a copy, and another look is none."""

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.framing.apply import frame
from service.contract.framing.records import FramingMode
from service.identity.evidence.copies import COPY_SIMILARITY
from service.inference.embedder import Embedder, load_embedder
from service.settings import SHIPPED_BUNDLE
from tests.support.paths import ROOT

CHIPS = sorted((ROOT / "demo/fleet").rglob("*_RGB.*"))[:14]
QUALITY = 75


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder(SHIPPED_BUNDLE, "cpu", 1)


@pytest.fixture(scope="module")
def originals(embedder: Embedder) -> dict[Path, NDArray[np.float32]]:
    return {path: embedded(embedder, path.read_bytes()) for path in CHIPS}


def embedded(embedder: Embedder, data: bytes) -> NDArray[np.float32]:
    chip = decode_chip(data, modality=Modality.OPTICAL, gsd_m=0.75)
    return embedder.embed_many([frame(chip, FramingMode.AUTO).chip])[0].vector


def test_a_picture_that_is_encoded_anew_is_a_copy(
    embedder: Embedder, originals: dict[Path, NDArray[np.float32]]
) -> None:
    cosines = []
    for path, vector in originals.items():
        anew = io.BytesIO()
        Image.open(path).convert("RGB").save(anew, "JPEG", quality=QUALITY)
        cosines.append(float(vector @ embedded(embedder, anew.getvalue())))
    print(f"\nquality {QUALITY}: cosines from {min(cosines):.4f}")
    assert min(cosines) >= COPY_SIMILARITY


def test_another_look_is_no_copy(originals: dict[Path, NDArray[np.float32]]) -> None:
    cosines = [float(a @ b) for a, b in combinations(originals.values(), 2)]
    print(f"\nother looks and ships: cosines up to {max(cosines):.4f}")
    assert max(cosines) < COPY_SIMILARITY
