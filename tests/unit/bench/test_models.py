"""Rows of `make bench`: the shipped graphs with other sampler settings, ViT's precisions."""

import numpy as np
import pytest

from bench.models import (
    BATCH,
    PUBLISHED_SAMPLES,
    compare_enrolment,
    compare_published,
    with_sampler,
)
from model_training.encoder.config import ReferenceConfig
from service.contract.bundle import open_bundle
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec
from service.inference.embedder import build_embedder, load_embedder
from service.settings import SHIPPED_BUNDLE


def test_a_changed_bundle_samples_with_its_new_k_and_steps() -> None:
    embedder = build_embedder(
        with_sampler(open_bundle(SHIPPED_BUNDLE), 3, 4, 1.0), "cpu", threads=1
    )
    assert embedder.manifest.translator is not None
    assert len(embedder.manifest.translator.steps) == 4
    optical = [c for c in embedder.golden_chips() if c.modality is Modality.OPTICAL]
    pictures = embedder.translate(optical[0])
    assert len(pictures) == 3
    assert np.any(pictures[0] != pictures[1])
    (embedded,) = embedder.embed_many(optical[:1])
    assert np.linalg.norm(embedded.vector) == pytest.approx(1)


def test_the_row_names_k_and_steps_of_both_settings() -> None:
    row = compare_enrolment(load_embedder(SHIPPED_BUNDLE, "cpu", threads=1), threads=1)
    manifest = open_bundle(SHIPPED_BUNDLE).manifest
    assert manifest.translator is not None
    shipped = f"K = {manifest.fusion.samples}, steps: {len(manifest.translator.steps)}"
    assert row.ours.endswith(shipped)
    assert f"K = {PUBLISHED_SAMPLES}, steps: 4" in row.reference
    assert min(row.reference_ms, row.ours_ms) > 0


def test_the_rows_of_the_published_encoder_name_batch_and_precision() -> None:
    small = ReferenceConfig(
        kind="reference", preprocess=PreprocessSpec(height=32, width=16), width=16, depth=1, heads=2
    )
    rows = list(compare_published(1, small))
    assert [(row.name.split()[1], row.ours.split()[-1]) for row in rows] == [
        ("one", "float32"),
        ("one", "int8"),
        (str(BATCH), "float32"),
        (str(BATCH), "int8"),
    ]
    assert all(row.reference == "PyTorch, float32" and row.ours_ms > 0 for row in rows)
