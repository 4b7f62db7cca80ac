"""Bundles are written atomically, identified by content and verified when opened."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from export.bundle_folder import write_bundle
from service.contract.bundle import Bundle, content_id, open_bundle
from service.contract.errors import BundleError

GRAPH = {
    "file": "encoder.onnx",
    "inputs": [{"name": "pixels", "dtype": "float32", "shape": ["N", 3, 256, 128]}],
    "outputs": [{"name": "embedding", "dtype": "float32", "shape": ["N", 4]}],
}
UNINFORMED: dict[str, Any] = {"bias": 0.0, "weights": {}}
UNINFORMED_CHOICE: dict[str, Any] = {"weights": {}, "none_bias": 0.0, "none_log_gallery": 0.0}
DRAFT: dict[str, Any] = {
    "name": "test",
    "created_at": datetime(2024, 1, 1, tzinfo=UTC),
    "method": "none",
    "preprocess": {},
    "encoder": {"graph": GRAPH, "embedding_width": 4},
    "calibration": {
        "match": UNINFORMED_CHOICE,
        "verify": UNINFORMED,
        "confident_from": 1.0,
        "no_match_below": 0.0,
        "fitted_on": "nothing",
    },
    "training": {"domain": "none", "description": "", "datasets": []},
    "licences": {},
    "golden": {
        "chips": ["golden/a_SAR.tif"],
        "modalities": ["sar"],
        "gsd_m": [1.0],
        "embeddings": "golden/embeddings.npy",
    },
}
FILES: dict[str, bytes | Path] = {
    "encoder.onnx": b"graph",
    "MODEL_CARD.md": b"# card\n",
    "golden/a_SAR.tif": b"tiff",
    "golden/embeddings.npy": b"array",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "bundle", DRAFT, FILES)


def edit(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle.path / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_written_bundle_is_read_back(bundle: Bundle) -> None:
    opened = open_bundle(bundle.path)
    assert opened == bundle
    assert len(opened.bundle_id) == 16
    assert opened.file("encoder.onnx").read_bytes() == b"graph"
    assert opened.manifest.files["encoder.onnx"].size_bytes == 5
    with pytest.raises(BundleError, match="lists no file"):
        opened.file("other.onnx")


def test_id_depends_on_the_content_and_not_on_folder_or_layout(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "a", DRAFT, FILES)
    same = write_bundle(tmp_path / "b", DRAFT, FILES)
    other = write_bundle(tmp_path / "c", DRAFT, {**FILES, "encoder.onnx": b"grapi"})
    renamed = write_bundle(tmp_path / "d", {**DRAFT, "name": "other"}, FILES)
    assert first.bundle_id == same.bundle_id
    assert len({first.bundle_id, other.bundle_id, renamed.bundle_id}) == 3
    edit(same, lambda _: None)
    assert open_bundle(same.path).bundle_id == first.bundle_id


def test_id_is_a_hash_of_canonical_json() -> None:
    assert content_id({"b": 1, "a": [1.5, "x"]}) == content_id({"a": [1.5, "x"], "b": 1})
    assert content_id({"a": 1}) == "015abd7f5cc57a2d"  # sha256 of {"a":1}


def drop(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(key)


def replace_by_folder(bundle: Bundle) -> None:
    (bundle.path / "encoder.onnx").unlink()
    (bundle.path / "encoder.onnx").mkdir()


def replace_by_link(bundle: Bundle) -> None:
    (bundle.path / "encoder.onnx").rename(bundle.path.parent / "outside")
    (bundle.path / "encoder.onnx").symlink_to(bundle.path.parent / "outside")


TAMPERINGS: dict[str, tuple[Callable[[Bundle], object], str]] = {
    "no folder": (lambda b: b.path.rename(b.path.parent / "away"), "not a folder"),
    "no manifest": (lambda b: (b.path / "manifest.json").unlink(), "has no manifest.json"),
    "manifest not JSON": (lambda b: (b.path / "manifest.json").write_text("{"), "is not JSON"),
    "manifest not text": (
        lambda b: (b.path / "manifest.json").write_bytes(b"\xff\xfe\x00\x01"),
        "is not JSON",
    ),
    "manifest a list": (
        lambda b: (b.path / "manifest.json").write_text("[]"),
        "must hold a JSON object, got list",
    ),
    "not a number": (
        lambda b: edit(b, lambda d: d["calibration"]["verify"].update(bias=float("nan"))),
        "NaN is not a number",
    ),
    "newer format": (
        lambda b: edit(b, lambda d: d.update(format_version=3)),
        "has format 3; this version reads format 2",
    ),
    "older format": (
        lambda b: edit(b, lambda d: d.update(format_version=1)),
        "has format 1; this version reads format 2: calibrate and build it again",
    ),
    "field missing": (lambda b: edit(b, drop("calibration")), "calibration: Field required"),
    "unknown field": (lambda b: edit(b, lambda d: d.update(note=1)), "note: Extra inputs"),
    "value out of range": (
        lambda b: edit(b, lambda d: d["preprocess"].update(height=1)),
        "preprocess.height",
    ),
    "file missing": (lambda b: (b.path / "encoder.onnx").unlink(), "listed but missing"),
    "file replaced by a folder": (replace_by_folder, "listed but missing"),
    "file added": (lambda b: (b.path / "x.py").write_text(""), r"does not list: \['x.py'\]"),
    "hidden file added": (
        lambda b: (b.path / "golden/.x").write_text(""),
        r"does not list: \['golden/.x'\]",
    ),
    "file longer": (
        lambda b: (b.path / "encoder.onnx").write_bytes(b"graph!"),
        "has 6 bytes, its manifest says 5",
    ),
    "byte flipped": (
        lambda b: (b.path / "encoder.onnx").write_bytes(b"grapH"),
        "was changed: its SHA-256",
    ),
    "hash edited": (
        lambda b: edit(b, lambda d: d["files"]["encoder.onnx"].update(sha256="0" * 64)),
        "was changed: its SHA-256",
    ),
    "hash malformed": (
        lambda b: edit(b, lambda d: d["files"]["encoder.onnx"].update(sha256="abc")),
        "files.encoder.onnx.sha256",
    ),
    "graph not listed": (
        lambda b: edit(b, lambda d: d["files"].pop("encoder.onnx")),
        "named but not listed with a hash",
    ),
    "link to elsewhere": (replace_by_link, "symbolic link"),
    "name leaves the bundle": (
        lambda b: edit(
            b, lambda d: d["files"].update({"../x": {"sha256": "0" * 64, "size_bytes": 0}})
        ),
        "'../x' is not allowed",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_changed_bundle_is_rejected_with_the_reason(bundle: Bundle, name: str) -> None:
    tamper, reason = TAMPERINGS[name]
    tamper(bundle)
    with pytest.raises(BundleError, match=reason):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "a/../../x", "a//b", "./a", "a/", "", ".", "a\\b", "C:x", "manifest.json"],
)
def test_unsafe_names_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="not allowed"):
        write_bundle(tmp_path / "bundle", DRAFT, {**FILES, name: b""})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="named but not listed"):
        write_bundle(tmp_path / "bundle", DRAFT, {"MODEL_CARD.md": b""})
    with pytest.raises(FileNotFoundError):
        write_bundle(tmp_path / "bundle", DRAFT, {**FILES, "encoder.onnx": tmp_path / "none"})
    assert list(tmp_path.iterdir()) == []


def test_an_older_bundle_is_replaced_only_with_replace(bundle: Bundle) -> None:
    files = {**FILES, "encoder.onnx": b"newer"}
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(bundle.path, DRAFT, files)
    assert open_bundle(bundle.path) == bundle
    newer = write_bundle(bundle.path, DRAFT, files, replace=True)
    assert open_bundle(bundle.path) == newer
    assert newer.bundle_id != bundle.bundle_id
    assert [entry.name for entry in bundle.path.parent.iterdir()] == ["bundle"]


def test_a_folder_that_is_not_a_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"sea")
    with pytest.raises(BundleError, match="is not a bundle"):
        write_bundle(tmp_path / "photos", DRAFT, FILES, replace=True)
    assert (tmp_path / "photos/holiday.jpg").read_bytes() == b"sea"


def test_a_failed_replacement_keeps_the_older_bundle(bundle: Bundle) -> None:
    with pytest.raises(BundleError):
        write_bundle(bundle.path, {**DRAFT, "name": 3}, FILES, replace=True)
    assert open_bundle(bundle.path) == bundle
