"""Embedding equals its stages written out, and a bundle is verified by its golden chips."""

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.errors import BundleError, TranslationError
from service.contract.fusion import fuse, l2_normalise
from service.contract.preprocess import EncoderInput, picture_to_pixels, prepare, prepare_views
from service.inference.embedder import Embedder, build_embedder, load_embedder
from service.inference.encoder import Encoder
from service.inference.session import open_session
from tests.support.training.tiny_bundle import ENCODER_SPEC, MakeBundle, encoder_graph, noise_chip


def test_a_sar_chip_is_only_encoded(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    chip = noise_chip(Modality.SAR, 1)
    (embedded,) = build_embedder(bundle, "cpu", 1).embed_many([chip])
    spec = bundle.manifest.encoder
    encoder = Encoder(open_session(bundle.file(spec.graph.file), spec.graph, "cpu", 1), spec)
    expected = encoder.encode([prepare(chip, bundle.manifest.preprocess)])[0]
    assert np.allclose(embedded.vector, expected, atol=1e-6)
    assert embedded.vector.dtype == np.float32
    assert set(embedded.timings_ms) == {"denoise", "encode"}


def test_a_chip_that_was_cut_out_is_the_mean_of_two_views(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    chip = replace(noise_chip(Modality.SAR, 1), cut_out=True)
    embedder = build_embedder(bundle, "cpu", 1)
    alone, _ = embedder.embed_many([chip, noise_chip(Modality.SAR, 2)])
    spec = bundle.manifest.encoder
    encoder = Encoder(open_session(bundle.file(spec.graph.file), spec.graph, "cpu", 1), spec)
    up, down = encoder.encode(prepare_views(chip, bundle.manifest.preprocess))
    np.testing.assert_allclose(alone.vector, l2_normalise(up + down), atol=1e-5)


def test_an_optical_chip_is_fused_with_its_pseudo_sar_pictures(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    embedder = build_embedder(bundle, "cpu", 1)
    chip = noise_chip(Modality.OPTICAL, 2)
    (embedded,) = embedder.embed_many([chip])

    spec, preprocess = bundle.manifest.encoder, bundle.manifest.preprocess
    encoder = Encoder(open_session(bundle.file(spec.graph.file), spec.graph, "cpu", 1), spec)
    optical = prepare(chip, preprocess)
    pictures = embedder.translate(chip)
    assert pictures.shape == (3, 12, 8)
    pseudo = [
        EncoderInput(
            picture_to_pixels(np.stack([grey] * 3, axis=2), Modality.SAR, preprocess),
            Modality.SAR,
            optical.size_token,
        )
        for grey in pictures
    ]
    plain = encoder.encode([optical])[0]
    expected = fuse(plain, encoder.encode(pseudo), bundle.manifest.fusion.alpha)
    assert np.allclose(embedded.vector, expected, atol=1e-6)
    assert not np.allclose(embedded.vector, plain, atol=1e-3)
    assert np.linalg.norm(embedded.vector) == pytest.approx(1.0, abs=1e-6)
    assert set(embedded.timings_ms) == {"denoise", "encode", "translate", "fuse"}


def test_mixed_chips_are_embedded_in_order_as_if_alone(make_bundle: MakeBundle) -> None:
    embedder = build_embedder(make_bundle(), "cpu", 1)
    chips = [noise_chip(Modality.SAR if i % 3 else Modality.OPTICAL, i) for i in range(13)]
    together = embedder.embed_many(chips)
    for chip, embedded in zip(chips, together, strict=True):
        (alone,) = embedder.embed_many([chip])
        assert np.allclose(embedded.vector, alone.vector, atol=1e-4)
    assert embedder.embed_many([]) == []


def test_translation_needs_an_optical_chip_and_a_translator(make_bundle: MakeBundle) -> None:
    with pytest.raises(TranslationError, match="is SAR already"):
        build_embedder(make_bundle(), "cpu", 1).translate(noise_chip(Modality.SAR, 1))
    plain = build_embedder(make_bundle(translator=False), "cpu", 1)
    with pytest.raises(TranslationError, match="bundle tiny has no translator"):
        plain.translate(noise_chip(Modality.OPTICAL, 1))
    assert plain.embed_many([noise_chip(Modality.OPTICAL, 1)])[0].vector.shape == (6,)


def test_a_bundle_may_have_a_translator_without_fusion(make_bundle: MakeBundle) -> None:
    embedder = build_embedder(make_bundle(changes={"fusion": {}}), "cpu", 1)
    chip = noise_chip(Modality.OPTICAL, 1)
    assert embedder.translate(chip).shape == (1, 12, 8)
    assert "translate" not in embedder.embed_many([chip])[0].timings_ms


@pytest.mark.parametrize("translator", [True, False])
def test_a_valid_bundle_is_loaded(make_bundle: MakeBundle, translator: bool) -> None:
    bundle = make_bundle(translator=translator)
    embedder = load_embedder(bundle.path, "cpu", 1)
    assert embedder.bundle_id == bundle.bundle_id
    assert embedder.width == 6
    assert embedder.device == "cpu"
    assert embedder.verify_golden() > 0.9999


def test_the_rounded_graph_of_the_device_runs_within_its_own_tolerance(
    make_bundle: MakeBundle,
) -> None:
    full = make_bundle(translator=False)
    golden = full.file("golden/embeddings.npy").read_bytes()

    def with_rounded(device: str, min_cosine: float, seed: int) -> Embedder:
        rounded = {
            "device": device,
            "file": "encoder-int8.onnx",
            "precision": "int8",
            "min_cosine": min_cosine,
            "map_change": {"S2O": 0.0, "O2S": 0.0},
            "measured_on": "noise",
            "times_faster": 2.0,
        }
        bundle = make_bundle(
            translator=False,
            changes={"encoder": ENCODER_SPEC | {"rounded": [rounded]}},
            files={"encoder-int8.onnx": encoder_graph(seed), "golden/embeddings.npy": golden},
        )
        return build_embedder(bundle, "cpu", 1)

    elsewhere = with_rounded("cuda", 1e-6, seed=1)
    assert (elsewhere.precision, elsewhere.min_golden_cosine) == ("float32", 0.999)
    assert elsewhere.verify_golden() > 0.9999
    same = with_rounded("cpu", 0.99, seed=0)
    assert (same.precision, same.min_golden_cosine) == ("int8", 0.99)
    assert same.verify_golden() > 0.9999
    with pytest.raises(BundleError, match=r"at least 0\.99 is expected"):
        with_rounded("cpu", 0.99, seed=1).verify_golden()


def vectors(array: NDArray[Any]) -> dict[str, bytes]:
    stream = io.BytesIO()
    np.save(stream, array)
    return {"golden/embeddings.npy": stream.getvalue()}


def test_a_bundle_that_does_not_reproduce_its_golden_vectors_is_rejected(
    make_bundle: MakeBundle,
) -> None:
    valid = np.load(make_bundle().file("golden/embeddings.npy"))
    wrong = valid.copy()
    wrong[1] = np.roll(wrong[1], 1)
    bundle = make_bundle(files=vectors(wrong))
    with pytest.raises(BundleError, match=r"golden chip golden/b_SAR.tif embeds with cosine"):
        load_embedder(bundle.path, "cpu", 1)
    not_a_number = np.full_like(valid, np.nan)
    with pytest.raises(BundleError, match="embeds with cosine nan"):
        load_embedder(make_bundle(files=vectors(not_a_number)).path, "cpu", 1)


def test_malformed_golden_files_are_rejected(make_bundle: MakeBundle) -> None:
    cases = {
        r"expected float32 \(2, 6\)": vectors(np.ones((2, 5), np.float32)),
        "holds float64": vectors(np.ones((2, 6))),
        "is not an array file": {"golden/embeddings.npy": b"no array"},
    }
    for reason, files in cases.items():
        with pytest.raises(BundleError, match=reason):
            load_embedder(make_bundle(files=files).path, "cpu", 1)


def test_a_bundle_without_golden_chips_is_rejected(make_bundle: MakeBundle) -> None:
    golden = {"chips": [], "modalities": [], "gsd_m": [], "embeddings": "golden/embeddings.npy"}
    bundle = make_bundle(changes={"golden": golden}, files=vectors(np.empty((0, 6), np.float32)))
    with pytest.raises(BundleError, match="no golden chips"):
        load_embedder(bundle.path, "cpu", 1)


def test_a_manifest_with_another_input_size_is_rejected(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    path = bundle.path / "manifest.json"
    document = json.loads(path.read_text())
    document["preprocess"]["width"] = 16
    path.write_text(json.dumps(document))
    with pytest.raises(BundleError, match="the preprocessing yields"):
        load_embedder(bundle.path, "cpu", 1)
