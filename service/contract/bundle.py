"""Bundles on disk: read and verify them, compute the id."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from service.contract.errors import BundleError
from service.contract.manifest import FORMAT_VERSION, FileSpec, Manifest

MANIFEST_NAME = "manifest.json"
BUNDLE_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        bundle_id: hash of the manifest, which lists the hash of every file, 16 hexadecimal digits;
            bundles with the same id hold the same bytes.
    """

    path: Path
    manifest: Manifest
    bundle_id: str

    def file(self, name: str) -> Path:
        """Return the path of a file; raise BundleError if the manifest does not list it."""
        if name not in self.manifest.files:
            raise BundleError(f"bundle {self.path} lists no file {name!r}")
        return self.path / name


def open_bundle(path: Path) -> Bundle:
    """Read a bundle and verify its manifest, its list of files, their sizes and hashes.

    Raises:
        BundleError: the folder or its manifest is missing, malformed or of another format, a
            file is missing, not listed, of another size or content, or has an unsafe name.
    """
    document = _read_manifest(path / MANIFEST_NAME)
    manifest = validate_manifest(document, path)
    for name in manifest.files:
        require_safe_name(name)
    present = set(_walk(path)) - {MANIFEST_NAME}
    if missing := sorted(manifest.files.keys() - present):
        raise BundleError(f"bundle {path} is incomplete: {missing} are listed but missing")
    if extra := sorted(present - manifest.files.keys()):
        raise BundleError(f"bundle {path} holds files that its manifest does not list: {extra}")
    for name, expected in manifest.files.items():
        _verify_file(path / name, expected)
    return Bundle(path, manifest, content_id(document))


def content_id(document: Mapping[str, Any]) -> str:
    """Return the bundle id: the first 16 digits of the SHA-256 of the manifest's canonical JSON.

    Canonical means sorted keys and no white space, so that layout does not matter. The document
    is hashed as it is in the file, not as the schema parses it, so that a new optional field of
    the schema does not change the ids of older bundles.
    """
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:BUNDLE_ID_LENGTH]


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise BundleError(f"there is no bundle at {path.parent}: not a folder")
    if not path.is_file():
        raise BundleError(f"bundle {path.parent} has no {MANIFEST_NAME}")
    try:
        document = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path} must hold a JSON object, got {type(document).__name__}")
    return document


def _refuse_constant(name: str) -> None:
    """Reject NaN and infinity, which are not JSON but which Python's reader accepts."""
    raise ValueError(f"{name} is not a number")


def validate_manifest(document: Mapping[str, Any], path: Path) -> Manifest:
    """Return the manifest of the bundle in a folder; raise BundleError if it is not valid."""
    version = document.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise BundleError(
            f"bundle {path} has format {version!r}; this version reads format {FORMAT_VERSION}: "
            "calibrate and build it again (docs/bundle.md)"
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors()
        )
        raise BundleError(f"the manifest of bundle {path} is not valid: {reasons}") from error


def require_safe_name(name: str) -> None:
    """Raise BundleError if a file name is no relative POSIX path inside the bundle."""
    parts = PurePosixPath(name).parts
    unsafe = (
        not parts
        or name != "/".join(parts)
        or name.startswith("/")
        or ".." in parts
        or any(character in name for character in "\\:\0")
        or name == MANIFEST_NAME
    )
    if unsafe:
        raise BundleError(
            f"file name {name!r} is not allowed in a bundle; use a plain relative path"
        )


def _walk(path: Path) -> Iterator[str]:
    """Yield the relative POSIX name of every file in the folder and its sub-folders."""
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink():
            raise BundleError(f"{entry} is a symbolic link; a bundle holds plain files only")
        if not entry.is_dir():
            yield entry.relative_to(path).as_posix()


def _verify_file(path: Path, expected: FileSpec) -> None:
    found = describe_file(path)
    if found.size_bytes != expected.size_bytes:
        raise BundleError(
            f"{path} has {found.size_bytes} bytes, its manifest says {expected.size_bytes}"
        )
    if found.sha256 != expected.sha256:
        raise BundleError(
            f"{path} was changed: its SHA-256 is {found.sha256}, "
            f"its manifest says {expected.sha256}"
        )


def describe_file(path: Path) -> FileSpec:
    """Return the size and the hash of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return FileSpec(sha256=digest.hexdigest(), size_bytes=path.stat().st_size)
