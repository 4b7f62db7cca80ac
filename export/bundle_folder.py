"""Write a bundle to disk."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.contract.bundle import (
    MANIFEST_NAME,
    Bundle,
    describe_file,
    open_bundle,
    require_safe_name,
    validate_manifest,
)
from service.contract.durable_files import sync_folder, write_file
from service.contract.errors import BundleError


def write_bundle(
    folder: Path,
    manifest_without_files: Mapping[str, Any],
    files: Mapping[str, bytes | Path],
    *,
    replace: bool = False,
) -> Bundle:
    """Write a bundle to a temporary folder, verify it there, then rename the folder.

    Args:
        folder: folder of the bundle; its parent is created.
        manifest_without_files: every field of `Manifest` but `files`, as pydantic accepts them.
        files: content, or the path of a file to copy, by name inside the bundle.

    Raises:
        BundleError: the manifest does not validate, a name is unsafe, or `folder` exists.
    """
    if folder.exists() and not replace:
        raise BundleError(f"{folder} exists already; choose another folder or replace it")
    if folder.exists() and not (folder / MANIFEST_NAME).is_file():
        raise BundleError(f"{folder} is not a bundle and is not replaced")
    for name in files:
        require_safe_name(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        staged = scratch / "bundle"
        _write_files(staged, files)
        specs = {name: describe_file(staged / name) for name in sorted(files)}
        manifest = validate_manifest({**manifest_without_files, "files": specs}, folder)
        text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
        write_file(staged / MANIFEST_NAME, text.encode())
        bundle = open_bundle(staged)
        if folder.exists():
            folder.rename(scratch / "replaced")
        staged.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Bundle(folder, bundle.manifest, bundle.bundle_id)


def _write_files(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    folder.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, data)
    sync_folder(folder)
