"""The port of the whole gallery, the sightings of every bundle included."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from service.identity.records.sightings import (
    EmbeddedSighting,
    Sighting,
)
from service.identity.records.vessels import Vessel


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
