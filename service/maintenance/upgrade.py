"""Move a gallery to another bundle: embed every chip with it, then serve it."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from service.contract.bundle import open_bundle
from service.contract.embedding import BatchEmbedder
from service.contract.errors import BundleError
from service.identity.audit_trail import AuditTrail
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.bundles import BundleStore
from service.identity.ports.chips import ChipStore
from service.maintenance.progress import Progress
from service.maintenance.reembed import Reembedding, Share

log = logging.getLogger("crossfix")


@dataclass(frozen=True, slots=True)
class UpgradeContext:
    """The stores and functions that an upgrade uses.

    Attributes:
        load: opens the models of the bundle in a folder.
        find: returns the folder of a bundle by its id; raises BundleError when there is none.
        audit: opens the audit trail for the change of a bundle.
    """

    archive: GalleryArchive
    chips: ChipStore
    bundles: BundleStore
    load: Callable[[Path], BatchEmbedder]
    find: Callable[[str], Path]
    audit: Callable[[str], AbstractContextManager[AuditTrail]]


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """What a run of `upgrade` did.

    Attributes:
        source: the bundle that was served before; the target where there was nothing to do.
        embedded: sightings that this run embedded.
        left: sightings that still lack an embedding: those in the shares of other workers.
    """

    source: str
    target: str
    embedded: int
    left: int
    serving: bool


def upgrade(
    context: UpgradeContext, folder: Path, share: Share | None, found: Progress, advance: Progress
) -> UpgradeResult:
    """Embed the sightings that the bundle in `folder` lacks; serve it once none is missing.

    Args:
        share: the part of the sightings to embed, besides those enrolled in the meantime; None
            for all.
        found: receives the number of missing sightings, each time they are looked for.
        advance: receives the number of sightings embedded, after each batch.

    Raises:
        BundleError, StoreUnavailableError, StoreFullError, ChipError, NotFoundError: finished
            batches are kept; the same command continues from there.
    """
    bundle, archive = open_bundle(folder), context.archive
    context.bundles.put(bundle)
    source = archive.active()
    if source is None or source == bundle.bundle_id:
        return UpgradeResult(bundle.bundle_id, bundle.bundle_id, 0, 0, serving=source is not None)
    _install_former_bundle(context, source)
    embedder = context.load(folder)
    archive.prepare(bundle.bundle_id, embedder.width)
    reembedding = Reembedding(
        archive,
        context.chips,
        lambda chips: [embedded.vector for embedded in embedder.embed_many(chips)],
        source,
        bundle.bundle_id,
    )
    embedded = _embed_missing(reembedding, share, found, advance)
    left = len(reembedding.remaining())
    if not left:
        with (
            context.audit(bundle.bundle_id) as trail,
            trail.change("switch-bundle", former=source, embedded=embedded),
        ):
            reembedding.switch()
    return UpgradeResult(source, bundle.bundle_id, embedded, left, serving=not left)


def _embed_missing(
    reembedding: Reembedding, share: Share | None, found: Progress, advance: Progress
) -> int:
    """Embed this worker's share, and the sightings that services enrol in the meantime."""
    reembedding.redo_tentative()
    embedded = 0
    others = frozenset() if share is None else reembedding.shares_of_others(share)
    while missing := reembedding.missing(excluding=others):
        found(len(missing))
        gained = reembedding.embed(missing, advance)
        embedded += gained
        if not gained:
            break
    return embedded


def _install_former_bundle(context: UpgradeContext, source: str) -> None:
    """Install the former bundle, if its folder is found, so that the gallery can move back."""
    try:
        context.bundles.put(open_bundle(context.find(source)))
    except BundleError as error:
        log.warning("moving back will need the folder of bundle %s: %s", source, error)
