"""API keys in a JSON file, written by `crossfix keys` and read by every replica."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.access.keys import KeyRecord, KeyRing, make_key
from service.access.roles import Role
from service.access.strict_json import parse_json
from service.contract.durable_files import replace_file
from service.contract.errors import CrossfixError
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError
from service.storage.local.gallery_marker import GalleryMarker

log = logging.getLogger("crossfix.keys")

CHECK_EVERY_S = 1.0
LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC

Signature = tuple[int, int, int]


class KeyFileError(StoreUnavailableError):
    """The key file cannot be read or written."""


class _KeyDocument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    keys: tuple[KeyRecord, ...] = Field(min_length=1)
    """Revoked keys stay, so a file that was ever written has some."""

    @field_validator("keys")
    @classmethod
    def _ids_differ(cls, keys: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
        if len({record.id for record in keys}) < len(keys):
            raise ValueError("two keys have one id, so that it is open which role holds")
        return keys


class KeyFile:
    """A `KeyStore` in a file that may change while it is in use.

    Writers replace the file as a whole, so readers never see half of it. A missing file has no
    keys; a file without keys is damaged.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        made: GalleryMarker | None = None,
    ) -> None:
        """Read the file.

        Args:
            path: the file; it need not exist.
            made: the marker that keys were made, outside the file.

        Raises:
            KeyFileError: it exists and cannot be read.
        """
        self._path = path
        self._clock = clock
        self._made = made
        self._signature = _signature(path)
        self._ring = KeyRing(_read(path))
        self._check_at = clock() + CHECK_EVERY_S

    def require_kept(self) -> None:
        """Check that the file was not lost since keys were made; set the marker if there are keys.

        Raises:
            KeyFileError: keys were made, and the file is missing.
            StoreUnavailableError, StoreFullError: the marker cannot be read or written.
        """
        if self._made is None:
            return
        if self._ring.requires_key:
            self._made.set()
        elif self._made.is_set():
            raise KeyFileError(
                f"API keys were made for this service, but the key file {self._path} is missing; "
                "restore it, correct CROSSFIX_KEYS_FILE, or make a new key with `crossfix keys "
                "create`"
            )

    def ring(self) -> KeyRing:
        """Return the keys of the file as it was at most `CHECK_EVERY_S` ago.

        When the file is removed or damaged, the last known keys stay valid: losing the file must
        neither open the service to everybody nor lock everybody out.
        """
        now = self._clock()
        if now >= self._check_at:
            self._check_at = now + CHECK_EVERY_S
            self._reload_if_changed()
        return self._ring

    def create(
        self, name: str, role: Role, now: datetime, expires_at: datetime | None = None
    ) -> tuple[KeyRecord, str]:
        """Add a key; return the record of the key, and the key itself, which cannot be shown again.

        Raises:
            ConflictError: a usable key has this name.
            StoreUnavailableError, StoreFullError: the file or the marker cannot be read or written.
        """
        with self._locked_records() as records:
            if any(one.name == name and one.usable(now) for one in records):
                raise ConflictError(
                    f"a key named {name!r} exists; revoke it first or choose another name"
                )
            record, key = make_key(name, role, now, expires_at)
            if self._made is not None:
                self._made.set()
            self._write([*records, record])
        return record, key

    def revoke(self, key_id: str, now: datetime) -> KeyRecord:
        """Revoke a key; its record stays, to show whose it was.

        Raises:
            NotFoundError: there is no such key.
            KeyFileError: the file cannot be read or written.
        """
        with self._locked_records() as records:
            found = next((one for one in records if one.id == key_id), None)
            if found is None:
                raise NotFoundError(
                    f"no key has the id {key_id!r}; `crossfix keys list` shows them"
                )
            if found.revoked_at is not None:
                return found
            revoked = found.model_copy(update={"revoked_at": now})
            self._write([revoked if one.id == key_id else one for one in records])
        return revoked

    def _reload_if_changed(self) -> None:
        """Read the file again if it was replaced."""
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        if signature is None:
            log.error("the key file %s is missing; the last known keys stay valid", self._path)
            return
        try:
            ring = KeyRing(_read(self._path))
        except KeyFileError as error:
            log.error("%s; the last known keys stay valid", error)
            return
        first, self._ring = not self._ring.requires_key, ring
        if first and self._made is not None:
            try:
                self._made.set()
            except CrossfixError as error:
                log.error("it could not be noted that keys were made: %s", error)
        log.info("read %d keys from %s", len(self._ring.records), self._path)

    @contextmanager
    def _locked_records(self) -> Iterator[tuple[KeyRecord, ...]]:
        """Yield the records, while no other process can change them."""
        path = self._path.resolve()  # a symbolic link stays, and its target changes for all readers
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path.with_name(f"{path.name}.lock"), LOCK_FLAGS, 0o600)
        except OSError as error:
            raise KeyFileError(f"the key file {self._path} cannot be changed: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield _read(self._path)
        finally:
            os.close(lock)

    def _write(self, records: Sequence[KeyRecord]) -> None:
        """Replace the file as a whole; only its owner can read it."""
        text = _KeyDocument(version=1, keys=tuple(records)).model_dump_json(indent=2) + "\n"
        try:
            replace_file(self._path.resolve(), text, mode=0o600)
        except OSError as error:
            raise KeyFileError(f"the key file {self._path} cannot be written: {error}") from error


def _signature(path: Path) -> Signature | None:
    """Return numbers that change when the file is replaced; None if it cannot be found."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> tuple[KeyRecord, ...]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error}") from error
    try:
        return _KeyDocument.model_validate(parse_json(text)).keys
    except ValueError as error:
        raise KeyFileError(
            f"the key file {path} is damaged; restore it from a backup, or remove it and make "
            f"new keys: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
