"""Sketches limit products from above, whatever the vectors are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.filled_gallery import like_embeddings
from service.contract.fusion import l2_normalise
from service.storage.edge.tables import sketched_vectors
from service.storage.edge.tables.bounded_search import ROUNDING
from service.storage.edge.tables.sketched_vectors import SketchedVectors

BLOCK = 100


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketched_vectors, "SKETCHED_ROWS", BLOCK)


def evenly_spread(count: int, width: int, seed: int) -> NDArray[np.float32]:
    dice = np.random.default_rng(seed)
    return l2_normalise(dice.normal(size=(count, width)).astype(np.float32))


@pytest.mark.parametrize("width", [4, 64, 512])
@pytest.mark.parametrize("vectors_of", [evenly_spread, like_embeddings])
def test_no_product_exceeds_its_bound(
    tmp_path: Path, width: int, vectors_of: Callable[[int, int, int], NDArray[np.float32]]
) -> None:
    vectors, queries = vectors_of(340, width, 0), vectors_of(20, width, 1)
    queries[:5] = vectors[:5]
    file = SketchedVectors(tmp_path / "vectors", width)
    file.put(range(30), vectors[:30])
    assert file.sketched == 0
    file.put(range(30, 340), vectors[30:])
    assert file.sketched == 300
    bounds, products = file.bounds(queries, 340), file.products(queries, 340)
    assert (bounds[:, :300] >= products[:, :300] - ROUNDING).all()
    assert (bounds[:, 300:] == products[:, 300:]).all()
    assert file.bounds(queries, 150) == pytest.approx(bounds[:, :150], abs=1e-5)


def test_bounds_of_embeddings_are_close(tmp_path: Path) -> None:
    file = SketchedVectors(tmp_path / "vectors", 512)
    file.put(range(10 * BLOCK), like_embeddings(10 * BLOCK, 512, 0))
    queries = like_embeddings(20, 512, 1)
    too_high = file.bounds(queries, 10 * BLOCK) - file.products(queries, 10 * BLOCK)
    assert too_high.mean() < 0.1


def test_bounds_follow_rows_that_are_replaced_or_moved(tmp_path: Path) -> None:
    vectors, others = evenly_spread(300, 64, 0), like_embeddings(300, 64, 1)
    file = SketchedVectors(tmp_path / "vectors", 64)
    file.put(range(300), vectors)
    file.put([7, 150, 299], others[[7, 150, 299]])
    file.move(299, 8)
    now = vectors.copy()
    now[[7, 150, 299]], now[8] = others[[7, 150, 299]], others[299]
    products = now @ now.T
    assert file.products(now, 300) == pytest.approx(products, abs=1e-6)
    assert (file.bounds(now, 300) >= products - ROUNDING).all()
