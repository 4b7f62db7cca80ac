"""Where what outlives a bundle is kept, as the settings choose.

Original chips and installed bundles are kept under the data folder or in a bucket, remembered
matches where the gallery is.
"""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from service.identity.ports.bundles import BundleStore
from service.identity.ports.chips import ChipStore
from service.identity.ports.matches import MatchStore
from service.settings import PREFIX, S3_TRIES, Settings, SettingsError
from service.storage.edge.matches import open_edge_matches
from service.storage.local.bundles import FolderBundleStore
from service.storage.local.chips import ABANDONED_AFTER_S, FolderChipStore

if TYPE_CHECKING:
    from service.storage.s3.bucket import Bucket


def open_chips(settings: Settings, abandoned_after_s: float = ABANDONED_AFTER_S) -> ChipStore:
    """The chip store that the settings choose; it has answered once.

    What interrupted writes to a folder left so long ago is removed.

    Raises:
        SettingsError: a bucket was chosen and its client is not installed.
        StoreUnavailableError: the store cannot be reached or used.
        StoreFullError: the disk is full.
    """
    if settings.chip_store == "folder":
        return FolderChipStore(settings.data_dir / "chips", abandoned_after_s)
    bucket = _bucket(settings)
    from service.storage.s3.chips import BucketChipStore

    chips = BucketChipStore(bucket)
    try:
        chips.ping()
    except BaseException:
        chips.close()
        raise
    return chips


def open_bundle_store(settings: Settings) -> BundleStore:
    """The shelf of installed bundles that the settings choose; raises as `open_chips`.

    With a bucket, the data folder holds copies of the bundles that this machine uses.
    """
    folder = settings.data_dir / "bundles"
    if settings.chip_store == "folder":
        return FolderBundleStore(folder)
    bucket = _bucket(settings)
    from service.storage.s3.bundles import BucketBundleStore

    return BucketBundleStore(bucket, folder)


def open_matches(settings: Settings, least_timeout_s: float = 0.0) -> MatchStore:
    """The match history that the settings choose.

    In the data folder it belongs to whoever has the gallery open there: the gallery, or its
    archive, is opened before this and closed after it.

    Args:
        settings: where the gallery is.
        least_timeout_s: a Qdrant server is given this long to answer, also where the settings
            say less.

    Raises:
        StoreUnavailableError: the folder is damaged, or cannot be used.
        StoreFullError: the disk is full.
    """
    if settings.qdrant_url is None:
        return open_edge_matches(settings.data_dir / "matches")
    # Importing the client takes longer than all else; only this shape needs it.
    from service.storage.server.matches import open_server_matches

    return open_server_matches(
        settings.qdrant_url,
        api_key=_shown(settings.qdrant_api_key),
        timeout_s=max(least_timeout_s, settings.qdrant_timeout_s),
    )


def _bucket(settings: Settings) -> "Bucket":
    # Importing the client takes long, and it need not be installed; only this shape needs it.
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
            access_key_id=_shown(settings.s3_access_key_id),
            secret_access_key=_shown(settings.s3_secret_access_key),
            timeout_s=settings.s3_timeout_s,
            tries=S3_TRIES,
        )
    )


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
