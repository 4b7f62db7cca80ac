"""Open the stores that the settings choose.

This is the only module that opens a store, and the only one that decides between the embedded
gallery (no Qdrant address) and the shared gallery on a Qdrant server, between a folder and a
bucket, and between the memory of this process and Redis. Clients that need not be installed, or
take long to import, are imported where they are used.

Opening a store raises StoreUnavailableError if it cannot be reached or used, is damaged, or is open
in another process, StoreFullError if the disk is full, and SettingsError if a bucket was chosen and
its client is not installed.
"""

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from service.access.idempotency import CLAIM_LIFETIME_S, RESPONSE_LIFETIME_S, IdempotencyStore
from service.access.rate_limits import RateLimiter
from service.identity.context import WriteAll, in_parallel, in_sequence
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.audit import AuditLog
from service.identity.ports.bundles import BundleStore
from service.identity.ports.cache import EmbeddingCache
from service.identity.ports.chips import ChipStore
from service.identity.ports.claims import ClaimStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.ports.outbox import Outbox
from service.maintenance.backup import BackupStores
from service.settings import PREFIX, S3_TRIES, Settings, SettingsError
from service.storage.audit.archive import FolderAuditArchive
from service.storage.audit.log import open_audit_log
from service.storage.edge.archive import EdgeArchive
from service.storage.edge.folder import active_bundle
from service.storage.edge.gallery import EdgeGallery
from service.storage.local.bundles import FolderBundleStore
from service.storage.local.cache import MemoryCache
from service.storage.local.chips import ABANDONED_AFTER_S, FolderChipStore
from service.storage.local.claims import MemoryClaimStore
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from service.storage.local.outbox import FolderOutbox
from service.storage.local.rate_limits import MemoryRateLimiter, Rate
from service.storage.server.repeating import CallWatch
from service.storage.sqlite.matches import SqliteMatchStore

if TYPE_CHECKING:
    from service.storage.redis.link import RedisLink
    from service.storage.s3.bucket import Bucket
    from service.storage.server.connection import ServerConnection
    from service.storage.server.replication import Replication

WHOLE_GALLERY_TIMEOUT_S = 60.0
"""The least timeout of requests to a Qdrant server that concern the whole gallery."""

TIMEOUTS_PER_CALL = 3
"""The most timeouts that a call to a Qdrant server takes, with its repetitions."""

SHORTEST_STEP_S = 60.0
CALLS_PER_STEP = 12
BUCKET_CALLS_PER_STEP = 3
"""The most store calls that a change makes between two renewals of its lease."""


@dataclass(frozen=True)
class SharedStores:
    """The stores that stay open when the service moves to another bundle."""

    chips: ChipStore
    matches: MatchStore
    claims: ClaimStore
    cache: EmbeddingCache
    redis: "RedisLink | None"
    audit: AuditLog
    outbox: Outbox
    write_all: WriteAll

    def close(self) -> None:
        """Close every store."""
        if self.redis is not None:
            self.redis.close()
        self.audit.close()
        self.matches.close()
        self.claims.close()
        self.chips.close()


def is_embedded(settings: Settings) -> bool:
    """Return whether the gallery is in the data folder, where only this process can use it."""
    return settings.qdrant_url is None


def protect_data_folder(settings: Settings) -> None:
    """Let nobody but this user read the data folder, or any file that this process creates.

    A folder of another user, such as a volume that replicas share, is left as it is, and so is one
    that holds other files alone: it may have been named by mistake.
    """
    os.umask(0o077)
    with suppress(OSError):
        names = {path.name for path in settings.data_dir.iterdir()}
        if not names or names & {"gallery", "audit", "keys.json"}:
            settings.data_dir.chmod(0o700)


def open_shared_stores(
    settings: Settings, redis: "RedisLink | None", watch: CallWatch
) -> SharedStores:
    """Open the stores that do not depend on the bundle, after the embedded gallery was opened."""
    with ExitStack() as on_error:
        chips = open_chips(settings)
        on_error.callback(chips.close)
        matches = open_matches(settings, watch=watch)
        on_error.callback(matches.close)
        claims = open_claims(settings, watch)
        on_error.callback(claims.close)
        audit = open_audit_log(audit_folder(settings), settings.replica)
        on_error.pop_all()
    cache = _open_cache(settings, redis)
    outbox = FolderOutbox(settings.data_dir / "outbox")
    write_all = in_sequence if is_embedded(settings) else in_parallel
    return SharedStores(chips, matches, claims, cache, redis, audit, outbox, write_all)


def open_gallery(
    settings: Settings, bundle_id: str, width: int, watch: CallWatch | None = None
) -> Gallery:
    """Open the gallery with the sightings of one bundle, whose embeddings are `width` wide."""
    if is_embedded(settings):
        return EdgeGallery(settings.data_dir / "gallery", bundle_id, width)
    from service.storage.server.gallery import ServerGallery

    return ServerGallery(_connect(settings, watch=watch), bundle_id, width)


def open_archive(settings: Settings) -> GalleryArchive:
    """Open the whole gallery, with the sightings of every bundle."""
    if is_embedded(settings):
        return EdgeArchive(settings.data_dir / "gallery")
    from service.storage.server.archive import ServerArchive

    return ServerArchive(_connect(settings, WHOLE_GALLERY_TIMEOUT_S))


def active_bundle_id(settings: Settings) -> str | None:
    """Return the bundle whose sightings the gallery serves; None before it was first used.

    Creates nothing.
    """
    if is_embedded(settings):
        return active_bundle(settings.data_dir / "gallery")
    from service.storage.server.archive import active_bundle as active_on_server

    return active_on_server(_connect(settings, WHOLE_GALLERY_TIMEOUT_S))


def open_matches(
    settings: Settings, least_timeout_s: float = 0.0, watch: CallWatch | None = None
) -> MatchStore:
    """Open the match records.

    In the data folder, the lock of the gallery covers them too: open the gallery, or its archive,
    before them and close it after them.

    Args:
        least_timeout_s: the least timeout of requests to a Qdrant server.
        watch: of the calls of this process to it; None: of these calls alone.
    """
    if is_embedded(settings):
        return SqliteMatchStore(settings.data_dir / "matches.sqlite")
    from service.storage.server.matches import ServerMatchStore

    return ServerMatchStore(_connect(settings, least_timeout_s, watch))


def open_claims(settings: Settings, watch: CallWatch | None = None) -> ClaimStore:
    """Open the claims: on the Qdrant server, or in the memory of the only process."""
    if is_embedded(settings):
        return MemoryClaimStore()
    from service.storage.server.claims import ServerClaimStore

    return ServerClaimStore(_connect(settings, watch=watch))


def place_of_gallery(settings: Settings) -> str:
    """Return where the gallery is, for messages."""
    return f"the folder {settings.data_dir}" if is_embedded(settings) else "the Qdrant server"


def longest_step(settings: Settings) -> timedelta | None:
    """Return how long a few store calls may take, see `Recovery`; None for a single writer."""
    if is_embedded(settings):
        return None
    seconds = max(SHORTEST_STEP_S, CALLS_PER_STEP * TIMEOUTS_PER_CALL * settings.qdrant_timeout_s)
    if settings.chip_store == "s3":
        seconds = max(seconds, BUCKET_CALLS_PER_STEP * S3_TRIES * settings.s3_timeout_s)
    return timedelta(seconds=seconds)


def open_chips(settings: Settings, abandoned_after_s: float = ABANDONED_AFTER_S) -> ChipStore:
    """Open the chip store, and check that it answers.

    Args:
        abandoned_after_s: the age in seconds from which files of interrupted writes are removed
            from the folder.
    """
    if settings.chip_store == "folder":
        return FolderChipStore(settings.data_dir / "chips", abandoned_after_s)
    bucket = _open_bucket(settings)
    from service.storage.s3.chips import BucketChipStore

    chips = BucketChipStore(bucket)
    try:
        chips.ping()
    except BaseException:
        chips.close()
        raise
    return chips


def open_bundle_store(settings: Settings) -> BundleStore:
    """Open the store of installed bundles.

    With a bucket, the data folder holds copies of the bundles that this machine uses.
    """
    folder = settings.data_dir / "bundles"
    if settings.chip_store == "folder":
        return FolderBundleStore(folder)
    bucket = _open_bucket(settings)
    from service.storage.s3.bundles import BucketBundleStore

    return BucketBundleStore(bucket, folder)


def open_backup_stores(settings: Settings) -> BackupStores:
    """Open the stores that a backup reads and a restore writes."""
    with ExitStack() as on_error:
        archive = open_archive(settings)
        on_error.callback(archive.close)
        matches = open_matches(settings, WHOLE_GALLERY_TIMEOUT_S)
        on_error.callback(matches.close)
        chips = open_chips(settings)
        on_error.callback(chips.close)
        bundles = open_bundle_store(settings)
        on_error.pop_all()
    audit = FolderAuditArchive(audit_folder(settings))
    return BackupStores(archive, chips, audit, bundles, matches)


def audit_folder(settings: Settings) -> Path:
    """Return the folder of the audit log."""
    return settings.data_dir / "audit"


def _open_cache(settings: Settings, redis: "RedisLink | None") -> EmbeddingCache:
    if redis is None:
        return MemoryCache(settings.cache_entries)
    from service.storage.redis.cache import RedisCache

    return RedisCache(redis)


def open_redis(settings: Settings) -> "RedisLink | None":
    """Open the link to Redis; return None when none is configured."""
    if settings.redis_url is None:
        return None
    from service.storage.redis.link import RedisLink

    return RedisLink(settings.redis_url)


def open_rate_limiter(settings: Settings, redis: "RedisLink | None") -> RateLimiter | None:
    """Open the rate limiter, with Redis that of all replicas; return None without a limit."""
    if settings.rate_limit_per_minute == 0:
        return None
    rate = Rate(settings.rate_limit_per_minute, settings.rate_limit_burst)
    local = MemoryRateLimiter(rate)
    if redis is None:
        return local
    from service.storage.redis.rate_limits import RedisRateLimiter

    return RedisRateLimiter(redis, rate, local)


def open_idempotency_store(redis: "RedisLink | None") -> IdempotencyStore:
    """Open the idempotency store, with Redis that of all replicas."""
    lifetimes = Lifetimes(CLAIM_LIFETIME_S, RESPONSE_LIFETIME_S)
    local = MemoryIdempotencyStore(lifetimes)
    if redis is None:
        return local
    from service.storage.redis.idempotency import RedisIdempotencyStore

    return RedisIdempotencyStore(redis, lifetimes, local)


def open_replication(settings: Settings) -> "Replication":
    """Open the replication of the collections on the Qdrant server.

    Raises:
        SettingsError: the gallery is embedded.
    """
    if is_embedded(settings):
        raise SettingsError(
            f"{PREFIX}QDRANT_URL is not set: an embedded gallery has no collections on a server"
        )
    from service.storage.server.replication import Replication

    return Replication(_connect(settings, WHOLE_GALLERY_TIMEOUT_S))


def _connect(
    settings: Settings, least_timeout_s: float = 0.0, watch: CallWatch | None = None
) -> "ServerConnection":
    """Return a connection to the Qdrant server, for one store."""
    from service.storage.server.connection import ServerConnection

    timeout_s = max(least_timeout_s, settings.qdrant_timeout_s)
    api_key = _revealed(settings.qdrant_api_key)
    return ServerConnection(settings.qdrant_urls, api_key, timeout_s, watch)


def _open_bucket(settings: Settings) -> "Bucket":
    try:
        from service.storage.s3.bucket import Bucket, BucketPlace
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{PREFIX}CHIP_STORE is s3, which needs the package {error.name}: install it with "
            "pip install 'crossfix[s3]'"
        ) from error
    assert settings.s3_bucket is not None
    return Bucket(
        BucketPlace(
            name=settings.s3_bucket,
            prefix=settings.s3_prefix or "",
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key_id=_revealed(settings.s3_access_key_id),
            secret_access_key=_revealed(settings.s3_secret_access_key),
            timeout_s=settings.s3_timeout_s,
            tries=S3_TRIES,
        )
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
