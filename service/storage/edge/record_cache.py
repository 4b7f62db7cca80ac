"""Records that searches read and found intact, kept as long as nobody writes them."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from uuid import UUID

from service.storage.edge.shard import Shard
from service.storage.points import payloads
from service.storage.sqlite.table import PointTable

T = TypeVar("T")

MOST_CHARACTERS = 12 * 2**20
"""Of stored JSON in all. A record takes four times as much memory as its JSON has characters."""


class RecordCache(Generic[T]):
    """The records that were used last. For one thread at a time.

    A writer drops the records that it changes, in the same step. Damage to a stored record is found
    when it is read first; later, by the check in the background and before it is shown.
    """

    def __init__(
        self,
        records: Shard | PointTable,
        parse: Callable[[payloads.Payload], T],
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        """Start empty.

        Args:
            parse: checks and parses a payload, or raises StoreDamagedError.
            most_characters: of the JSON of all records that are kept.
        """
        self._records = records
        self._parse = parse
        self._most = most_characters
        self._kept: OrderedDict[bytes, tuple[T, int]] = OrderedDict()
        self._characters = 0

    def get(self, ids: Iterable[bytes]) -> dict[bytes, T]:
        """Return the records that exist among `ids`, each the 16 bytes of a UUID.

        Raises:
            StoreDamagedError: a record that was read is not what was written.
        """
        found, missing = dict[bytes, T](), list[UUID]()
        for one in ids:
            kept = self._kept.get(one)
            if kept is None:
                missing.append(UUID(bytes=one))
            else:
                self._kept.move_to_end(one)
                found[one] = kept[0]
        if missing:
            for record_id, row in self._records.fetch(missing).items():
                record, size = self._parse(row), len(row[payloads.RECORD])
                found[record_id.bytes] = record
                self._kept[record_id.bytes] = record, size
                self._characters += size
        while self._characters > self._most:
            self._characters -= self._kept.popitem(last=False)[1][1]
        return found

    def drop(self, ids: Iterable[UUID]) -> None:
        """Forget records that are written."""
        for one in ids:
            self._characters -= self._kept.pop(one.bytes, (None, 0))[1]
