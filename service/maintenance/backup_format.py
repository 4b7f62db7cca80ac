"""The files of a backup, and how they are verified and read.

    manifest.json                 what the backup holds, how much, and the SHA-256 of every file
    vessels.jsonl                 one vessel a line
    sightings/<bundle>.jsonl      one sighting a line
    sightings/<bundle>.f32        their embeddings in the same order, little-endian float32 [N, D]
    matches.jsonl                 one match record a line
    chips/<sha256>                original bytes
    audit/<replica>/…             the chains of the audit log as they are
    bundles/<bundle>/…            bundles that were installed beside the gallery

The format does not depend on the storage: a backup of an embedded gallery can be restored into a
Qdrant server and the other way round.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from service.identity.errors import StoreUnavailableError
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel

FORMAT = 2

MANIFEST = "manifest.json"


@dataclass(slots=True)
class Counts:
    """The size of a backup; sightings by bundle, those without a vessel included."""

    vessels: int = 0
    sightings: dict[str, int] = field(default_factory=dict)
    matches: int = 0
    chips: int = 0
    audit_chains: int = 0


def read_backup_manifest(source: Path) -> dict[str, Any]:
    """Return the manifest of a backup, whose files are not checked.

    Raises:
        StoreUnavailableError: the folder is no backup, or one of another version.
    """
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise StoreUnavailableError(f"{source} is a backup of another version of Crossfix")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailableError(f"{source} is not a complete backup: {error}") from error
    return manifest


def verify_backup(source: Path) -> dict[str, Any]:
    """Check the hash of every file of a backup, and return its manifest.

    Raises:
        StoreUnavailableError: the folder is no backup, or the backup is incomplete or damaged.
    """
    manifest = read_backup_manifest(source)
    try:
        present = set(list_files(source)) - {MANIFEST}
        for name in sorted(manifest["files"].keys() | present):
            expected = manifest["files"].get(name)
            if expected is None or name not in present or sha256(source / name) != expected:
                state = "not part of it" if expected is None else "missing or damaged"
                raise StoreUnavailableError(f"the backup {source} is damaged: {name} is {state}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailableError(f"{source} is not a complete backup: {error}") from error
    return manifest


def read_vessels(source: Path) -> Iterator[Vessel]:
    """Read the vessels of a backup."""
    with (source / "vessels.jsonl").open("rb") as file:
        for line in file:
            yield Vessel.from_record(line)


def read_records(path: Path) -> Iterator[Sighting]:
    """Read sightings without embeddings from a JSON-lines file."""
    with path.open("rb") as file:
        for line in file:
            yield Sighting.model_validate_json(line)


def read_sightings(source: Path, bundle: str, width: int) -> Iterator[EmbeddedSighting]:
    """Read the sightings of a bundle, whose embeddings are `width` numbers wide."""
    stem = source / "sightings" / bundle
    with Path(f"{stem}.f32").open("rb") as vectors:
        for sighting in read_records(Path(f"{stem}.jsonl")):
            vector = np.frombuffer(vectors.read(4 * width), dtype="<f4")  # [width]
            yield EmbeddedSighting(sighting, vector)


def list_files(folder: Path) -> Iterator[str]:
    """Yield the path of every file below the folder, relative to it."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
