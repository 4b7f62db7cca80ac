"""Check over HTTP and on disk that a service lost nothing and left no change half done."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx

from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel
from service.identity.recovery import INTERRUPTIBLE
from service.storage.audit.check import read_entries, verify_audit
from service.storage.edge.archive import EdgeArchive

PAGE_SIZE = 500


def listed_vessels(api: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return every visible vessel by id."""
    vessels: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/gallery", params={"limit": PAGE_SIZE, **cursor}).raise_for_status().json()
        vessels |= {one["id"]: one for one in page["vessels"]}
        if page["next_cursor"] is None:
            return vessels
        cursor = {"cursor": page["next_cursor"]}


def chips_of(api: httpx.Client, vessel_id: str) -> set[str]:
    """Return the digests of a vessel's chips after reading and verifying each chip."""
    detail = api.get(f"/gallery/{vessel_id}").raise_for_status().json()
    for one in detail["sightings"]:
        chip = api.get(f"/sightings/{one['id']}/chip").raise_for_status().content
        assert hashlib.sha256(chip).hexdigest() == one["sha256"]
    return {one["sha256"] for one in detail["sightings"]}


def stored_chips(data: Path) -> set[str]:
    """Return the digests of the chip files on disk."""
    return {path.stem for path in (data / "chips").glob("??/??/*.chip")}


def gallery_on_disk(data: Path) -> tuple[list[Vessel], list[Sighting]]:
    """Return all vessels and sightings of the served bundle, hidden ones included.

    No service may have the gallery open.
    """
    archive = EdgeArchive(data / "gallery")
    try:
        active = archive.active()
        assert active is not None
        return list(archive.vessels()), [one.sighting for one in archive.sightings(active)]
    finally:
        archive.close()


def assert_consistent_on_disk(data: Path) -> None:
    """Assert that vessels, sightings and chips on disk agree; no service may be running."""
    vessels, sightings = gallery_on_disk(data)
    by_id = {vessel.id: vessel for vessel in vessels}
    owners = {one.vessel_id for one in sightings if one.vessel_id is not None}
    visible = {vessel.id for vessel in vessels if vessel.state.visible}
    assert owners == visible, "each sighting has a vessel, and each vessel a sighting"
    under_way = [v.state for v in vessels if v.state in INTERRUPTIBLE]
    assert under_way == [], "recovery leaves no change half done"
    assert {one.chip_sha256 for one in sightings} == stored_chips(data)
    assert all(not by_id[i].leaving_chips for i in visible)
    for path in (data / "chips").glob("??/??/*.chip"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    assert list((data / "chips" / "incoming").iterdir()) == []


def sound_audit_entries(data: Path) -> list[dict[str, Any]]:
    """Assert that every audit chain is sound; return its entries."""
    report = verify_audit(data / "audit")
    assert report.findings == []
    return [entry for _, entry in read_entries(data / "audit")]


def assert_audited(data: Path, vessels: Collection[str], matches: Collection[str]) -> None:
    """Assert that the audit log holds acknowledged vessels and matches as done."""
    entries = sound_audit_entries(data)
    begun = {e["change_id"]: e["vessel_id"] for e in entries if e.get("phase") == "begun"}
    done = {begun[e["change_id"]] for e in entries if e.get("phase") == "done"}
    assert set(vessels) <= done
    assert set(matches) <= {e["match_id"] for e in entries if e["action"] == "match"}
