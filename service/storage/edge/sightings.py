"""The sightings of one bundle: those of vessels in a shard, open ones in an SQLite file.

Open sightings grow in number with each stored match; in the file they take no memory. A sighting
that gets a vessel or loses it is written to its new place first and then deleted from the other
one. If a crash leaves it in both, the one in the shard counts, and the one in the file is deleted:
the interrupted change, which was not acknowledged, either gave it the vessel or took it away.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from uuid import UUID

from service.contract.batches import in_batches
from service.storage.edge.shard import Shard, upsert
from service.storage.points import payloads
from service.storage.points.archive import EmbeddedPoint
from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.payloads import Payload, Point
from service.storage.sqlite.table import Fields, PointTable

FIELDS = Fields(
    words=(
        payloads.VESSEL_ID,
        payloads.MODALITY,
        payloads.CHIP,
        payloads.UNCOMPARED,
        payloads.GROUP,
        payloads.TENTATIVE,
    ),
    indexed=(payloads.CHIP, payloads.UNCOMPARED, payloads.GROUP, payloads.TENTATIVE),
)
BATCH = 1000


class Watcher:
    """Follows changes of sightings, in the step that makes them visible; this one ignores them."""

    def changing(self, sightings: Collection[UUID]) -> AbstractContextManager[None]:
        """Learn what a block may change, from before its first step until after its last one."""
        del sightings
        return nullcontext()

    def make_room(self, more: int) -> None:
        """Prepare for more sightings; raise what prevents it."""

    def put(self, points: Sequence[Point]) -> None:
        """Follow the insertion or replacement of sightings."""

    def delete(self, ids: Collection[UUID]) -> None:
        """Follow the deletion of sightings, some of which may be absent."""


class BundleSightings:
    """A `PointCollection` in two places. The owner serialises all writing methods.

    Attributes:
        shard: the sightings of vessels.
        open_points: the open sightings, in an SQLite file.
    """

    def __init__(self, shard: Shard, path: Path) -> None:
        """Open the file or create it.

        Args:
            shard: the sightings of vessels; closed with this.

        Raises:
            StoreUnavailableError: the file is damaged, or cannot be used.
            StoreFullError: the disk is full.
        """
        self.shard = shard
        self.open_points = PointTable(path, FIELDS)
        self._lock: AbstractContextManager[object] = nullcontext()
        self._watcher = Watcher()
        try:
            self._drop_copies()
        except BaseException:
            self.open_points.close()
            raise

    def watch(self, lock: AbstractContextManager[object], watcher: Watcher) -> None:
        """Hold a lock in each step that readers see, and report changes."""
        self._lock, self._watcher = lock, watcher

    def put(self, points: Sequence[Point]) -> None:
        """Insert or replace sightings; those that all have a vessel, or none, all or none."""
        owned = [one for one in points if one.payload.get(payloads.VESSEL_ID)]
        open_ones = [one for one in points if not one.payload.get(payloads.VESSEL_ID)]
        self._watcher.make_room(len(points))
        with self._watcher.changing([one.id for one in points]):
            self.open_points.put(open_ones)
            with self._lock:
                if owned:
                    self.shard.apply(upsert(owned))
                left = self.shard.discard([one.id for one in open_ones])
                self._watcher.put(points)
            if owned or left:
                self.shard.sync()
            self.open_points.delete([one.id for one in owned])

    def set_owner(self, ids: Collection[UUID], owner: Payload) -> None:
        """Set the fields of the owner of those of these sightings that exist."""
        rows = self.fetch_with_vectors(ids)
        self.put([Point(i, vector.tolist(), row | owner) for i, vector, row in rows])

    def delete(self, ids: Collection[UUID], where: Condition | None = None) -> None:
        with self._watcher.changing(ids):
            self.open_points.delete(ids, where)
            with self._lock:
                gone = self.shard.discard(ids, where)
                self._watcher.delete(ids)
            if gone:
                self.shard.sync()

    def set_fields(self, ids: Collection[UUID], fields: Payload) -> None:
        """Set fields other than that of the vessel."""
        self.shard.set_fields(ids, fields)
        self.open_points.set_fields(ids, fields)

    def retrieve(self, ids: Collection[UUID]) -> list[Payload]:
        with self._lock:
            return list((self.open_points.fetch(ids) | self.shard.fetch(ids)).values())

    def fetch_with_vectors(self, ids: Collection[UUID]) -> list[EmbeddedPoint]:
        """Return id, vector, float32 `[D]`, and payload of the points that exist among `ids`."""
        with self._lock:
            owned = self.shard.fetch_with_vectors(ids)
            others = {*ids} - {i for i, _, _ in owned}
            return [*owned, *self.open_points.fetch_with_vectors(others)]

    def scan(
        self, where: Condition = EVERYTHING, fields: list[str] | None = None
    ) -> Iterator[tuple[UUID, Payload]]:
        yield from self.shard.scan(where, fields)
        yield from self.open_points.scan(where, fields)

    def scan_with_vectors(self, where: Condition) -> Iterator[EmbeddedPoint]:
        yield from self.shard.scan_with_vectors(where)
        yield from self.open_points.scan_with_vectors(where)

    def count(self, where: Condition) -> int:
        return self.shard.count(where) + self.open_points.count(where)

    def ping(self) -> None:
        """Raise the error that a change would raise now."""
        self.shard.ping()
        self.open_points.ping()

    def close(self) -> None:
        """Close both."""
        self.open_points.close()
        self.shard.close()

    def _drop_copies(self) -> None:
        ids = (i for i, _ in self.open_points.scan(fields=[payloads.MODALITY]))
        for some in in_batches(ids, BATCH):
            self.open_points.delete(self.shard.existing(some))
