"""Work on the whole of what a service keeps: which bundle is served, upgrades, backups.

Joins settings and stores, as `app.py` does for requests.
"""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle import Bundle, open_bundle
from service.contract.chip import Chip
from service.contract.decode import ChipLimits
from service.contract.errors import BundleError
from service.identity.ports import GalleryArchive
from service.identity.reembed import Reembedding, Share
from service.inference.embedder import load_embedder
from service.settings import Settings
from service.storage.archive_edge import EdgeArchive
from service.storage.backup import Stores
from service.storage.chips import FolderChipStore
from service.storage.edge_folder import active_bundle

log = logging.getLogger("crossfix")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a run of `reembed` did.

    Attributes:
        source: the bundle that was served before; the target where there was nothing to do.
        target: the bundle to serve.
        embedded: sightings that this run embedded.
        left: sightings that still lack an embedding, of other workers' shares.
        serving: whether the target is served now.
    """

    source: str
    target: str
    embedded: int
    left: int
    serving: bool


def audit_folder(settings: Settings) -> Path:
    return settings.data_dir / "audit"


def bundles_folder(settings: Settings) -> Path:
    """Where bundles are installed that the gallery was moved to, each under its id."""
    return settings.data_dir / "bundles"


def open_archive(settings: Settings) -> GalleryArchive:
    """The whole gallery that the settings choose; see `GalleryArchive`."""
    if settings.qdrant_url is None:
        return EdgeArchive(settings.data_dir / "gallery")
    # Importing the client takes longer than all else; only this shape needs it.
    from service.storage.archive_server import open_server_archive

    key = settings.qdrant_api_key
    return open_server_archive(
        settings.qdrant_url,
        None if key is None else key.get_secret_value(),
        timeout_s=max(60.0, settings.qdrant_timeout_s),
    )


def open_stores(settings: Settings) -> Stores:
    """Everything that a backup holds."""
    return Stores(
        archive=open_archive(settings),
        chips=FolderChipStore(settings.data_dir / "chips"),
        audit=audit_folder(settings),
        bundles=bundles_folder(settings),
    )


def bundle_to_serve(settings: Settings) -> Path:
    """The folder of the bundle whose sightings the gallery serves, at the start of a service.

    Raises:
        BundleError: the gallery is served by a bundle that is not here.
        StoreUnavailableError: the gallery cannot be asked.
    """
    configured = open_bundle(settings.bundle).bundle_id
    if settings.qdrant_url is None:
        active = active_bundle(settings.data_dir / "gallery")
    else:
        archive = open_archive(settings)
        active = archive.active()
        archive.close()
    if active is None or active == configured:
        return settings.bundle
    log.warning("serving bundle %s, which the gallery is at, not %s", active, configured)
    return find_bundle(settings, active)


def find_bundle(settings: Settings, bundle_id: str) -> Path:
    """The folder of a bundle that was configured or installed.

    Raises:
        BundleError: there is none.
    """
    installed = bundles_folder(settings) / bundle_id
    if installed.is_dir():
        return installed
    configured = open_bundle(settings.bundle).bundle_id
    if configured == bundle_id:
        return settings.bundle
    raise BundleError(
        f"the gallery is served by bundle {bundle_id}, which is neither {settings.bundle} (that "
        f"is {configured}) nor in {bundles_folder(settings)}; set CROSSFIX_BUNDLE to the folder of "
        f"{bundle_id}, or move the gallery with `crossfix reembed --to {settings.bundle}`"
    )


def install_bundle(settings: Settings, bundle: Bundle) -> Path:
    """Copy a bundle beside the gallery, where services find it by its id."""
    place = bundles_folder(settings) / bundle.bundle_id
    if not place.is_dir():
        fresh = place.with_name(f".{bundle.bundle_id}.{os.getpid()}")
        shutil.copytree(bundle.path, fresh)
        try:
            fresh.rename(place)
        except OSError:
            shutil.rmtree(fresh)
            if not place.is_dir():
                raise
    open_bundle(place)
    return place


def upgrade(
    settings: Settings,
    folder: Path,
    share: Share | None = None,
    found: Callable[[int], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Upgrade:
    """Embed what the bundle in `folder` lacks; serve it once nothing is left.

    Args:
        settings: where the gallery and the chips are, and where the models run.
        folder: the bundle to move to.
        share: which part to embed; all by default.
        found: told how many sightings are to be embedded, each time they are looked for.
        advance: told how many of them were done, batch by batch.

    Raises:
        BundleError, StoreUnavailableError, StoreFullError, ChipError, NotFoundError: what is done
            is kept; the same command goes on from there.
    """
    bundle = open_bundle(folder)
    archive = open_archive(settings)
    try:
        install_bundle(settings, bundle)
        source = archive.active()
        if source in (None, bundle.bundle_id):
            return Upgrade(bundle.bundle_id, bundle.bundle_id, 0, 0, source is not None)
        assert source is not None
        _keep_way_back(settings, source)
        embedder = load_embedder(folder, settings.device, settings.threads)
        archive.prepare(bundle.bundle_id, embedder.width)
        moving = Reembedding(
            archive,
            FolderChipStore(settings.data_dir / "chips"),
            lambda chips: [one.vector for one in embedder.embed_many(chips)],
            source,
            bundle.bundle_id,
            chip_limits(settings),
        )
        done = 0
        # Services enrol on meanwhile; each round finds what came during the one before.
        while missing := moving.missing(share):
            found(len(missing))
            gained = moving.carry(missing, advance)
            done += gained
            if not gained:
                break
        left = len(moving.left())
        if not left:
            moving.switch()
        return Upgrade(source, bundle.bundle_id, done, left, not left)
    finally:
        archive.close()


def carry_late(
    archive: GalleryArchive,
    settings: Settings,
    embed: Callable[[Sequence[Chip]], Sequence[NDArray[np.float32]]],
    source: str,
    target: str,
) -> int:
    """Bring over what was enrolled in the former bundle before this process left it."""
    moving = Reembedding(
        archive,
        FolderChipStore(settings.data_dir / "chips"),
        embed,
        source,
        target,
        chip_limits(settings),
    )
    return moving.carry(moving.missing())


def chip_limits(settings: Settings) -> ChipLimits:
    """What a chip file may be, as the settings say."""
    return ChipLimits(
        max_bytes=int(settings.max_chip_mb * 1_000_000), max_side_px=settings.max_chip_side_px
    )


def _keep_way_back(settings: Settings, source: str) -> None:
    """Install the bundle that is being left, if it is at hand, so that one can move back."""
    try:
        install_bundle(settings, open_bundle(find_bundle(settings, source)))
    except BundleError as error:
        log.warning("moving back will need the folder of bundle %s: %s", source, error)
