"""Work on the whole of what a service keeps: which bundle is served, upgrades, backups.

Joins settings and stores, as `app.py` does for requests.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.access.caller import LOCAL, Caller, called_by
from service.contract.bundle import open_bundle
from service.contract.chip import Chip
from service.contract.decoding.decode import ChipLimits
from service.contract.errors import BundleError
from service.identity.audit_trail import AuditTrail
from service.identity.originals import Swept, sweep
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.bundles import BundleStore
from service.inference.embedder import load_embedder
from service.maintenance.backup import BackupStores
from service.maintenance.reembed import Reembedding, Share
from service.settings import Settings
from service.storage.audit.log import open_audit_log
from service.storage.edge.archive import EdgeArchive
from service.storage.edge.folder import active_bundle
from service.wiring.stores import open_bundle_store, open_chips, open_matches

log = logging.getLogger("crossfix")

WHOLE_TIMEOUT_S = 60.0
"""How long a Qdrant server may take for a request of such work, at least."""


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


def open_archive(settings: Settings) -> GalleryArchive:
    """The whole gallery that the settings choose; see `GalleryArchive`."""
    if settings.qdrant_url is None:
        return EdgeArchive(settings.data_dir / "gallery")
    # Importing the client takes longer than all else; only this shape needs it.
    from service.storage.server.archive import open_server_archive

    key = settings.qdrant_api_key
    return open_server_archive(
        settings.qdrant_url,
        None if key is None else key.get_secret_value(),
        timeout_s=max(WHOLE_TIMEOUT_S, settings.qdrant_timeout_s),
    )


def open_stores(settings: Settings) -> BackupStores:
    """Everything that a backup holds; to be closed."""
    with ExitStack() as unless_all_is_well:
        archive = open_archive(settings)
        unless_all_is_well.callback(archive.close)
        matches = open_matches(settings, WHOLE_TIMEOUT_S)
        unless_all_is_well.callback(matches.close)
        chips = open_chips(settings)
        unless_all_is_well.callback(chips.close)
        bundles = open_bundle_store(settings)
        unless_all_is_well.pop_all()
    return BackupStores(archive, chips, audit_folder(settings), bundles, matches)


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
        StoreUnavailableError, StoreFullError: it cannot be fetched.
    """
    configured = open_bundle(settings.bundle).bundle_id
    if configured == bundle_id:
        return settings.bundle
    with closing(open_bundle_store(settings)) as shelf:
        installed = shelf.find(bundle_id)
    if installed is not None:
        return installed
    raise BundleError(
        f"the gallery is served by bundle {bundle_id}, which is neither {settings.bundle} (that "
        f"is {configured}) nor installed; set CROSSFIX_BUNDLE to the folder of "
        f"{bundle_id}, or move the gallery with `crossfix reembed --to {settings.bundle}`"
    )


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
        share: which part to embed, and what is enrolled meanwhile; all by default.
        found: told how many sightings are to be embedded, each time they are looked for.
        advance: told how many of them were done, batch by batch.

    Raises:
        BundleError, StoreUnavailableError, StoreFullError, ChipError, NotFoundError: what is done
            is kept; the same command goes on from there.
    """
    bundle = open_bundle(folder)
    with ExitStack() as opened:
        archive = opened.enter_context(closing(open_archive(settings)))
        chips = opened.enter_context(closing(open_chips(settings)))
        shelf = opened.enter_context(closing(open_bundle_store(settings)))
        shelf.put(bundle)
        source = archive.active()
        if source in (None, bundle.bundle_id):
            return Upgrade(bundle.bundle_id, bundle.bundle_id, 0, 0, source is not None)
        assert source is not None
        _keep_way_back(settings, shelf, source)
        embedder = load_embedder(folder, settings.device, settings.threads)
        archive.prepare(bundle.bundle_id, embedder.width)
        moving = Reembedding(
            archive,
            chips,
            lambda several: [one.vector for one in embedder.embed_many(several)],
            source,
            bundle.bundle_id,
            chip_limits(settings),
        )
        moving.mend()
        done = 0
        others = frozenset() if share is None else moving.of_others(share)
        # Services enrol on meanwhile; each round finds what came during the one before.
        while missing := moving.missing(without=others):
            found(len(missing))
            gained = moving.carry(missing, advance)
            done += gained
            if not gained:
                break
        left = len(moving.left())
        if not left:
            with (
                recorded(settings, bundle.bundle_id) as trail,
                trail.change("switch-bundle", former=source, embedded=done),
            ):
                moving.switch()
        return Upgrade(source, bundle.bundle_id, done, left, not left)


def carry_late(
    archive: GalleryArchive,
    settings: Settings,
    embed: Callable[[Sequence[Chip]], Sequence[NDArray[np.float32]]],
    source: str,
    target: str,
) -> int:
    """Bring over what was enrolled in the former bundle before this process left it."""
    with closing(open_chips(settings)) as chips:
        moving = Reembedding(archive, chips, embed, source, target, chip_limits(settings))
        moving.mend()
        return moving.carry(moving.missing())


def sweep_originals(
    settings: Settings,
    older_than: timedelta,
    remove: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> Swept:
    """Find original chips that nothing refers to, and delete them if told so; see `sweep`."""
    with ExitStack() as opened:
        archive = opened.enter_context(closing(open_archive(settings)))
        chips = opened.enter_context(closing(open_chips(settings)))
        return sweep(archive, chips, datetime.now(UTC) - older_than, remove, advance)


@contextmanager
def recorded(settings: Settings, bundle_id: str) -> Iterator[AuditTrail]:
    """The audit trail for what a person does here with a command."""
    log = open_audit_log(audit_folder(settings), settings.replica)
    with closing(log), called_by(lambda: Caller(LOCAL)):
        yield AuditTrail(log, lambda: datetime.now(UTC), bundle_id)


def chip_limits(settings: Settings) -> ChipLimits:
    """What a chip file may be, as the settings say."""
    return ChipLimits(
        max_bytes=int(settings.max_chip_mb * 1_000_000), max_side_px=settings.max_chip_side_px
    )


def _keep_way_back(settings: Settings, shelf: BundleStore, source: str) -> None:
    """Install the bundle that is being left, if it is at hand, so that one can move back."""
    try:
        shelf.put(open_bundle(find_bundle(settings, source)))
    except BundleError as error:
        log.warning("moving back will need the folder of bundle %s: %s", source, error)
