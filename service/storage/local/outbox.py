"""The outbox in the data folder: one file for each match that waits to be stored.

A file is a line of JSON, and of each chip the embedding as little-endian float32 and the bytes.
Replicas that share the folder deliver each other's matches; storing one twice changes nothing.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np

from service.contract.durable_files import sync_folder, write_file
from service.identity.errors import StoreFullError
from service.identity.ports.outbox import AnsweredMatch
from service.identity.records.match_records import MatchRecord
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.storage.local.disk_errors import disk_errors

log = logging.getLogger("crossfix")

MOST_MATCHES = 1000
MOST_BYTES = 256 * 2**20
MIN_FREE_BYTES = 16 * 2**20
"""Less than the gallery and the audit log leave free, so that a match still fits here."""

ENTRY, DAMAGED = ".match", ".damaged"


class FolderOutbox:
    """An `Outbox` in a folder, which is created when it is first needed."""

    def __init__(
        self, folder: Path, most_matches: int = MOST_MATCHES, most_bytes: int = MOST_BYTES
    ) -> None:
        """Keep at most so many matches, and so many bytes, in the folder."""
        self._folder = folder
        self._most_matches = most_matches
        self._most_bytes = most_bytes

    def put(self, match: AnsweredMatch) -> None:
        data = _encoded(match)
        with disk_errors(f"write into {self._folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._require_room(len(data))
            fresh = self._folder / f"{uuid4()}.new"
            try:
                write_file(fresh, data)
                fresh.rename(self._path(match.record.id))
                sync_folder(self._folder)
            finally:
                fresh.unlink(missing_ok=True)

    def ids(self) -> Sequence[UUID]:
        # Ids of later matches are greater, see `new_match_id`.
        return sorted(UUID(path.stem) for path in self._folder.glob(f"*{ENTRY}"))

    def get(self, match_id: UUID) -> AnsweredMatch | None:
        path = self._path(match_id)
        with disk_errors(f"read {path}"):
            try:
                return _decoded(path.read_bytes())
            except FileNotFoundError:
                return None
            except (ValueError, KeyError, TypeError) as error:
                path.rename(path.with_suffix(DAMAGED))
                log.error("a match that waited is damaged and was put aside: %s: %s", path, error)
                return None

    def remove(self, match_id: UUID) -> None:
        with disk_errors(f"remove a match from {self._folder}"):
            self._path(match_id).unlink(missing_ok=True)

    def _path(self, match_id: UUID) -> Path:
        return self._folder / f"{match_id}{ENTRY}"

    def _require_room(self, size: int) -> None:
        taken = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                taken.append(path.stat().st_size)
        if len(taken) >= self._most_matches or sum(taken) + size > self._most_bytes:
            raise StoreFullError(f"{len(taken)} matches wait in {self._folder} already")
        if shutil.disk_usage(self._folder).free < MIN_FREE_BYTES + size:
            raise StoreFullError(f"the disk of {self._folder} is full")


def _encoded(match: AnsweredMatch) -> bytes:
    parts = [(one.vector.astype("<f4").tobytes(), chip) for chip, one in match.chips]
    rest = b"".join(vector + chip for vector, chip in parts)
    head = {
        "record": match.record.model_dump_json(),
        "sightings": [one.sighting.model_dump_json() for _, one in match.chips],
        "sizes": [(len(vector), len(chip)) for vector, chip in parts],
        "sha256": hashlib.sha256(rest).hexdigest(),
    }
    return json.dumps(head).encode() + b"\n" + rest


def _decoded(data: bytes) -> AnsweredMatch:
    """Return the match of a file; raise ValueError, KeyError or TypeError if it is damaged."""
    line, _, rest = data.partition(b"\n")
    head = json.loads(line)
    if hashlib.sha256(rest).hexdigest() != head["sha256"]:
        raise ValueError("its content does not match its digest")
    chips = []
    for text, (vector_bytes, chip_bytes) in zip(head["sightings"], head["sizes"], strict=True):
        vector = np.frombuffer(rest[:vector_bytes], dtype="<f4").astype(np.float32)
        chip, rest = rest[vector_bytes:][:chip_bytes], rest[vector_bytes + chip_bytes :]
        chips.append((chip, EmbeddedSighting(Sighting.model_validate_json(text), vector)))
    return AnsweredMatch(chips, MatchRecord.from_record(head["record"]))
