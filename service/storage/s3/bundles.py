"""Installed bundles in an S3-compatible bucket, and copies of those that this machine uses.

Objects `bundles/<bundle id>/<file>` under the bucket's prefix. The manifest is stored last, so a
bundle without one was not stored whole and counts as not there.
"""

import json
from pathlib import Path

from service.contract.bundle import MANIFEST_NAME, Bundle, require_safe_name
from service.contract.errors import BundleError
from service.storage.local.bundles import FolderBundleStore
from service.storage.s3.bucket import Bucket

FOLDER = "bundles/"


class BucketBundleStore:
    """A `BundleStore` that replicas and jobs on many machines share."""

    def __init__(self, bucket: Bucket, copies: Path) -> None:
        """Takes the bucket over. `copies` is a folder of this machine for bundles in use."""
        self._bucket = bucket
        self._copies = FolderBundleStore(copies)

    def ids(self) -> list[str]:
        names = (kept.key.removeprefix(FOLDER) for kept in self._bucket.objects(FOLDER))
        pairs = (name.split("/", 1) for name in names)
        return sorted(pair[0] for pair in pairs if pair[1:] == [MANIFEST_NAME])

    def put(self, bundle: Bundle) -> None:
        if self._bucket.about(_key(bundle.bundle_id, MANIFEST_NAME)) is not None:
            return
        for name in (*sorted(bundle.manifest.files), MANIFEST_NAME):
            self._bucket.put_file(_key(bundle.bundle_id, name), bundle.path / name)

    def find(self, bundle_id: str) -> Path | None:
        if (here := self._copies.find(bundle_id)) is not None:
            return here
        manifest = self._bucket.get(_key(bundle_id, MANIFEST_NAME))
        if manifest is None:
            return None
        names = _listed(manifest, bundle_id)

        def download(fresh: Path) -> None:
            (fresh / MANIFEST_NAME).write_bytes(manifest)
            for name in names:
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                # A missing file is told by the check of the whole.
                self._bucket.get_file(_key(bundle_id, name), fresh / name)

        return self._copies.fill(bundle_id, download)

    def close(self) -> None:
        self._bucket.close()


def _listed(manifest: bytes, bundle_id: str) -> list[str]:
    """The files that a manifest lists; the whole is verified once they are here."""
    try:
        names = [str(name) for name in json.loads(manifest)["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"the manifest of bundle {bundle_id} in the bucket is damaged") from error
    for name in names:
        require_safe_name(name)
    return names


def _key(bundle_id: str, name: str) -> str:
    return f"{FOLDER}{bundle_id}/{name}"
