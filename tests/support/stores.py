"""A gallery that services and an archive open in turn, and its re-embedding for another bundle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from service.contract.chip import Chip
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.records.vessels import Vessel
from service.maintenance.backup import BackupStores
from service.maintenance.reembed import Reembedding
from service.storage.audit.archive import FolderAuditArchive
from service.storage.edge.archive import EdgeArchive
from service.storage.edge.gallery import EdgeGallery
from service.storage.local.bundles import FolderBundleStore
from service.storage.server.archive import ServerArchive
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from service.storage.server.layout import DEFAULT_PREFIX
from service.storage.server.matches import ServerMatchStore
from service.storage.sqlite.matches import SqliteMatchStore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel
from tests.support.inputs.chips import optical_png
from tests.support.real_qdrant import Connect

OLD, NEW, NEW_WIDTH = BUNDLE, "newb0ba0", 8


class UnclosableClient(QdrantClient):
    """A client with an in-memory server that stays when a store closes the client."""

    def close(self, *_: object, **__: object) -> None:
        return


def in_memory() -> Connect:
    """Return how to connect to a new server in memory."""
    client = UnclosableClient(":memory:")
    return lambda: ServerConnection(client)


@dataclass
class Site:
    """The place of one gallery, opened by a service of some bundle or as an archive in turn.

    Attributes:
        kind: `edge` is in the folder, others on a server.
        connect: connects to the server, where collections begin with `prefix`.
    """

    kind: str
    folder: Path
    connect: Connect = field(default_factory=in_memory)
    prefix: str = DEFAULT_PREFIX

    def service(self, bundle: str = OLD, width: int = WIDTH) -> Gallery:
        if self.kind == "edge":
            return EdgeGallery(self.folder, bundle, width)
        return ServerGallery(self.connect(), bundle, width, self.prefix)

    def archive(self) -> GalleryArchive:
        if self.kind == "edge":
            return EdgeArchive(self.folder)
        return ServerArchive(self.connect(), self.prefix)

    def matches(self) -> MatchStore:
        """Open the match records, while the archive or a service has the gallery open."""
        if self.kind == "edge":
            return SqliteMatchStore(self.folder / "matches.sqlite")
        return ServerMatchStore(self.connect(), self.prefix)


def vector_of(chip: Chip) -> NDArray[np.float32]:
    """Return a unit vector of the new width that depends on the pixels."""
    seed = int(chip.digest[:8], 16)
    vector = np.random.default_rng(seed).normal(size=NEW_WIDTH)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def embed(several: Sequence[Chip]) -> list[NDArray[np.float32]]:
    return [vector_of(chip) for chip in several]


def enrol(site: Site, chips: FakeChipStore, seeds: Sequence[int], **attributes: object) -> Vessel:
    """Enrol a vessel with one optical chip for each seed, by a service of the old bundle."""
    gallery = site.service()
    vessel = make_vessel(**attributes)
    gallery.put_vessel(vessel)
    gallery.put_sightings(
        [
            embedded(0.5, vessel, chip_sha256=chips.put(optical_png(seed, height=12, width=8)))
            for seed in seeds
        ],
        vessel,
    )
    gallery.close()
    return vessel


def prepare_reembedding(archive: GalleryArchive, chips: FakeChipStore) -> Reembedding:
    archive.prepare(NEW, NEW_WIDTH)
    return Reembedding(archive, chips, embed, OLD, NEW)


def move_to_new_bundle(site: Site, chips: FakeChipStore) -> None:
    archive = site.archive()
    task = prepare_reembedding(archive, chips)
    task.embed(task.missing())
    task.switch()
    archive.close()


class KilledError(RuntimeError):
    """The run was killed."""


def kill_after_first_write(
    archive: GalleryArchive, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]
) -> None:
    """Raise KilledError after the first write of sightings; call `meanwhile` before it."""
    write = archive.put_sightings

    def write_and_fail(*args: Any, **named: Any) -> None:
        meanwhile()
        write(*args, **named)
        raise KilledError

    monkeypatch.setattr(archive, "put_sightings", write_and_fail)


def stores(site: Site, chips: FakeChipStore, folder: Path) -> BackupStores:
    bundles = FolderBundleStore(folder / "bundles")
    return BackupStores(
        site.archive(), chips, FolderAuditArchive(folder / "audit"), bundles, site.matches()
    )
