"""What the use cases need from the outside, as Protocols; adapters live in other rooms."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle import Bundle
from service.contract.chip import Chip
from service.contract.embedding import EmbeddedChip
from service.identity.history import KeptMatch, MatchFilter, MatchPage
from service.identity.records import (
    Claim,
    EmbeddedSighting,
    GalleryCounts,
    Sighting,
    SightingFilter,
    Vessel,
    VesselFilter,
    VesselHit,
    VesselPage,
    VesselState,
)


class ChipEmbedder(Protocol):
    """Denoise, encode, translate, fuse. Safe to call from many threads."""

    @property
    def bundle_id(self) -> str: ...

    def embed(self, chip: Chip) -> EmbeddedChip:
        """Raises OverloadedError when too many chips are waiting."""
        ...

    def imagine(self, chip: Chip) -> NDArray[np.uint8]:
        """Pseudo-SAR pictures of an optical chip: uint8 `[K, h, w]`.

        Raises:
            InvalidRequestError: the chip is SAR, or the bundle has no translator.
        """
        ...

    def busy_s(self) -> float:
        """Seconds that the longest computation under way has been going on; 0 when there is none.

        Few seconds are a busy service; many are one that hangs.
        """
        ...


class Gallery(Protocol):
    """Vessels, and the embedded sightings of one bundle. Safe to call from many threads.

    Every writing method returns only when the change would survive a crash. All raise
    `StoreUnavailableError` when the store does not answer and `StoreFullError` when it is full;
    nothing is then acknowledged.
    """

    def put_vessel(self, vessel: Vessel) -> None:
        """Insert or replace."""
        ...

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        """The vessels that exist among `ids`, in any state."""
        ...

    def find_by_imo(self, imo: str) -> list[Vessel]:
        """Vessels in any state that carry this IMO number."""
        ...

    def claim(self, name: str, claim: Claim, instead_of: Claim | None) -> Claim:
        """Claim a name that one vessel may have; of many who do so at once, one gets it.

        Args:
            name: what is claimed, e.g. an IMO number.
            claim: by whom.
            instead_of: the standing claim that this one replaces; None where there is none.

        Returns:
            the claim that stands now.
        """
        ...

    def renew_claim(self, name: str, claim: Claim) -> bool:
        """Write when a claim was made anew; False where it stands no more, and then nothing."""
        ...

    def give_up(self, name: str, claim: Claim) -> None:
        """End a claim; another one stays."""
        ...

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]: ...

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        """Visible vessels only.

        Raises:
            InvalidRequestError: the cursor is not one that an earlier page returned.
        """
        ...

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Forget the vessel record alone; absent is fine."""
        ...

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        """Insert or replace, all or none, as sightings of `vessel` (None: identity open)."""
        ...

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        """Insert or replace as sightings whose identity is open; one that has a vessel stays.

        Whoever gives the same sighting a vessel meanwhile, it keeps that vessel.
        """
        ...

    def move_sightings(self, ids: Sequence[UUID], vessel: Vessel | None) -> None:
        """Give sightings to another vessel (None: identity open); ids and embeddings stay."""
        ...

    def sync_vessel(self, vessel: Vessel) -> None:
        """Refresh what the vessel's sightings know of it (type, registered length)."""
        ...

    def get_sighting(self, sighting_id: UUID) -> Sighting | None: ...

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        """All sightings of these vessels, ordered by recording time."""
        ...

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        """Absent ids are fine."""
        ...

    def uses_chip(self, chip_sha256: str) -> bool:
        """Whether any sighting still refers to these bytes."""
        ...

    def search(
        self,
        vector: NDArray[np.float32],
        where: SightingFilter,
        vessels: int,
        sightings_per_vessel: int = 3,
    ) -> list[VesselHit]:
        """The most similar visible vessels, best first, grouped from their sightings.

        Args:
            vector: float32 `[D]`, unit length.
            where: which enrolled sightings count.
            vessels: at most this many vessels.
            sightings_per_vessel: at most this many hits for each.
        """
        ...

    def counts(self) -> GalleryCounts: ...

    def ping(self) -> None:
        """Reach the store, or raise `StoreUnavailableError`; `StoreFullError` without room."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StoredChip:
    """A chip that is kept, and when it was last put, UTC by the store's clock."""

    sha256: str
    size_bytes: int
    stored_at: datetime


class ChipStore(Protocol):
    """Original chips by the SHA-256 of their bytes. Safe to call from many threads.

    All raise `StoreUnavailableError` when the store does not answer; `put` raises `StoreFullError`
    when it is full, and the chip is then not kept.
    """

    def put(self, data: bytes) -> str:
        """Keep the bytes durably and return their SHA-256; a repeat renews `stored_at` alone."""
        ...

    def get(self, sha256: str) -> bytes:
        """Raises NotFoundError when unknown, StoreUnavailableError when damaged or unreadable."""
        ...

    def delete(self, sha256: str) -> None:
        """Absent is fine."""
        ...

    def stored(self) -> Iterator[StoredChip]:
        """Every chip, whether anything refers to it or not."""
        ...

    def stored_at(self, sha256: str) -> datetime:
        """When the chip was last put, UTC; raises NotFoundError when unknown."""
        ...

    def ping(self) -> None:
        """Reach the store quickly, or raise `StoreUnavailableError`."""
        ...

    def close(self) -> None: ...


class BundleShelf(Protocol):
    """Installed bundles by id, from where every service takes those that its gallery moves to.

    All raise `StoreUnavailableError` or `StoreFullError` when the shelf fails.
    """

    def ids(self) -> list[str]: ...

    def put(self, bundle: Bundle) -> None:
        """Install a bundle, all of it or nothing; one that is there changes nothing."""
        ...

    def find(self, bundle_id: str) -> Path | None:
        """A folder of this machine with the bundle, its content verified; None: not installed.

        Raises:
            BundleError: what is installed is damaged.
        """
        ...

    def close(self) -> None: ...


class EmbeddingCache(Protocol):
    """Embeddings by a key of (bundle, modality, GSD, band, chip digest); may forget any time."""

    def get(self, key: str) -> NDArray[np.float32] | None: ...

    def put(self, key: str, vector: NDArray[np.float32]) -> None: ...


class MatchHistory(Protocol):
    """Matches whose query was stored, and what analysts made of them; knows no bundle.

    Safe to call from many threads. Writing returns when the change would survive a crash. All
    raise `StoreUnavailableError` when the store does not answer and `StoreFullError` when it is
    full; nothing is then acknowledged.
    """

    def put(self, kept: KeptMatch) -> None:
        """Insert or replace."""
        ...

    def get(self, match_id: UUID) -> KeptMatch | None: ...

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        """Newest first, by the time that is part of the id (see `history.new_match_id`).

        Raises:
            InvalidRequestError: the cursor is not one that an earlier page returned.
        """
        ...

    def unsettled(self) -> list[KeptMatch]: ...

    def all(self) -> Iterator[KeptMatch]:
        """Every match, in any order."""
        ...

    def ping(self) -> None:
        """Reach the store, or raise `StoreUnavailableError`; `StoreFullError` without room."""
        ...

    def close(self) -> None: ...


class AuditLog(Protocol):
    """The append-only record of what was done. Safe to call from many threads."""

    def append(self, entry: Mapping[str, object], *, closing: bool = False) -> None:
        """Keep the entry so that it survives a crash; entries are JSON values.

        Args:
            entry: what was done.
            closing: whether it ends what an entry before it began; room is kept for such, so that
                a disk that fills up between the two does not refuse what is already done.

        Raises:
            StoreUnavailableError, StoreFullError: the entry is not kept.
        """
        ...

    def ping(self) -> None:
        """Raise what `append` would raise now; no entry is made."""
        ...

    def close(self) -> None: ...


class GalleryArchive(Protocol):
    """The whole gallery, the sightings of every bundle included: for upgrades and backups.

    Errors are those of `Gallery`, and every writing method returns when its change is durable.
    """

    def bundles(self) -> dict[str, int]:
        """The bundles that have a place for sightings, and D, the width of their embeddings."""
        ...

    def prepare(self, bundle_id: str, width: int) -> None:
        """Make a place for the sightings of a bundle, if there is none."""
        ...

    def active(self) -> str | None:
        """The bundle whose sightings are served; None before the gallery was first used."""
        ...

    def activate(self, bundle_id: str) -> None:
        """Serve the sightings of this bundle from now on; one step, and all services see it."""
        ...

    def vessels(self) -> Iterator[Vessel]:
        """Every vessel in any state."""
        ...

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]: ...

    def put_vessels(self, vessels: Sequence[Vessel]) -> None: ...

    def sighting_ids(self, bundle_id: str) -> set[UUID]: ...

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        """Every sighting of a bundle, open ones included, tentative ones not."""
        ...

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """Those that exist among `ids`."""
        ...

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        """Insert or replace; `owners` holds the vessel of each sighting that has one.

        What is `tentative` is marked so until it is confirmed or a service writes it anew.
        """
        ...

    def tentative(self, bundle_id: str) -> set[UUID]:
        """Sightings of this bundle's place that were not confirmed."""
        ...

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        """Take the mark off; absent ids are fine."""
        ...

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        """Delete those of them that are tentative, from this bundle's place alone."""
        ...

    def chips_shown(self) -> set[str]:
        """Digests of the chips that the sightings of any bundle refer to."""
        ...

    def uses_chip(self, chip_sha256: str) -> bool:
        """Whether any sighting of any bundle refers to these bytes."""
        ...

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        """From this bundle's place alone; absent ids are fine."""
        ...

    def close(self) -> None: ...
