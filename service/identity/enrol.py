"""Registering vessels and their chips, so that a crash at any point leaves nothing half-visible.

Order of writes for a new vessel: vessel as `enrolling` (invisible), chips, sightings, vessel as
`active`. Sightings added to a known vessel are one atomic write. See `recovery.py`; `leases.py` has
one replica at a time register a vessel.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid5

from pydantic import Field

from service.contract.utc_time import UtcTime
from service.identity.audit_trail import Facts, chips_and_ids, digests
from service.identity.context import Context
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.leases import Lease, require_free_imo
from service.identity.uploads import ChipUpload, EmbeddedUpload, UploadEmbedder
from service.identity.original_chips import delete_unused_when_full, restore_missing_chip
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import (
    ATTRIBUTE_NAMES,
    Provenance,
    Vessel,
    VesselAttributes,
    VesselState,
)
from service.identity.recovery import Recovery, nothing
from service.identity.stage_timing import measured

VESSEL_NAMESPACE = UUID("b8a3b1de-0c9b-5f57-8f6e-3f1f9f7f5a02")
DEFAULT_SOURCE = "api"


class NewVessel(VesselAttributes):
    """A vessel to register.

    `id` may be chosen by the sender; without it the id is derived from attributes and chips. In
    both cases a repeated request changes nothing. `source` and `as_of` hold for every attribute.
    """

    id: UUID | None = None
    source: str | None = Field(None, max_length=500)
    as_of: UtcTime | None = None

    def said(self) -> dict[str, object]:
        """The attributes that were given, as JSON values."""
        return self.model_dump(mode="json", include=set(ATTRIBUTE_NAMES), exclude_none=True)


@dataclass(frozen=True, slots=True)
class EnrolledVessel:
    """A vessel with its sightings; `created` tells whether this request registered it."""

    vessel: Vessel
    sightings: Sequence[Sighting]
    created: bool


class Enrolment:
    """The use case behind `POST /gallery` and `POST /gallery/{vessel_id}/chips`."""

    def __init__(self, context: Context, uploads: UploadEmbedder, recovery: Recovery) -> None:
        """The stage `store` is measured."""
        self._gallery = context.gallery
        self._chips = context.chips
        self._now = context.now
        self._write_lock = context.write_lock
        self._trail = context.trail
        self._measure = context.measure
        self._uploads = uploads
        self._recovery = recovery
        self._leases = recovery.leases

    def enrol(self, new: NewVessel, uploads: Sequence[ChipUpload]) -> EnrolledVessel:
        """Register a vessel with one or more chips.

        Raises:
            InvalidRequestError: no chip, or one chip twice.
            ChipError: a chip cannot be used; no chip of the request is kept.
            ConflictError: another vessel carries this IMO number, or `id` is taken.
            OverloadedError, StoreUnavailableError, StoreFullError: nothing was acknowledged.
        """
        require_distinct_chips(uploads)
        vessel = self._vessel(new, uploads)
        require_free_imo(self._gallery, vessel)
        seen = [self._uploads.embed(upload) for upload in uploads]
        asked: Facts = {"vessel_id": str(vessel.id), "said": new.said(), "chips": digests(uploads)}
        with self._write_lock:
            found = self._found(vessel.id)
            if found is not None and found.state.visible:
                return self._again(found, vessel, seen, asked)
            same = new.id is None or (found is not None and _began(found, vessel, seen))
            with self._leases.registering(vessel, resumes=same) as lease:
                found = self._settled(vessel, seen, lease)
                if found is not None and found.state.visible:
                    return self._again(found, vessel, seen, asked)
                register = partial(self._register, vessel, seen, lease, begun=found is not None)
                return self._written("enrol", asked, vessel.id, True, register)

    def add_chips(self, vessel_id: UUID, uploads: Sequence[ChipUpload]) -> EnrolledVessel:
        """Add sightings to a known vessel, all or none; known ones change nothing.

        Raises:
            NotFoundError: no such vessel.
            InvalidRequestError, ChipError, OverloadedError, StoreUnavailableError,
            StoreFullError: as `enrol`.
        """
        require_distinct_chips(uploads)
        get_visible_vessel(self._gallery, vessel_id)
        seen = [self._uploads.embed(upload) for upload in uploads]
        with self._write_lock:
            vessel = get_visible_vessel(self._gallery, vessel_id)
            asked: Facts = {"vessel_id": str(vessel_id), "chips": digests(uploads)}
            return self._written(
                "add-chips", asked, vessel_id, False, lambda: self._keep(vessel, seen)
            )

    def _again(
        self, known: Vessel, vessel: Vessel, seen: Sequence[EmbeddedUpload], asked: Facts
    ) -> EnrolledVessel:
        """The vessel is registered already: keep what is new of its chips."""
        if known.attributes() != vessel.attributes():
            raise ConflictError(
                f"vessel {known.id} is registered with other attributes; change them with PATCH",
                known.id,
            )
        return self._written("enrol", asked, known.id, False, lambda: self._keep(known, seen))

    def _written(
        self, action: str, asked: Facts, vessel_id: UUID, created: bool, write: Callable[[], None]
    ) -> EnrolledVessel:
        """Do and record a change."""
        with self._trail.change(action, **asked) as result:
            with measured("store", self._measure):
                write()
            enrolled = self._enrolled(vessel_id, created)
            if action == "enrol":
                result["created"] = created
            result["sightings"] = chips_and_ids(enrolled.sightings)
        return enrolled

    def _register(
        self, vessel: Vessel, seen: Sequence[EmbeddedUpload], lease: Lease, begun: bool
    ) -> None:
        """`begun` tells that an earlier request wrote the pending vessel.

        It is not written again: the one who wrote it may be making it active right now.
        """
        if not begun:
            self._gallery.put_vessel(vessel.model_copy(update=_pending(seen)))
        self._keep(vessel, seen, lease)
        lease.confirm()
        self._gallery.put_vessel(vessel)

    def _keep(
        self, vessel: Vessel, seen: Sequence[EmbeddedUpload], lease: Lease | None = None
    ) -> None:
        """Chips first, and looked for last: see `originals.py`. A repeat heals what is missing."""
        renew = nothing if lease is None else lease.renew
        have = {s.chip_sha256 for s in self._gallery.sightings_of([vessel.id])}
        fresh = [one for one in seen if one.chip.digest not in have]
        if fresh:
            self._put(vessel, fresh, renew)
        for one in seen:
            renew()
            restore_missing_chip(self._chips, one.chip.digest, one.upload.data)

    def _put(
        self, vessel: Vessel, fresh: Sequence[EmbeddedUpload], renew: Callable[[], None]
    ) -> None:
        with delete_unused_when_full(
            self._gallery, self._chips, [one.chip.digest for one in fresh]
        ):
            for one in fresh:
                renew()
                self._chips.put(one.upload.data)
            sightings = [self._uploads.sighting(one, vessel.id) for one in fresh]
            renew()
            self._gallery.put_sightings(sightings, vessel)

    def _found(self, vessel_id: UUID) -> Vessel | None:
        """The vessel in any state, unless it was merged."""
        found = self._gallery.get_vessels([vessel_id]).get(vessel_id)
        if found is not None and found.state is VesselState.MERGED:
            raise ConflictError(
                f"vessel {found.id} was merged into {found.merged_into}; add chips there",
                found.merged_into,
            )
        return found

    def _settled(
        self, vessel: Vessel, seen: Sequence[EmbeddedUpload], lease: Lease
    ) -> Vessel | None:
        """The vessel, visible or begun just so, after finishing what else a crash left of it."""
        found = self._found(vessel.id)
        if found is None or found.state.visible or _began(found, vessel, seen):
            return found
        self._recovery.settle(found, lease.renew)
        return self._settled(vessel, seen, lease)

    def _enrolled(self, vessel_id: UUID, created: bool) -> EnrolledVessel:
        vessel = get_visible_vessel(self._gallery, vessel_id)
        return EnrolledVessel(vessel, self._gallery.sightings_of([vessel_id]), created)

    def _vessel(self, new: NewVessel, uploads: Sequence[ChipUpload]) -> Vessel:
        now = self._now()
        said = new.said()
        origin = Provenance(source=new.source or DEFAULT_SOURCE, as_of=new.as_of or now)
        content = json.dumps([said, sorted(upload.digest for upload in uploads)], sort_keys=True)
        return Vessel.model_validate(
            said
            | {
                "id": new.id or uuid5(VESSEL_NAMESPACE, content),
                "provenance": dict.fromkeys(said, origin),
                "created_at": now,
                "updated_at": now,
            }
        )


def _pending(seen: Sequence[EmbeddedUpload]) -> Facts:
    return {
        "state": VesselState.ENROLLING,
        "leaving_chips": tuple(one.chip.digest for one in seen),
    }


def _began(found: Vessel, vessel: Vessel, seen: Sequence[EmbeddedUpload]) -> bool:
    """Whether `found` is the beginning of the same request."""
    return (
        found.state is VesselState.ENROLLING
        and found.split_from is None
        and found.attributes() == vessel.attributes()
        and set(found.leaving_chips) == {one.chip.digest for one in seen}
    )


def get_visible_vessel(gallery: Gallery, vessel_id: UUID) -> Vessel:
    """Raises NotFoundError, naming the vessel that took its place if it was merged."""
    vessel = gallery.get_vessels([vessel_id]).get(vessel_id)
    if vessel is None or not vessel.state.visible:
        merged = vessel is not None and vessel.merged_into is not None
        hint = f"; it was merged into {vessel.merged_into}" if vessel and merged else ""
        raise NotFoundError(f"no vessel {vessel_id} is registered{hint}")
    return vessel


def require_distinct_chips(uploads: Sequence[ChipUpload]) -> None:
    """Raises InvalidRequestError when there is no chip, or one chip twice."""
    if not uploads:
        raise InvalidRequestError("at least one chip is needed")
    if len({upload.digest for upload in uploads}) < len(uploads):
        raise InvalidRequestError("the same chip was sent twice in one request")
