"""Old unjudged matches and open sightings are deleted; what was judged or assigned stays."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from service.identity.audit_trail import AuditTrail
from service.identity.records.match_records import Decision
from service.identity.records.vessels import VesselState
from service.maintenance.retention import (
    SIGHTINGS_AT_ONCE,
    Retained,
    RetentionLimits,
    apply_retention,
)
from service.storage.audit.check import read_entries
from service.storage.audit.log import open_audit_log
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.match_records import make_match_record, with_judgement
from tests.support.fakes.records import START, embedded, make_vessel
from tests.support.stores import OLD, Site, enrol

DAYS = 30


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (RetentionLimits(), [0, 1, 2, 3]),
        (RetentionLimits(match_age=timedelta(days=DAYS / 2 + 1)), [2, 3]),
        (RetentionLimits(matches=1), [3]),
        (RetentionLimits(matches=3, match_age=timedelta(days=1)), [3]),
    ],
)
def test_matches_are_deleted_by_age_and_number(
    site: Site, tmp_path: Path, limits: RetentionLimits, kept: list[int]
) -> None:
    gallery, matches = site.service(), site.matches()
    log = open_audit_log(tmp_path / "audit", "one")
    records = [
        make_match_record(asked_at=START + timedelta(days=number * DAYS / 3)) for number in range(4)
    ]
    judged = with_judgement(
        make_match_record(asked_at=START - timedelta(days=1)), Decision.REJECTED
    )
    for record in (judged, *records):
        matches.put(record)
    now = START + timedelta(days=DAYS, seconds=1)
    removed = apply_retention(
        gallery, matches, FakeChipStore(), AuditTrail(log, lambda: now, OLD), limits, now
    )
    assert {one.id for one in matches.all()} == {judged.id, *(records[i].id for i in kept)}
    assert removed == Retained(4 - len(kept), 0, 0)
    log.close()
    entries = [
        one for _, one in read_entries(tmp_path / "audit") if one["action"] == "apply-retention"
    ]
    assert len(entries) == (2 if removed.matches else 0)
    matches.close()
    gallery.close()


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (RetentionLimits(sighting_age=timedelta(days=15)), [2, 3]),
        (RetentionLimits(sightings=1), [3]),
        (RetentionLimits(matches=1), [0, 1, 2, 3]),
    ],
)
def test_open_sightings_are_deleted_with_their_chips(
    site: Site, chips: FakeChipStore, tmp_path: Path, limits: RetentionLimits, kept: list[int]
) -> None:
    vessel = enrol(site, chips, [1])
    gallery, matches = site.service(), site.matches()
    log = open_audit_log(tmp_path / "audit", "one")
    open_ones = [
        embedded(
            0.1 * number,
            chip_sha256=chips.put(f"chip {number}".encode()),
            recorded_at=START + timedelta(days=10 * number),
        )
        for number in range(4)
    ]
    gallery.put_sightings(open_ones, None)
    now = START + timedelta(days=30)
    trail = AuditTrail(log, lambda: now, OLD)
    apply_retention(gallery, matches, chips, trail, limits, now)
    there = [
        number
        for number, one in enumerate(open_ones)
        if gallery.get_sighting(one.sighting.id) is not None
    ]
    assert there == kept
    assert [n for n, one in enumerate(open_ones) if one.sighting.chip_sha256 in chips.data] == kept
    assert len(gallery.sightings_of([vessel.id])) == 1
    log.close()
    matches.close()
    gallery.close()


@pytest.mark.parametrize(("deleted_days_ago", "stay"), [(29, True), (31, False)])
def test_sightings_of_a_deleted_vessel_stay_as_long_as_it_can_be_restored(
    site: Site, chips: FakeChipStore, tmp_path: Path, deleted_days_ago: int, stay: bool
) -> None:
    gallery, matches = site.service(), site.matches()
    log = open_audit_log(tmp_path / "audit", "one")
    digests = [chips.put(name) for name in (b"former", b"other")]
    former, other = (
        embedded(0.5, chip_sha256=digest, recorded_at=START - timedelta(days=300))
        for digest in digests
    )
    gallery.put_sightings([former, other], None)
    gallery.put_vessel(
        make_vessel(
            state=VesselState.DELETED,
            updated_at=START - timedelta(days=deleted_days_ago),
            former_sightings=(former.sighting.id,),
        )
    )
    limits = RetentionLimits(sighting_age=timedelta(days=7), restorable=timedelta(days=30))
    apply_retention(gallery, matches, chips, AuditTrail(log, lambda: START, OLD), limits, START)
    assert (gallery.get_sighting(former.sighting.id) is not None) is stay
    assert (digests[0] in chips.data) is stay
    assert gallery.get_sighting(other.sighting.id) is None
    log.close()
    matches.close()
    gallery.close()


def test_a_match_that_was_judged_meanwhile_stays(site: Site) -> None:
    gallery, matches = site.service(), site.matches()
    records = [make_match_record() for _ in range(3)]
    for record in records:
        matches.put(record)
    old = matches.unjudged(None, 0)
    judged = with_judgement(records[1], Decision.REJECTED)
    matches.put(judged)
    assert matches.delete_unjudged([*old, make_match_record().id]) == 3
    assert list(matches.all()) == [judged]
    assert matches.delete_unjudged(old) == 2
    matches.close()
    gallery.close()


def test_others_may_write_while_much_is_deleted(
    site: Site, chips: FakeChipStore, tmp_path: Path
) -> None:
    """The lock is held for some records at a time, and a stop is heeded in between."""
    gallery, matches = site.service(), site.matches()
    log = open_audit_log(tmp_path / "audit", "one")
    count = 3 * SIGHTINGS_AT_ONCE
    shared = chips.put(b"chip")
    gallery.put_sightings([embedded(0.5, chip_sha256=shared) for _ in range(count)], None)
    matches.put(make_match_record())
    lock, free = threading.RLock(), list[int]()

    def stopped(_: float) -> bool:
        with ThreadPoolExecutor(1) as other:
            assert other.submit(lock.acquire, timeout=1).result()
            other.submit(lock.release).result()
        free.append(len(gallery.open_sightings(None, 0)))
        return len(free) == 4

    trail = AuditTrail(log, lambda: START, OLD)
    limits = RetentionLimits(matches=1, sightings=1)
    matches.put(make_match_record())
    removed = apply_retention(gallery, matches, chips, trail, limits, START, lock, stopped)
    assert free == [count, count, count - SIGHTINGS_AT_ONCE, count - 2 * SIGHTINGS_AT_ONCE]
    assert removed == Retained(1, 2 * SIGHTINGS_AT_ONCE, 0)
    log.close()
    matches.close()
    gallery.close()


def test_a_sighting_that_got_a_vessel_meanwhile_stays(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1])
    gallery = site.service()
    one = embedded(0.5)
    gallery.put_sightings([one], None)
    ((found, _),) = gallery.open_sightings(None, 0)
    gallery.move_sightings([found], vessel)
    gallery.delete_open_sightings([found])
    assert gallery.get_sighting(found) is not None
    assert gallery.open_sightings(None, 0) == []
    gallery.close()
