"""Open the stores for work on the whole gallery, and run it.

Where there is no gallery, the work raises ConflictError and creates nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.access.caller import LOCAL, Caller, called_by
from service.contract.chip import Chip
from service.contract.utc_time import utc_now
from service.identity.audit_trail import AuditTrail
from service.identity.errors import ConflictError
from service.identity.ports.archive import GalleryArchive
from service.inference.embedder import load_embedder
from service.maintenance.backup import BackupStores, holds_nothing
from service.maintenance.backup_format import read_backup_manifest
from service.maintenance.check import CheckResult, check_all
from service.maintenance.progress import Progress, ignore_progress
from service.maintenance.reembed import Reembedding, Share
from service.maintenance.retention import Retained, RetentionLimits, apply_retention
from service.maintenance.sweep import SweepResult, sweep
from service.maintenance.upgrade import UpgradeContext, UpgradeResult, upgrade
from service.settings import PREFIX, Settings, SettingsError
from service.storage.audit.log import open_audit_log
from service.wiring import stores
from service.wiring.bundles import find_bundle
from service.wiring.gallery_markers import require_complete

_OTHER_GALLERY = f"set --data-dir or {PREFIX}QDRANT_URL as your service does"


def upgrade_gallery(
    settings: Settings,
    folder: Path,
    share: Share | None = None,
    found: Progress = ignore_progress,
    advance: Progress = ignore_progress,
) -> UpgradeResult:
    """Move the gallery to the bundle in `folder`; see `upgrade` and `require_gallery`."""
    require_gallery(settings)
    with ExitStack() as opened:
        context = UpgradeContext(
            archive=opened.enter_context(closing(stores.open_archive(settings))),
            chips=opened.enter_context(closing(stores.open_chips(settings))),
            bundles=opened.enter_context(closing(stores.open_bundle_store(settings))),
            load=lambda bundle: load_embedder(bundle, settings.device, settings.threads),
            find=partial(find_bundle, settings),
            audit=partial(_local_trail, settings),
        )
        return upgrade(context, folder, share, found, advance)


def embed_late_sightings(
    archive: GalleryArchive,
    settings: Settings,
    embed: Callable[[Sequence[Chip]], Sequence[NDArray[np.float32]]],
    source: str,
    target: str,
) -> int:
    """Embed for `target` the sightings that were enrolled in `source` before it was left.

    Args:
        embed: embeds chips with the models of `target`: float32 `[D]` each, unit length.
        source: the bundle that was served before.
        target: the bundle that is served now.

    Returns:
        The number of sightings that were embedded.
    """
    with closing(stores.open_chips(settings)) as chips:
        reembedding = Reembedding(archive, chips, embed, source, target)
        reembedding.redo_tentative()
        return reembedding.embed(reembedding.missing())


def sweep_originals(
    settings: Settings, older_than: timedelta, remove: bool, advance: Progress = ignore_progress
) -> SweepResult:
    """Find original chips that no sighting uses, and delete them if `remove`; see `sweep`."""
    require_gallery(settings)
    with (
        closing(stores.open_archive(settings)) as archive,
        closing(stores.open_chips(settings)) as chips,
    ):
        return sweep(archive, chips, utc_now() - older_than, remove, advance)


def require_gallery(settings: Settings) -> str:
    """Return the active bundle of a gallery that is there and complete; create nothing.

    Raises:
        ConflictError: there is no gallery.
        StoreUnavailableError: an interrupted restore left it behind, or it cannot be read.
    """
    require_complete(settings)
    active = stores.active_bundle_id(settings)
    if active is None:
        raise ConflictError(
            f"there is no gallery in {stores.place_of_gallery(settings)}; {_OTHER_GALLERY}"
        )
    return active


def open_to_back_up(settings: Settings, allow_empty: bool = False) -> BackupStores:
    """Open the stores of a gallery that there is to back up.

    Args:
        allow_empty: whether to open a gallery that is not there or holds nothing.

    Raises:
        ConflictError: there is no gallery, or it holds nothing; nothing was created.
    """
    if allow_empty:
        require_complete(settings)
    else:
        require_gallery(settings)
    opened = stores.open_backup_stores(settings)
    if not allow_empty and holds_nothing(opened):
        opened.close()
        raise ConflictError(
            f"the gallery in {stores.place_of_gallery(settings)} holds nothing to back up; "
            f"{_OTHER_GALLERY}, or pass --allow-empty"
        )
    return opened


def open_to_restore(settings: Settings, source: Path) -> BackupStores:
    """Open the stores to restore the backup in `source` into.

    Raises:
        ConflictError: the data folder is in the backup; nothing was created.
        StoreUnavailableError: `source` is no backup; nothing was created.
    """
    read_backup_manifest(source)
    if settings.data_dir.resolve().is_relative_to(source.resolve()):
        raise ConflictError(
            f"the data folder {settings.data_dir} is in the backup {source}; set --data-dir to "
            "another folder"
        )
    return stores.open_backup_stores(settings)


def check_gallery(settings: Settings, advance: Progress) -> CheckResult:
    """Compare every record and chip with its digest; see `check_all`."""
    require_gallery(settings)
    with closing(stores.open_backup_stores(settings)) as opened:
        return check_all(opened.archive, opened.matches, opened.chips, advance)


def retention_limits(settings: Settings) -> RetentionLimits:
    """Return what the settings keep of matches and open sightings."""
    return RetentionLimits(
        match_age=timedelta(days=settings.keep_matches_days) or None,
        matches=settings.keep_matches or None,
        sighting_age=timedelta(days=settings.keep_open_sightings_days) or None,
        sightings=settings.keep_open_sightings or None,
        restorable=timedelta(days=settings.restore_days),
    )


def retain_in_gallery(settings: Settings) -> Retained:
    """Delete old matches and open sightings as the settings say; see `apply_retention`.

    Raises:
        SettingsError: no limit is set.
    """
    limits = retention_limits(settings)
    if not limits.any:
        raise SettingsError(
            f"no limit is set: set {PREFIX}KEEP_MATCHES_DAYS, {PREFIX}KEEP_MATCHES, "
            f"{PREFIX}KEEP_OPEN_SIGHTINGS_DAYS or {PREFIX}KEEP_OPEN_SIGHTINGS"
        )
    active = require_gallery(settings)
    with closing(stores.open_archive(settings)) as archive:
        width = archive.bundles()[active]
    with (
        closing(stores.open_gallery(settings, active, width)) as gallery,
        closing(stores.open_matches(settings)) as matches,
        closing(stores.open_chips(settings)) as chips,
        _local_trail(settings, active) as trail,
    ):
        return apply_retention(gallery, matches, chips, trail, limits, utc_now())


@contextmanager
def _local_trail(settings: Settings, bundle_id: str) -> Iterator[AuditTrail]:
    """Yield the audit trail of a command that a person runs on this machine."""
    log = open_audit_log(stores.audit_folder(settings), settings.replica)
    with closing(log), called_by(lambda: Caller(LOCAL)):
        yield AuditTrail(log, utc_now, bundle_id)
