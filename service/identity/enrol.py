"""Register vessels and their chips, so that a crash at any point leaves no visible half.

Order of writes for a new vessel: the vessel as `enrolling` (invisible), chips, sightings, the
vessel as `active`. Sightings added to a registered vessel are one atomic write. `recovery.py`
undoes an interrupted enrolment; a lease (`leases.py`) lets one replica at a time register a vessel.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID, uuid5

from pydantic import field_validator, model_validator

from service.contract.utc_time import PastTime
from service.identity.audit_trail import Facts, chips_and_ids, digests
from service.identity.context import Context, UseCase
from service.identity.errors import ConflictError, NotFoundError
from service.identity.evidence.copies import copies_elsewhere
from service.identity.leases import Lease, require_free_imo, vessel_claim
from service.identity.original_chips import delete_unused_when_full, restore_missing_chip
from service.identity.ports.gallery import Gallery
from service.identity.records.base import Fact
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import (
    Provenance,
    Vessel,
    VesselAttributes,
    VesselState,
    require_longer_than_wide,
)
from service.identity.recovery import (
    Recovery,
    being_enrolled,
    is_enrolment_of,
    no_renewal,
    replacement_notes,
)
from service.identity.stage_timing import measured
from service.identity.uploads import (
    ChipUpload,
    EmbeddedUpload,
    UploadEmbedder,
    facts_not_changed,
    require_distinct_chips,
)

VESSEL_NAMESPACE = UUID("b8a3b1de-0c9b-5f57-8f6e-3f1f9f7f5a02")
DEFAULT_SOURCE = "api"


class NewVessel(VesselAttributes):
    """A vessel to register.

    The client may choose the `id`; otherwise it is derived from the attributes and chips. In both
    cases a repeated request changes nothing. `source` and `as_of` apply to every attribute.
    """

    id: UUID | None = None
    source: Fact | None = None
    as_of: PastTime | None = None

    @field_validator("id")
    @classmethod
    def _names_a_vessel(cls, vessel_id: UUID | None) -> UUID | None:
        if vessel_id is not None and vessel_id.int in (0, 2**128 - 1):
            raise ValueError(f"{vessel_id} is a placeholder; leave the field out")
        return vessel_id

    @model_validator(mode="after")
    def _is_longer_than_wide(self) -> Self:
        require_longer_than_wide(self)
        return self


@dataclass(frozen=True, slots=True)
class StoredChips:
    """The result of storing chips.

    Attributes:
        added: digests of the chips that the vessel did not have.
        warnings: by digest: stated facts that were not used, what is bad about the chip, and other
            vessels that have it too.
    """

    added: frozenset[str] = frozenset()
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnrolledVessel:
    """A vessel with its sightings.

    Attributes:
        created: whether this request registered the vessel.
    """

    vessel: Vessel
    sightings: Sequence[Sighting]
    created: bool
    stored: StoredChips = field(default_factory=StoredChips)
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is said about the vessel, and about the chips of the request, in their order."""
        return (*self.notes, *(text for texts in self.stored.warnings.values() for text in texts))


class Enrolment(UseCase):
    """The use cases behind `POST /gallery` and `POST /gallery/{vessel_id}/chips`."""

    def __init__(self, context: Context, uploads: UploadEmbedder, recovery: Recovery) -> None:
        """The stage `store` is measured."""
        super().__init__(context)
        self._uploads = uploads
        self._recovery = recovery
        self._leases = recovery.leases

    def enrol(self, new: NewVessel, uploads: Sequence[ChipUpload]) -> EnrolledVessel:
        """Register a vessel with one or more chips.

        Raises:
            InvalidRequestError: no chip, or the same chip twice.
            ChipError: a chip cannot be used; no chip of the request is stored.
            ConflictError: another vessel carries this IMO number, or `id` is taken.
            OverloadedError, StoreUnavailableError, StoreFullError: nothing was acknowledged.
        """
        require_distinct_chips(uploads)
        vessel = self.describe(new, digests(uploads))
        chips = [self._uploads.embed(upload) for upload in uploads]
        return self.register(vessel, chips, derived=new.id is None)

    def describe(self, new: NewVessel, chips: Sequence[str]) -> Vessel:
        """Return the vessel to register with chips of these digests.

        Raises:
            ConflictError: another vessel carries this IMO number.
        """
        vessel = described_vessel(new, chips, self._now())
        require_free_imo(self._gallery, vessel)
        return vessel

    def register(
        self, vessel: Vessel, chips: Sequence[EmbeddedUpload], *, derived: bool
    ) -> EnrolledVessel:
        """Register a vessel with embedded chips, or add them to it if it is registered already.

        Args:
            vessel: see `describe`.
            chips: different chips, at least one.
            derived: whether the vessel's id follows from attributes and chips, so that another
                request which registers it right now does the same.

        Raises:
            ConflictError, StoreUnavailableError, StoreFullError: see `enrol`.
        """
        sent = [one.chip.digest for one in chips]
        attributes = vessel.known_attributes()
        facts: Facts = {"vessel_id": str(vessel.id), "attributes": attributes, "chips": sent}
        with self._write_lock:
            found = self._find_unmerged(vessel.id)
            if found is not None and found.state.visible:
                return self._add_to_registered(found, vessel, chips, facts)
            same = derived or (found is not None and is_enrolment_of(found, vessel, sent))
            with self._leases.for_registration(vessel, resumes=same) as lease:
                found = self._recover_other_change(vessel, sent, lease)
                if found is not None and found.state.visible:
                    return self._add_to_registered(found, vessel, chips, facts)
                begun = found is not None and found.state is VesselState.ENROLLING
                replaced = found.replaced if found is not None and begun else found
                register = partial(self._register, vessel, chips, lease, begun, replaced)
                done = self._record_change("enrol", facts, vessel.id, True, register)
                return replace(done, notes=replacement_notes(replaced))

    def add_chips(self, vessel_id: UUID, uploads: Sequence[ChipUpload]) -> EnrolledVessel:
        """Add sightings to a registered vessel, all or none; chips that it has change nothing.

        Raises:
            NotFoundError: no such vessel.
            InvalidRequestError: no chip, or the same chip twice.
            ChipError: a chip cannot be used; no chip of the request is stored.
            OverloadedError, StoreUnavailableError, StoreFullError: see `enrol`.
        """
        require_distinct_chips(uploads)
        get_visible_vessel(self._gallery, vessel_id)
        return self.add_embedded(vessel_id, [self._uploads.embed(upload) for upload in uploads])

    def add_embedded(self, vessel_id: UUID, chips: Sequence[EmbeddedUpload]) -> EnrolledVessel:
        """Add embedded chips, which differ from each other; see `add_chips`."""
        with self._write_lock:
            vessel = get_visible_vessel(self._gallery, vessel_id)
            chips_sent = [one.chip.digest for one in chips]
            facts: Facts = {"vessel_id": str(vessel_id), "chips": chips_sent}
            write = partial(self._store_chips, vessel, chips)
            return self._record_change("add-chips", facts, vessel_id, False, write)

    def _add_to_registered(
        self, registered: Vessel, vessel: Vessel, chips: Sequence[EmbeddedUpload], facts: Facts
    ) -> EnrolledVessel:
        """Add the chips that are new, if the attributes are those of the registered vessel."""
        if registered.attributes() != vessel.attributes():
            raise ConflictError(
                f"vessel {registered.id} is registered with other attributes; "
                "change them with PATCH",
                registered.id,
            )
        write = partial(self._store_chips, registered, chips)
        return self._record_change("enrol", facts, registered.id, False, write)

    def _record_change(
        self,
        action: str,
        facts: Facts,
        vessel_id: UUID,
        created: bool,
        write: Callable[[], StoredChips],
    ) -> EnrolledVessel:
        """Make a change with `write`, and record it in the audit log before and after."""
        with self._trail.change(action, **facts) as result:
            with measured("store", self._measure):
                stored = write()
            vessel = get_visible_vessel(self._gallery, vessel_id)
            sightings = self._gallery.sightings_of([vessel_id])
            enrolled = EnrolledVessel(vessel, sightings, created, stored)
            if action == "enrol":
                result["created"] = created
            result["sightings"] = chips_and_ids(enrolled.sightings)
        return enrolled

    def _register(
        self,
        vessel: Vessel,
        chips: Sequence[EmbeddedUpload],
        lease: Lease,
        begun: bool,
        replaced: Vessel | None,
    ) -> StoredChips:
        """Write the vessel and its sightings, in place of a tombstone, if there is one.

        If an earlier request has `begun` and wrote the pending vessel, it is not written again:
        that request may be making the vessel active right now. The last write takes effect only
        while no other request has taken the pending vessel over.
        """
        fence = lease.token(vessel_claim(vessel.id))
        if begun:
            self._gallery.take_over(vessel.id, fence)
        else:
            sent = tuple(one.chip.digest for one in chips)
            pending = being_enrolled(vessel, replaced, leaving_chips=sent)
            self._gallery.put_vessel(pending, fence)
        stored = self._store_chips(vessel, chips, lease)
        lease.confirm()
        self._gallery.put_fenced(vessel, fence)
        self._require_registered(vessel)
        return stored

    def _require_registered(self, vessel: Vessel) -> None:
        """Raise ConflictError if a request that took the claim over registers the vessel."""
        found = self._gallery.get_vessels([vessel.id]).get(vessel.id)
        visible = found is not None and found.state.visible
        if found is None or not visible or found.attributes() != vessel.attributes():
            raise ConflictError(
                f"vessel {vessel.id} is being registered by another request; try again shortly"
            )

    def _store_chips(
        self, vessel: Vessel, chips: Sequence[EmbeddedUpload], lease: Lease | None = None
    ) -> StoredChips:
        """Store chips and sightings that are missing; check last that every chip is there.

        `original_chips.py` explains the order.
        """
        renew = no_renewal if lease is None else lease.renew
        known = {s.chip_sha256: s for s in self._gallery.sightings_of([vessel.id])}
        renew()
        described = [self._uploads.sighting(one, vessel.id) for one in chips]
        fresh = [one for one in described if one.sighting.chip_sha256 not in known]
        elsewhere = copies_elsewhere(self._gallery, fresh, vessel.id)
        new: list[tuple[ChipUpload, EmbeddedSighting]] = []
        warnings: dict[str, tuple[str, ...]] = {}
        for chip, sent in zip(chips, described, strict=True):
            digest = chip.chip.digest
            if digest in known:
                warnings[digest] = facts_not_changed(chip.upload, sent.sighting, known[digest])
                continue
            sighting = sent.sighting.with_warnings(elsewhere[digest])
            new.append((chip.upload, replace(sent, sighting=sighting)))
            warnings[digest] = (*_defects(chip.upload, sighting), *elsewhere[digest])
        if new:
            self._store_new_chips(vessel, new, renew)
        for one in chips:
            renew()
            restore_missing_chip(self._chips, one.chip.digest, one.upload.data)
        added = frozenset(one.sighting.chip_sha256 for _, one in new)
        return StoredChips(added, warnings)

    def _store_new_chips(
        self,
        vessel: Vessel,
        new: Sequence[tuple[ChipUpload, EmbeddedSighting]],
        renew: Callable[[], None],
    ) -> None:
        def files() -> Iterator[bytes]:
            for upload, _ in new:
                renew()
                yield upload.data

        digests = [one.sighting.chip_sha256 for _, one in new]
        with delete_unused_when_full(self._gallery, self._chips, digests):
            self._chips.put_all(files())
            renew()
            self._gallery.put_sightings([one for _, one in new], vessel)

    def _find_unmerged(self, vessel_id: UUID) -> Vessel | None:
        """Return the vessel in any state but `merged`; raise ConflictError when it was merged."""
        found = self._gallery.get_vessels([vessel_id]).get(vessel_id)
        if found is not None and found.state is VesselState.MERGED:
            raise ConflictError(
                f"vessel {found.id} was merged into {found.merged_into}; add chips there",
                found.merged_into,
            )
        return found

    def _recover_other_change(
        self, vessel: Vessel, chips: Sequence[str], lease: Lease
    ) -> Vessel | None:
        """Finish or undo an interrupted change of another kind; return what remains."""
        found = self._find_unmerged(vessel.id)
        if found is None or found.state.visible or found.state is VesselState.DELETED:
            return found
        if is_enrolment_of(found, vessel, chips):
            return found
        self._recovery.settle(found, lease.renew)
        return self._recover_other_change(vessel, chips, lease)


def described_vessel(new: NewVessel, content: Sequence[str], now: datetime) -> Vessel:
    """Return the vessel to register; its id follows from attributes and content, unless chosen.

    Args:
        content: names its chips or sightings, in any order.
    """
    known = new.known_attributes()
    origin = Provenance(source=new.source or DEFAULT_SOURCE, as_of=new.as_of or now)
    named = json.dumps([known, sorted(content)], sort_keys=True)
    return Vessel.model_validate(
        known
        | {
            "id": new.id or uuid5(VESSEL_NAMESPACE, named),
            "provenance": dict.fromkeys(known, origin),
            "created_at": now,
            "updated_at": now,
        }
    )


def _defects(upload: ChipUpload, sighting: Sighting) -> tuple[str, ...]:
    """Return what is bad about a chip, with its name."""
    name = upload.name or f"chip {upload.digest[:12]}"
    return tuple(f"{name}: {defect}" for defect in sighting.defects)


def get_visible_vessel(gallery: Gallery, vessel_id: UUID) -> Vessel:
    """Return a visible vessel; raise NotFoundError, naming the survivor if it was merged."""
    vessel = gallery.get_vessels([vessel_id]).get(vessel_id)
    if vessel is None or not vessel.state.visible:
        hint, survivor = "", None if vessel is None else vessel.merged_into
        if survivor is not None:
            hint = f"; it was merged into {survivor}"
        elif vessel is not None and vessel.state is VesselState.DELETED:
            hint = f"; it was deleted, and POST /gallery/{vessel_id}/restore may undo that"
        raise NotFoundError(f"no vessel {vessel_id} is registered{hint}", survivor)
    return vessel
