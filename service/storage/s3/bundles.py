"""Installed bundles in an S3-compatible bucket, with local copies of those in use.

Objects `bundles/<bundle id>/<file>` under the bucket's prefix. The manifest is stored last, so a
bundle without one is incomplete and counts as not installed.
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
        """Use a bucket, which `close` closes, and a folder of this machine for `copies`."""
        self._bucket = bucket
        self._copies = FolderBundleStore(copies)

    def ids(self) -> list[str]:
        names = (one.key.removeprefix(FOLDER) for one in self._bucket.objects(FOLDER))
        pairs = (name.split("/", 1) for name in names)
        return sorted(pair[0] for pair in pairs if pair[1:] == [MANIFEST_NAME])

    def put(self, bundle: Bundle) -> None:
        if self._bucket.find(_key(bundle.bundle_id, MANIFEST_NAME)) is not None:
            return
        for name in (*sorted(bundle.manifest.files), MANIFEST_NAME):
            self._bucket.put_file(_key(bundle.bundle_id, name), bundle.path / name)

    def find(self, bundle_id: str) -> Path | None:
        if (copy := self._copies.find(bundle_id)) is not None:
            return copy
        manifest = self._bucket.get(_key(bundle_id, MANIFEST_NAME))
        if manifest is None:
            return None
        names = _listed_files(manifest, bundle_id)

        def download(folder: Path) -> None:
            (folder / MANIFEST_NAME).write_bytes(manifest)
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                # `install` verifies the bundle, and so reports a missing file.
                self._bucket.get_file(_key(bundle_id, name), folder / name)

        return self._copies.install(bundle_id, download)

    def close(self) -> None:
        self._bucket.close()


def _listed_files(manifest: bytes, bundle_id: str) -> list[str]:
    """Return the files that a manifest lists."""
    try:
        names = [str(name) for name in json.loads(manifest)["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"the manifest of bundle {bundle_id} in the bucket is damaged") from error
    for name in names:
        require_safe_name(name)
    return names


def _key(bundle_id: str, name: str) -> str:
    return f"{FOLDER}{bundle_id}/{name}"
