"""Points in an SQLite file: `point` has the columns of filters, `content` the payloads.

Both are apart, so that a filter reads narrow rows only. Words that a filter looks for are in a
column of `point` and nowhere else, so that the digest of a record covers them; all other fields are
in `content`, as compressed JSON. The table `word` finds points by fields that hold several words.
The vectors of points that have one are in the table `vector`; a change of fields leaves it alone.
"""

import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.storage.points.archive import EmbeddedPoint
from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.paging import next_id
from service.storage.points.payloads import Payload, Point
from service.storage.sqlite.database import Database
from service.storage.sqlite.filters import as_expression, column, marks

SCAN_BATCH = 256
"""Rows that are read at a time: no transaction is open in between."""

IDS_AT_ONCE = 500
COMPRESSION = 1

Row = tuple[UUID, Payload]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a payload that filters name.

    Attributes:
        words: fields with one word or time.
        indexed: those of `words` that few points have, or few of them alike.
        lists: fields with one word or several.
        positions: fields with `lat` and `lon`.
    """

    words: tuple[str, ...]
    indexed: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()

    @property
    def numbers(self) -> list[str]:
        """The columns of positions."""
        return [f"{key}.{axis}" for key in self.positions for axis in ("lat", "lon")]

    def schema(self) -> list[str]:
        """Return the statements that create the tables."""
        columns = [f'"{key}" TEXT' for key in self.words] + [f'"{n}" REAL' for n in self.numbers]
        indexes = [(key, f'"{key}"') for key in self.indexed]
        indexes += [(f"{key}.lat", f'"{key}.lat", "{key}.lon"') for key in self.positions]
        return [
            "CREATE TABLE IF NOT EXISTS point "
            f"(id BLOB PRIMARY KEY, {', '.join(columns)}) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS content (id BLOB NOT NULL UNIQUE, payload BLOB)",
            "CREATE TABLE IF NOT EXISTS word (field TEXT, word TEXT, id BLOB, "
            "PRIMARY KEY (field, word, id)) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS vector (id BLOB NOT NULL UNIQUE, numbers BLOB)",
            "CREATE INDEX IF NOT EXISTS words_of ON word (id)",
            *(
                f'CREATE INDEX IF NOT EXISTS "of {name}" ON point ({on}) WHERE "{name}" IS NOT NULL'
                for name, on in indexes
            ),
        ]


class PointTable:
    """A `RecordCollection` in a file. Safe to call from many threads."""

    def __init__(self, path: Path, fields: Fields) -> None:
        """Open the file or create it; see `Database`."""
        self._fields = fields
        self._columns = (*fields.words, *fields.numbers)
        self._database = Database(path, fields.schema())
        self._words_read = ", ".join(map(column, fields.words))

    def put(self, points: Sequence[Point]) -> None:
        if points:
            with self._database.writing() as writer:
                self._put(writer, points)

    def set_fields(self, ids: Collection[UUID], fields: Payload) -> None:
        self.set_fields_of_each(dict.fromkeys(ids, fields))

    def set_fields_of_each(self, fields: Mapping[UUID, Payload]) -> None:
        """Set fields of the payload of those of these points that exist, all or none."""
        with self._database.writing() as writer:
            rows = [row for some in _groups(fields) for row in self._select(writer, some)]
            self._put(writer, [Point(i, None, row | fields[i]) for i, row in rows])

    def delete(self, ids: Collection[UUID], where: Condition | None = None) -> None:
        if not ids:
            return
        text, values = as_expression(where or EVERYTHING, self._fields.lists)
        with self._database.writing() as writer:
            for some in _groups(ids):
                deleted = writer.execute(
                    f"DELETE FROM point WHERE id IN ({marks(some)}) AND {text} RETURNING id",
                    [*(i.bytes for i in some), *values],
                ).fetchall()
                for table in ("content", "word", "vector"):
                    writer.executemany(f"DELETE FROM {table} WHERE id = ?", deleted)

    def retrieve(self, ids: Collection[UUID]) -> list[Payload]:
        return list(self.fetch(ids).values())

    def fetch(self, ids: Collection[UUID]) -> dict[UUID, Payload]:
        """Return the payloads of the points that exist among `ids`, by id."""
        return dict(row for some in _groups(ids) for row in self._select(self._database, some))

    def fetch_with_vectors(self, ids: Collection[UUID]) -> list[EmbeddedPoint]:
        """Return id, vector, float32 `[D]`, and payload of the points that exist among `ids`."""
        return self._with_vectors([*self.fetch(ids).items()])

    def page(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        """Return at most `limit` payloads in order of id, from `start` on."""
        return [row for _, row in self._page(where, start, limit)]

    def scan(
        self, where: Condition = EVERYTHING, fields: list[str] | None = None
    ) -> Iterator[tuple[UUID, Payload]]:
        for rows in self._batches(where, fields):
            yield from rows

    def scan_with_vectors(
        self, where: Condition = EVERYTHING, fields: list[str] | None = None
    ) -> Iterator[EmbeddedPoint]:
        """Yield id, vector, float32 `[D]`, and payload (or only these fields) of points."""
        for rows in self._batches(where, fields):
            yield from self._with_vectors(rows)

    def count(self, where: Condition) -> int:
        text, values = as_expression(where, self._fields.lists)
        [(number,)] = self._database.read(f"SELECT count(*) FROM point WHERE {text}", values)
        return int(number)

    def ping(self) -> None:
        """Raise the error that a change would raise now."""
        self._database.ping()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._database.close()

    def _batches(self, where: Condition, fields: list[str] | None) -> Iterator[list[Row]]:
        read = self._page
        if fields is not None and set(fields) <= {*self._fields.words}:
            read = partial(self._narrow_page, fields)
        start: UUID | None = None
        while True:
            rows = read(where, start, SCAN_BATCH)
            yield rows
            if len(rows) < SCAN_BATCH:
                return
            start = next_id(rows[-1][0])

    def _put(self, writer: Connection, points: Sequence[Point]) -> None:
        contents, words, vectors = [], [], []
        for one in points:
            rest = {k: v for k, v in one.payload.items() if k not in self._fields.words}
            packed = zlib.compress(json.dumps(rest).encode(), COMPRESSION)
            contents.append((one.id.bytes, packed))
            for key in self._fields.lists:
                words += [(key, word, one.id.bytes) for word in _several(rest.get(key))]
            if one.vector is not None:
                vectors.append((one.id.bytes, np.array(one.vector, "<f4").tobytes()))
        writer.executemany(
            f"INSERT OR REPLACE INTO point VALUES (?, {marks(self._columns)})",
            [(one.id.bytes, *self._values(one.payload)) for one in points],
        )
        writer.executemany("INSERT OR REPLACE INTO content (id, payload) VALUES (?, ?)", contents)
        writer.executemany("INSERT OR REPLACE INTO vector (id, numbers) VALUES (?, ?)", vectors)
        if self._fields.lists:
            writer.executemany("DELETE FROM word WHERE id = ?", [row[:1] for row in contents])
            writer.executemany("INSERT OR IGNORE INTO word VALUES (?, ?, ?)", words)

    def _values(self, payload: Mapping[str, Any]) -> Iterator[str | float | None]:
        for key in self._fields.words:
            value = payload.get(key)
            yield None if value is None else str(value)
        for key in self._fields.positions:
            place = payload.get(key) or {}
            yield from (place.get("lat"), place.get("lon"))

    def _page(self, where: Condition, start: UUID | None, limit: int) -> list[Row]:
        text, values = as_expression(where, self._fields.lists)
        first = (start or UUID(int=0)).bytes
        # The ids first: were there something to sort, it would not be whole contents.
        chosen = f"SELECT id FROM point WHERE {text} AND id >= ? ORDER BY id LIMIT ?"
        return self._rows(self._database.read(self._whole(chosen), [*values, first, limit]))

    def _narrow_page(
        self, fields: list[str], where: Condition, start: UUID | None, limit: int
    ) -> list[Row]:
        text, values = as_expression(where, self._fields.lists)
        rows = self._database.read(
            f"SELECT id, {', '.join(map(column, fields))} FROM point "
            f"WHERE {text} AND id >= ? ORDER BY id LIMIT ?",
            [*values, (start or UUID(int=0)).bytes, limit],
        )
        return [(UUID(bytes=i), dict(zip(fields, words, strict=True))) for i, *words in rows]

    def _with_vectors(self, rows: Sequence[Row]) -> list[EmbeddedPoint]:
        """Add vectors to rows; leave out points that were deleted in the meantime.

        A vector that is missing or too short by damage does not match its digest.
        """
        found: dict[bytes, NDArray[np.float32]] = {}
        for some in _groups([i for i, _ in rows]):
            statement = (
                "SELECT id, numbers FROM point LEFT JOIN vector USING (id) "
                f"WHERE id IN ({marks(some)})"
            )
            for point_id, numbers in self._database.read(statement, [i.bytes for i in some]):
                found[point_id] = np.frombuffer(numbers or b"", "<f4", len(numbers or b"") // 4)
        return [(i, found[i.bytes], row) for i, row in rows if i.bytes in found]

    def _select(self, source: Connection | Database, ids: Sequence[UUID]) -> list[Row]:
        statement = self._whole(f"SELECT id FROM point WHERE id IN ({marks(ids)})")
        values = [i.bytes for i in ids]
        if isinstance(source, Database):
            return self._rows(source.read(statement, values))
        return self._rows(source.execute(statement, values))

    def _whole(self, chosen: str) -> str:
        return (
            f"SELECT id, payload, {self._words_read} FROM ({chosen}) "
            "JOIN point USING (id) LEFT JOIN content USING (id) ORDER BY id"
        )

    def _rows(self, rows: Iterable[Sequence[Any]]) -> list[Row]:
        return [
            (
                UUID(bytes=point_id),
                _unpacked(packed) | dict(zip(self._fields.words, words, strict=True)),
            )
            for point_id, packed, *words in rows
        ]


def _unpacked(packed: bytes | None) -> Payload:
    """Return a payload; an empty one if it is damaged, which then lacks its record."""
    try:
        payload: Payload = json.loads(zlib.decompress(packed or b""))
    except (zlib.error, ValueError):
        return {}
    return payload


def _several(words: str | list[str] | None) -> list[str]:
    """Return the words of a field with one word or several."""
    if words is None:
        return []
    return [words] if isinstance(words, str) else words


def _groups(ids: Collection[UUID]) -> Iterator[list[UUID]]:
    listed = list(ids)
    for start in range(0, len(listed), IDS_AT_ONCE):
        yield listed[start : start + IDS_AT_ONCE]
