"""The match records of a backup: `matches.jsonl`, one record a line."""

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from service.identity.errors import StoreUnavailableError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import MatchRecord
from service.maintenance.progress import Progress

MATCHES = "matches.jsonl"


def write_matches(
    folder: Path,
    matches: MatchStore,
    archive: GalleryArchive,
    sightings: Collection[UUID],
    now: datetime,
) -> int:
    """Write the match records, after the sightings, and return their number.

    Services may run meanwhile. A match whose query sighting was written too late for the backup is
    left out; a match whose sighting was deleted is written. A judgement made since the backup began
    may have moved a sighting that was read before: the record is marked as unsettled, so that the
    service that opens the restored gallery moves the sighting.

    Args:
        archive: the gallery, to look up which sightings exist now.
        now: when the backup began, UTC.
    """
    judged_since: list[MatchRecord] = []
    count, bundles = 0, list(archive.bundles())

    def exists(sighting_id: UUID) -> bool:
        return any(archive.get_sightings(bundle, [sighting_id]) for bundle in bundles)

    with (folder / MATCHES).open("w", encoding="utf-8") as file:
        for record in matches.all():
            if any(one not in sightings and exists(one) for one in record.match.sighting_ids):
                continue
            count += 1
            if record.judgements and record.judgements[-1].at >= now:
                judged_since.append(record)
            else:
                file.write(record.model_dump_json() + "\n")
        marked = _mark_latest_unsettled(judged_since)
        file.writelines(record.model_dump_json() + "\n" for record in marked)
    return count


def restore_matches(folder: Path, matches: MatchStore, advance: Progress) -> None:
    """Restore the match records; `advance` receives the number restored."""
    for record in _read(folder):
        matches.put(record)
        advance(1)


def compare_matches(folder: Path, matches: MatchStore) -> None:
    """Read the records back; raise StoreUnavailableError if they differ from the backup."""
    count = 0
    for record in _read(folder):
        count += 1
        if matches.get(record.id) != record:
            raise StoreUnavailableError(
                f"match {record.id} differs from the backup after the restore"
            )
    if sum(1 for _ in matches.all()) != count:
        raise StoreUnavailableError("there are more matches than were restored")


def _mark_latest_unsettled(records: Collection[MatchRecord]) -> Iterator[MatchRecord]:
    """Mark the record that moved each sighting last."""
    moving = [record for record in records if record.moves_sighting]
    by_time = sorted(moving, key=lambda record: record.judgements[-1].at)
    latest = {one: record.id for record in by_time for one in record.match.sighting_ids}
    for record in records:
        is_latest = any(latest.get(one) == record.id for one in record.match.sighting_ids)
        yield record.model_copy(update={"unsettled": True}) if is_latest else record


def _read(folder: Path) -> Iterator[MatchRecord]:
    with (folder / MATCHES).open(encoding="utf-8") as file:
        for line in file:
            yield MatchRecord.from_record(line)
