"""Store digests beside records, and find records that do not match theirs."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.identity.errors import StoreDamagedError
from service.identity.records.checks import RecordCheck

DIGEST, OWNER_DIGEST, VECTOR_DIGEST = "digest", "owner_digest", "vector_digest"
DIGEST_BYTES = 16
DECIMALS = 9
"""Numbers are stored with so many decimals. Qdrant reads numbers of up to 15 digits exactly, but
one in eight of those with 17 digits as the next floating-point number."""

Payload = dict[str, Any]
CheckedRow = tuple[UUID, NDArray[np.float32] | None, Payload]
T = TypeVar("T")

_sorted_json = json.JSONEncoder(sort_keys=True).encode


def with_digest(fields: Payload, under: str = DIGEST) -> Payload:
    """Return the fields, their numbers rounded, with their digest beside them."""
    stored = {
        name: round(value, DECIMALS) if isinstance(value, float) else value
        for name, value in fields.items()
    }
    return {**stored, under: _digest(stored)}


def vector_digest(vector: NDArray[np.float32]) -> Payload:
    """Return the digest of an embedding, float32 `[D]`, as a field."""
    return {VECTOR_DIGEST: _hash(vector.astype("<f4").tobytes())}


def require_intact(
    payload: Mapping[str, Any], names: Sequence[str], kind: str, under: str = DIGEST
) -> None:
    """Check fields of a payload against their digest.

    Args:
        names: the fields that the digest covers.
        under: the field of the digest.

    Raises:
        StoreDamagedError: the fields are not those that were written.
    """
    if payload.get(under) != _digest({name: payload.get(name) for name in names}):
        raise StoreDamagedError(
            f"a stored {kind} is not what was written; `crossfix check` lists damaged records, "
            "restore them from a backup"
        )


def require_intact_vector(vector: NDArray[np.float32], payload: Mapping[str, Any]) -> None:
    """Check an embedding, float32 `[D]`, against its digest; see `require_intact`."""
    if payload.get(VECTOR_DIGEST) != vector_digest(vector)[VECTOR_DIGEST]:
        raise StoreDamagedError(
            "the embedding of a stored sighting is not what was written; `crossfix check` lists "
            "damaged records, restore them from a backup"
        )


def parse_intact(
    payload: Mapping[str, Any], names: Sequence[str], kind: str, parse: Callable[[Any], T]
) -> T:
    """Check a payload and parse its record.

    Args:
        names: the fields that the digest covers; the first of them is the record.

    Raises:
        StoreDamagedError: it is not what was written, or cannot be parsed.
    """
    require_intact(payload, names, kind)
    try:
        return parse(payload[names[0]])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamagedError(
            f"a stored {kind} cannot be read; `crossfix check` lists damaged records, restore "
            "them from a backup"
        ) from error


def check_rows(
    kind: str, rows: Iterable[CheckedRow], parse: Callable[[Payload], object]
) -> list[RecordCheck]:
    """Compare points with their digests.

    Args:
        rows: id, vector and payload of each point.
        parse: parses a payload, or raises StoreDamagedError.
    """
    return [RecordCheck(kind, row[0], _problem(row, parse)) for row in rows]


def _problem(row: CheckedRow, parse: Callable[[Payload], object]) -> str | None:
    _, vector, payload = row
    try:
        parse(payload)
        if vector is not None:
            require_intact_vector(vector, payload)
    except StoreDamagedError as error:
        return str(error)
    return None


def _digest(fields: Mapping[str, Any]) -> str:
    """Return the digest of the fields; stores may drop nulls, and reorder or retype numbers."""
    known = {name: _plain(value) for name, value in fields.items() if value is not None}
    return _hash(_sorted_json(known).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
