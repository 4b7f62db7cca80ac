"""Move a gallery to another bundle: embed every chip with it, then serve it."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.contract.bundle import open_bundle
from service.contract.chip import Chip
from service.contract.decoding.decode import ChipLimits
from service.contract.embedding import EmbeddedChip
from service.contract.errors import BundleError
from service.identity.audit_trail import AuditTrail
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.bundles import BundleStore
from service.identity.ports.chips import ChipStore
from service.maintenance.reembed import Reembedding, Share

log = logging.getLogger("crossfix")

Progress = Callable[[int], None]


class BatchEmbedder(Protocol):
    """The models of a bundle, without the queue of a service."""

    @property
    def width(self) -> int:
        """D, the width of an embedding."""
        ...

    def embed_many(self, chips: Sequence[Chip]) -> Sequence[EmbeddedChip]:
        """Embed several chips at once."""
        ...


@dataclass(frozen=True, slots=True)
class UpgradeContext:
    """What an upgrade works with.

    Attributes:
        archive: the whole gallery.
        chips: original chips.
        bundles: installed bundles.
        limits: limits on chip files.
        load: opens the models of the bundle in a folder.
        find: returns the folder of a bundle by its id; raises BundleError when it is not at hand.
        audit: opens the audit trail for the change of a bundle.
    """

    archive: GalleryArchive
    chips: ChipStore
    bundles: BundleStore
    limits: ChipLimits
    load: Callable[[Path], BatchEmbedder]
    find: Callable[[str], Path]
    audit: Callable[[str], AbstractContextManager[AuditTrail]]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a run of `upgrade` did.

    Attributes:
        source: the bundle that was served before; the target where there was nothing to do.
        target: the bundle to serve.
        embedded: sightings that this run embedded.
        left: sightings that still lack an embedding, in the shares of other workers.
        serving: whether the target is served now.
    """

    source: str
    target: str
    embedded: int
    left: int
    serving: bool


def upgrade(
    context: UpgradeContext,
    folder: Path,
    share: Share | None = None,
    found: Progress = lambda _: None,
    advance: Progress = lambda _: None,
) -> Upgrade:
    """Embed what the bundle in `folder` lacks; serve the bundle once no embedding is missing.

    Args:
        context: the stores and the models.
        folder: the bundle to move to.
        share: the part of the sightings to embed, and what is enrolled in the meantime; all by
            default.
        found: receives the number of sightings to embed, each time they are looked for.
        advance: receives the number of sightings that were embedded, batch by batch.

    Raises:
        BundleError, StoreUnavailableError, StoreFullError, ChipError, NotFoundError: what is done
            stays done; the same command goes on from there.
    """
    bundle, archive = open_bundle(folder), context.archive
    context.bundles.put(bundle)
    source = archive.active()
    if source is None or source == bundle.bundle_id:
        return Upgrade(bundle.bundle_id, bundle.bundle_id, 0, 0, serving=source is not None)
    _install_former(context, source)
    embedder = context.load(folder)
    archive.prepare(bundle.bundle_id, embedder.width)
    moving = Reembedding(
        archive,
        context.chips,
        lambda chips: [embedded.vector for embedded in embedder.embed_many(chips)],
        source,
        bundle.bundle_id,
        context.limits,
    )
    embedded = _embed_missing(moving, share, found, advance)
    left = len(moving.left())
    if not left:
        with (
            context.audit(bundle.bundle_id) as trail,
            trail.change("switch-bundle", former=source, embedded=embedded),
        ):
            moving.switch()
    return Upgrade(source, bundle.bundle_id, embedded, left, serving=not left)


def _embed_missing(
    moving: Reembedding, share: Share | None, found: Progress, advance: Progress
) -> int:
    """Embed this worker's share, and then what services enrolled in the meantime."""
    moving.mend()
    done = 0
    others = frozenset() if share is None else moving.of_others(share)
    while missing := moving.missing(without=others):
        found(len(missing))
        gained = moving.carry(missing, advance)
        done += gained
        if not gained:
            break
    return done


def _install_former(context: UpgradeContext, source: str) -> None:
    """Install the bundle that is being left, if it is at hand, so that one can move back."""
    try:
        context.bundles.put(open_bundle(context.find(source)))
    except BundleError as error:
        log.warning("moving back will need the folder of bundle %s: %s", source, error)
