"""Keys in a JSON file: written by `crossfix keys`, read by every replica that mounts it."""

import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from service.access.keys import KeyRecord, KeyRing, make_key
from service.access.roles import Role
from service.contract.durable_files import sync_folder
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError

log = logging.getLogger("crossfix.keys")

LOOK_EVERY_S = 1.0

Signature = tuple[int, int, int]


class KeyFileError(StoreUnavailableError):
    """The key file cannot be read or written."""


class _KeyDocument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    keys: tuple[KeyRecord, ...] = ()


class KeyFile:
    """A `KeyStore` in a file that may change while it is in use.

    It is replaced as a whole, so readers never see half of it. An absent file has no keys.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Args:
            path: the file; need not exist.
            clock: monotonic seconds.

        Raises:
            KeyFileError: it is there but cannot be read.
        """
        self._path = path
        self._clock = clock
        self._seen = _signature(path)
        self._ring = KeyRing(_read(path))
        self._look_at = clock() + LOOK_EVERY_S

    def ring(self) -> KeyRing:
        """The keys, at most a second old.

        When the file vanishes or is damaged, the last known keys go on to count: losing the file
        must neither open the service nor lock everybody out.
        """
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._look()
        return self._ring

    def create(
        self, name: str, role: Role, now: datetime, expires_at: datetime | None = None
    ) -> tuple[KeyRecord, str]:
        """Add a key.

        Returns:
            what is kept of it, and the key itself, which cannot be had again.

        Raises:
            ConflictError: a usable key has this name.
            KeyFileError: the file cannot be read or written.
        """
        with self._changing() as records:
            if any(one.name == name and one.usable(now) for one in records):
                raise ConflictError(
                    f"a key named {name!r} exists; revoke it first or choose another name"
                )
            record, key = make_key(name, role, now, expires_at)
            self._write([*records, record])
        return record, key

    def revoke(self, key_id: str, now: datetime) -> KeyRecord:
        """Have a key open nothing any more; its record stays, to tell whose it was.

        Raises:
            NotFoundError: no such key.
            KeyFileError: the file cannot be read or written.
        """
        with self._changing() as records:
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

    def _look(self) -> None:
        """Take the file up again when it is another one than before."""
        seen = _signature(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        if seen is None:
            log.error("the key file %s is gone; the last known keys go on to count", self._path)
            return
        try:
            self._ring = KeyRing(_read(self._path))
        except KeyFileError as error:
            log.error("%s; the last known keys go on to count", error)
            return
        log.info("took up %d keys from %s", len(self._ring.records), self._path)

    @contextmanager
    def _changing(self) -> Iterator[tuple[KeyRecord, ...]]:
        """The present records, while no other process changes them."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(f"{self._path.name}.lock"), _LOCK_FLAGS, 0o600)
        except OSError as error:
            raise KeyFileError(f"the key file {self._path} cannot be changed: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield _read(self._path)
        finally:
            os.close(lock)

    def _write(self, records: Sequence[KeyRecord]) -> None:
        """Replace the file as a whole; readable by its owner alone."""
        text = _KeyDocument(keys=tuple(records)).model_dump_json(indent=2) + "\n"
        folder, name = self._path.parent, ""
        try:
            handle, name = tempfile.mkstemp(dir=folder, prefix=f".{self._path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
            sync_folder(folder)
        except OSError as error:
            with suppress(OSError):
                os.unlink(name)
            raise KeyFileError(f"the key file {self._path} cannot be written: {error}") from error


_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


def _signature(path: Path) -> Signature | None:
    """What changes when the file is replaced; None while it cannot be seen."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def _read(path: Path) -> tuple[KeyRecord, ...]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error}") from error
    try:
        return _KeyDocument.model_validate(json.loads(text)).keys
    except (ValidationError, ValueError, RecursionError) as error:
        raise KeyFileError(
            f"the key file {path} is damaged; restore it from a backup, or remove it and make "
            f"new keys: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
