"""Damaged records are detected by both adapters."""

from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from service.api.errors import status_of
from service.identity.errors import StoreDamagedError
from service.identity.ports.archive import GalleryArchive
from service.identity.records.claims import NameClaim
from service.identity.records.sightings import SightingFilter
from service.identity.records.vessels import Vessel
from service.maintenance.check import RecordHealth, check_all
from service.storage.points.payloads import Point
from service.storage.server.archive import ServerArchive
from service.storage.server.claims import ServerClaimStore
from service.storage.server.connection import ServerConnection
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import START, make_vessel
from tests.support.galleries import search
from tests.support.stores import OLD, Site, UnclosableClient, enrol


def intact(site: Site) -> dict[str, set[bool]]:
    """Return which records of each kind were found intact, and whether any was not."""
    archive, found = site.archive(), dict[str, set[bool]]()
    for batch in archive.check_records():
        for one in batch:
            found.setdefault(one.kind, set()).add(one.problem is None)
    archive.close()
    return found


def overwrite(archive: Any, vessel: Vessel, kind: str, fields: dict[str, Any]) -> None:
    """Change fields of the stored payload, and leave the digests as they are."""
    if kind == "vessel":
        archive._vessels.set_fields([vessel.id], fields)
    else:
        archive._sightings(OLD).set_fields(archive.sighting_ids(OLD), fields)


def read(archive: GalleryArchive, vessel: Vessel, kind: str) -> object:
    if kind == "vessel":
        return archive.get_vessels([vessel.id])
    return list(archive.sightings(OLD))


def test_what_is_written_and_changed_in_order_is_intact(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1, 2], name="A", type="Tanker", length_m=180.0)
    other = make_vessel(length_m=90, type="Tug")
    gallery = site.service()
    gallery.put_vessel(other)
    sightings = gallery.sightings_of([vessel.id])
    gallery.move_sightings([sightings[0].id], other)
    gallery.move_sightings([sightings[1].id], None)
    gallery.sync_vessel(other)
    assert {one.problem for batch in gallery.check_records() for one in batch} == {None}
    gallery.close()
    assert intact(site) == {"vessel": {True}, "sighting": {True}}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("vessel", {"name": "B"}),
        ("vessel", {"imo": "9074729"}),
        ("vessel", {"state": "deleting"}),
        ("vessel", {"record": "{"}),
        ("vessel", {"record": None}),
        ("vessel", {"digest": None}),
        ("sighting", {"modality": "infrared"}),
        ("sighting", {"owner_digest": None}),
        ("sighting", {"chip_sha256": "0" * 64}),
        ("sighting", {"vessel_id": "00000000-0000-4000-8000-000000000000"}),
        ("sighting", {"vessel_length_m": 1.0}),
        ("sighting", {"record": "{}"}),
    ],
)
def test_a_damaged_record_is_not_used(
    site: Site, chips: FakeChipStore, kind: str, fields: dict[str, Any]
) -> None:
    vessel = enrol(site, chips, [1], name="A", type="Tanker", length_m=180.0)
    archive = site.archive()
    overwrite(archive, vessel, kind, fields)
    with pytest.raises(StoreDamagedError, match=f"a stored {kind}") as raised:
        read(archive, vessel, kind)
    assert status_of(raised.value) == 503
    assert raised.value.kind == "store-damaged"
    archive.close()
    assert intact(site)[kind] == {False}


def test_a_damaged_embedding_is_found(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1], name="A")
    archive: Any = site.archive()
    (one,) = archive.sightings(OLD)
    (row,) = archive._sightings(OLD).retrieve([one.sighting.id])
    flipped = np.roll(one.vector, 1).astype(np.float64).tolist()
    archive._sightings(OLD).put([Point(one.sighting.id, flipped, row)])
    with pytest.raises(StoreDamagedError, match="embedding"):
        read(archive, vessel, "sighting")
    archive.close()
    assert intact(site) == {"vessel": {True}, "sighting": {False}}


@pytest.mark.parametrize("damaged", [True, False])
def test_no_match_rests_on_a_damaged_embedding(
    site: Site, chips: FakeChipStore, damaged: bool
) -> None:
    vessel = enrol(site, chips, [1], name="A")
    archive: Any = site.archive()
    (one,) = archive.sightings(OLD)
    (row,) = archive._sightings(OLD).retrieve([one.sighting.id])
    vector = np.roll(one.vector, 1) if damaged else one.vector
    archive._sightings(OLD).put([Point(one.sighting.id, vector.tolist(), row)])
    archive.close()
    gallery = site.service()
    (hit,) = search(gallery, one.vector, SightingFilter(), 1)
    assert hit.vessel.id == vessel.id
    ids = [found.sighting.id for found in hit.hits]
    with pytest.raises(StoreDamagedError, match="embedding") if damaged else nullcontext():
        gallery.require_intact(ids)
    gallery.close()


def test_a_damaged_claim_is_found() -> None:
    client = UnclosableClient(":memory:")
    claims: Any = ServerClaimStore(ServerConnection(client))
    claim = NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=START)
    claims.claim("IMO 9176187", claim, None)
    archive = ServerArchive(ServerConnection(client))
    assert [one.problem for (one,) in archive.check_records()] == [None]
    ((point_id, _),) = claims._claims.scan()
    claims._claims.set_fields([point_id], {"token": str(uuid4())})
    ((found,),) = archive.check_records()
    assert (found.kind, found.problem is None) == ("claim", False)
    claims.close()
    archive.close()


@pytest.mark.parametrize("fields", [{"verdict": "no_match"}, {"record": "{"}, {"vessel_ids": []}])
def test_a_damaged_match_is_not_shown(site: Site, fields: dict[str, Any]) -> None:
    gallery, matches = site.service(), site.matches()
    record = make_match_record([make_vessel()])
    matches.put(record)
    assert matches.get(record.id) == record
    store: Any = matches._matches  # type: ignore[attr-defined]
    ((point_id, _),) = store.scan()
    store.set_fields([point_id], fields)
    with pytest.raises(StoreDamagedError, match="a stored match"):
        matches.get(record.id)
    health = RecordHealth()
    health.require_intact()
    health.check(gallery, matches, lambda _: False)
    with pytest.raises(StoreDamagedError, match="1 stored records are damaged"):
        health.require_intact()
    matches.close()
    gallery.close()


def test_the_check_names_damaged_records_and_lost_chips(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1, 2], name="A")
    archive, matches = site.archive(), site.matches()
    result = check_all(archive, matches, chips)
    assert result.records == {"vessel": {"intact": 1}, "sighting": {"intact": 2}}
    assert (result.chips, result.damage) == (2, [])
    lost = sorted(archive.chips_shown())[0]
    chips.delete(lost)
    assert [line.split(":")[0] for line in check_all(archive, matches, chips).damage] == [
        f"chip {lost}"
    ]
    overwrite(archive, vessel, "vessel", {"name": "B"})
    (line,) = check_all(archive, matches, chips).damage
    assert line.startswith(f"vessel {vessel.id}: ")
    matches.close()
    archive.close()
