"""Vectors in a file."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.identity.errors import StoreFullError
from service.storage.edge.tables.vector_file import BLOCK_BYTES, FIRST_ROWS, VectorFile

WIDTH = 64


def unit_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_products_are_those_of_the_vectors(tmp_path: Path) -> None:
    vectors, queries = unit_vectors(2 * BLOCK_BYTES // (4 * WIDTH) + 3), unit_vectors(5, seed=1)
    file = VectorFile(tmp_path / "vectors", WIDTH)
    file.put(range(10), vectors[:10])
    file.put(range(10, len(vectors)), vectors[10:])
    expected = queries @ vectors.T
    assert file.products(queries, len(vectors)) == pytest.approx(expected, abs=1e-6)
    assert file.products(vectors[:1], 1)[0, 0] <= 1
    file.move(len(vectors) - 1, 0)
    assert file.products(queries, 1)[:, 0] == pytest.approx(expected[:, -1], abs=1e-6)
    file.put([3], vectors[7:8])
    assert file.products(queries, 4)[:, 3] == pytest.approx(expected[:, 7], abs=1e-6)


def test_the_file_is_closed_with_its_object(tmp_path: Path) -> None:
    gc.collect()  # what other tests left
    before = open_files()
    file = VectorFile(tmp_path / "vectors", WIDTH)
    file.put(range(1000), unit_vectors(1000))
    assert open_files() > before
    del file
    gc.collect()
    assert open_files() == before


def test_a_file_is_emptied_or_opened_with_its_rows(tmp_path: Path) -> None:
    path, vectors = tmp_path / "vectors", unit_vectors(300)
    VectorFile(path, WIDTH).put(range(300), vectors)
    file = VectorFile(path, WIDTH, 300)
    assert file.products(vectors[:1], 300)[0] == pytest.approx(vectors @ vectors[0], abs=1e-6)
    file.put([300], vectors[:1])
    assert file.products(vectors[:1], 301)[0, 300] == pytest.approx(1.0)
    VectorFile(path, WIDTH)
    assert path.stat().st_size == 0
    with pytest.raises(ValueError, match="holds 0 rows"):
        VectorFile(path, WIDTH, 1)


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit_vectors(FIRST_ROWS)
    file = VectorFile(tmp_path / "vectors", WIDTH)
    file.put(range(FIRST_ROWS), vectors)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("service.storage.edge.tables.vector_file.os.posix_fallocate", refuse)
        file.make_room(FIRST_ROWS)
        with pytest.raises(StoreFullError):
            file.make_room(FIRST_ROWS + 1)
    assert file.products(vectors[:1], FIRST_ROWS)[0] == pytest.approx(
        vectors @ vectors[0], abs=1e-6
    )
    file.put([FIRST_ROWS], vectors[:1])
    assert file.products(vectors[:1], FIRST_ROWS + 1)[0, -1] == pytest.approx(1.0)
