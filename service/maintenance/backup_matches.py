"""The part of a backup that holds remembered matches: `matches.jsonl`, one a line.

A backup of before matches were remembered has no such file, and restores none.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from service.identity.errors import StoreUnavailableError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import MatchRecord

MATCHES = "matches.jsonl"


def write_matches(
    folder: Path,
    matches: MatchStore,
    archive: GalleryArchive,
    sightings: Collection[UUID],
    now: datetime,
) -> int:
    """Write the matches after the sightings, and return their number; services may go on meanwhile.

    A match whose query sighting came too late for the backup is left out with it; one whose
    sighting was deleted is kept. What was judged since the backup began may be about a sighting
    that was read before: it is marked unsettled, so that the service that opens the restored
    gallery moves the sighting.

    Args:
        folder: of the backup.
        matches: those that are remembered.
        archive: tells which sightings there are by now.
        sightings: ids of those that are part of the backup.
        now: when the backup began, UTC.
    """
    late: list[MatchRecord] = []
    count, bundles = 0, list(archive.bundles())

    def is_there(sighting_id: UUID) -> bool:
        return any(archive.get_sightings(bundle, [sighting_id]) for bundle in bundles)

    with (folder / MATCHES).open("w") as file:
        for kept in matches.all():
            query_id = kept.match.query.id
            if query_id not in sightings and is_there(query_id):
                continue
            count += 1
            if kept.judgements and kept.judgements[-1].at >= now:
                late.append(kept)
            else:
                file.write(kept.model_dump_json() + "\n")
        file.writelines(kept.model_dump_json() + "\n" for kept in _marked(late))
    return count


def restore_matches(folder: Path, matches: MatchStore, advance: Callable[[int], None]) -> None:
    """Put them back; `advance` is told of each."""
    for kept in _read(folder):
        matches.put(kept)
        advance(1)


def compare_matches(folder: Path, matches: MatchStore) -> None:
    """Read them back; raises StoreUnavailableError where they differ from the backup."""
    count = 0
    for kept in _read(folder):
        count += 1
        if matches.get(kept.id) != kept:
            raise StoreUnavailableError(f"match {kept.id} was not restored as it was")
    if sum(1 for _ in matches.all()) != count:
        raise StoreUnavailableError("there are more matches than were restored")


def _marked(late: Collection[MatchRecord]) -> Iterator[MatchRecord]:
    """With the latest judgement of each sighting unsettled; earlier ones move nothing any more."""
    latest = {
        kept.match.query.id: kept.id for kept in sorted(late, key=lambda one: one.judgements[-1].at)
    }
    for kept in late:
        mark = latest[kept.match.query.id] == kept.id
        yield kept.model_copy(update={"unsettled": True}) if mark else kept


def _read(folder: Path) -> Iterator[MatchRecord]:
    if (folder / MATCHES).exists():
        with (folder / MATCHES).open() as file:
            for line in file:
                yield MatchRecord.from_record(line)
