"""Match records in a backup, also those written or judged meanwhile."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.identity.errors import ConflictError, StoreUnavailableError
from service.identity.records.match_records import Decision, MatchRecord
from service.identity.records.sightings import Sighting
from service.maintenance.backup import BackupStores, back_up
from service.maintenance.restore import restore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.match_records import make_match_record, with_judgement
from tests.support.fakes.records import START, embedded
from tests.support.stores import OLD, Site, enrol, stores

LATER = START + timedelta(days=1)
"""After the judgements that `with_judgement` makes."""


def add_query(site: Site, chips: FakeChipStore) -> Sighting:
    """Add a sighting without a vessel, as a match does."""
    gallery = site.service()
    query = embedded(0.5, chip_sha256=chips.put(str(len(chips.data)).encode()), modality="sar")
    gallery.put_sightings([query], None)
    gallery.close()
    return query.sighting


def put_records(site: Site, *records: MatchRecord) -> None:
    matches = site.matches()
    for record in records:
        matches.put(record)
    matches.close()


def restore_records(folder: Path, target: BackupStores) -> dict[object, MatchRecord]:
    restore(folder, target)
    return {record.id: record for record in target.matches.all()}


def write_backup(site: Site, chips: FakeChipStore, folder: Path) -> Path:
    source = stores(site, chips, folder)
    back_up(source, folder / "backup", LATER)
    source.close()
    return folder / "backup"


@pytest.mark.parametrize("into", ["edge", "memory"])
def test_matches_are_restored_into_either_storage(
    site: Site, chips: FakeChipStore, fresh: Callable[[str], Site], tmp_path: Path, into: str
) -> None:
    vessel = enrol(site, chips, [1])
    first = with_judgement(
        make_match_record([vessel], add_query(site, chips)), Decision.CONFIRMED, vessel
    )
    others = [make_match_record([vessel], add_query(site, chips)) for _ in range(3)]
    of_a_deleted_chip = with_judgement(make_match_record(), Decision.REJECTED)
    put_records(site, first, *others, of_a_deleted_chip)
    source = stores(site, chips, tmp_path)
    counts = back_up(source, tmp_path / "backup", LATER)
    source.close()
    assert counts.matches == 5
    target = stores(fresh(into), FakeChipStore(), tmp_path / "there")
    found = restore_records(tmp_path / "backup", target)
    assert found == {one.id: one for one in (first, *others, of_a_deleted_chip)}
    target.close()


def test_a_match_made_meanwhile_is_left_out_with_its_sighting(
    site: Site, chips: FakeChipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = enrol(site, chips, [1])
    early = make_match_record([vessel], add_query(site, chips))
    put_records(site, early)
    source = stores(site, chips, tmp_path)
    late = embedded(0.5)
    read = source.archive.vessels

    def read_and_match() -> Iterator[object]:
        source.archive.put_sightings(OLD, [late], {})
        source.matches.put(make_match_record([vessel], late.sighting))
        yield from read()

    monkeypatch.setattr(source.archive, "vessels", read_and_match)
    counts = back_up(source, tmp_path / "backup", LATER)
    assert (counts.matches, counts.sightings) == (1, {OLD: 2})
    assert str(early.id) in (tmp_path / "backup" / "matches.jsonl").read_text()
    source.close()


def test_the_latest_confirmation_made_meanwhile_is_marked_unsettled(
    site: Site, chips: FakeChipStore, fresh: Callable[[str], Site], tmp_path: Path
) -> None:
    vessel = enrol(site, chips, [1])
    shared = add_query(site, chips)
    before = with_judgement(make_match_record(query=add_query(site, chips)), Decision.REJECTED)
    earlier = with_judgement(
        make_match_record(query=shared, asked_at=LATER), Decision.CONFIRMED, vessel
    )
    latest = with_judgement(
        make_match_record(query=shared, asked_at=LATER + timedelta(hours=1)),
        Decision.CONFIRMED,
        vessel,
    )
    rejected = with_judgement(
        make_match_record(query=shared, asked_at=LATER + timedelta(hours=2)), Decision.REJECTED
    )
    untouched = make_match_record(query=shared)
    put_records(site, latest, before, earlier, untouched, rejected)
    backup = write_backup(site, chips, tmp_path)
    target = stores(fresh("memory"), FakeChipStore(), tmp_path / "there")
    found = restore_records(backup, target)
    assert len(found) == 5
    assert target.matches.unsettled() == [latest.model_copy(update={"unsettled": True})]
    assert found[earlier.id] == earlier
    target.close()


def test_missing_matches_are_reported_before_anything_is_restored(
    site: Site, chips: FakeChipStore, fresh: Callable[[str], Site], tmp_path: Path
) -> None:
    enrol(site, chips, [1])
    backup = write_backup(site, chips, tmp_path)
    (backup / "matches.jsonl").unlink()
    target = stores(fresh("memory"), FakeChipStore(), tmp_path / "there")
    with pytest.raises(StoreUnavailableError, match=r"matches\.jsonl is missing"):
        restore(backup, target)
    assert list(target.archive.vessels()) == []
    target.close()


def test_matches_are_not_restored_over_existing_ones(
    site: Site, chips: FakeChipStore, fresh: Callable[[str], Site], tmp_path: Path
) -> None:
    enrol(site, chips, [1])
    backup = write_backup(site, chips, tmp_path)
    target = stores(fresh("memory"), FakeChipStore(), tmp_path / "there")
    target.matches.put(make_match_record())
    with pytest.raises(ConflictError, match="match records already"):
        restore(backup, target)
    target.close()


def test_a_match_that_is_read_back_different_is_reported(
    site: Site,
    chips: FakeChipStore,
    fresh: Callable[[str], Site],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enrol(site, chips, [1])
    put_records(site, make_match_record())
    backup = write_backup(site, chips, tmp_path)
    target = stores(fresh("memory"), FakeChipStore(), tmp_path / "there")
    put = target.matches.put

    def put_changed(record: MatchRecord) -> None:
        put(record.model_copy(update={"asked_by": "another analyst"}))

    monkeypatch.setattr(target.matches, "put", put_changed)
    with pytest.raises(StoreUnavailableError, match="differs from the backup"):
        restore(backup, target)
    target.close()
