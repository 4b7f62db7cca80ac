"""The bundle in the repository is valid, reproduces its golden vectors, and fits in git."""

from dataclasses import replace

import numpy as np
import pytest

from service.contract.bundle import Bundle, open_bundle
from service.inference.embedder import Embedder, build_embedder, load_embedder
from tests.support.paths import SHIPPED_BUNDLE

MAX_MEGABYTES = 40


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder(SHIPPED_BUNDLE, "cpu", threads=1)


def test_it_reproduces_its_golden_vectors(embedder: Embedder) -> None:
    assert embedder.verify_golden() > 0.998


def test_its_full_graph_reproduces_its_golden_vectors_more_closely(bundle: Bundle) -> None:
    encoder = bundle.manifest.encoder.model_copy(update={"rounded": ()})
    manifest = bundle.manifest.model_copy(update={"encoder": encoder})
    full = build_embedder(replace(bundle, manifest=manifest), "cpu", threads=1)
    assert full.precision == "float32"
    assert full.verify_golden() > 0.9999


def test_embeddings_of_different_golden_chips_differ(embedder: Embedder) -> None:
    """Detect a collapsed model, which would reproduce its golden vectors."""
    vectors = np.stack([e.vector for e in embedder.embed_many(embedder.golden_chips())])
    cosines = vectors @ vectors.T
    others = cosines[~np.eye(len(vectors), dtype=bool)]
    assert len(vectors) >= 4
    assert others.max() < 0.99


def test_it_fits_in_git(bundle: Bundle) -> None:
    size = sum(file.size_bytes for file in bundle.manifest.files.values())
    assert size < MAX_MEGABYTES * 1e6


def test_model_card_and_manifest_agree(bundle: Bundle) -> None:
    card = bundle.file(bundle.manifest.model_card).read_text()
    assert f"Domain: **{bundle.manifest.training.domain}**" in card
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.splitlines()]
    values = {(*row[:3], row[6]): row[3] for row in rows if len(row) > 6}
    vessel_values = {(row[0], cell) for row in rows for cell in row[1:]}
    for metric in bundle.manifest.metrics:
        if metric.protocol == "open set":
            assert (str(metric.gallery), f"{metric.value:.1f}%") in vessel_values
            continue
        gallery = "-" if metric.gallery is None else str(metric.gallery)
        value = values[metric.dataset, metric.protocol, metric.name, gallery]
        digits = len(value.partition(".")[2])
        assert digits >= 1
        assert value == f"{metric.value:.{digits}f}"


def test_files_contain_no_paths_of_the_machine_that_built_it(bundle: Bundle) -> None:
    for name in bundle.manifest.files:
        data = bundle.file(name).read_bytes()
        assert b"/home/" not in data
        assert b"/tmp/" not in data
        assert b".py\x00" not in data
