"""Another bundle: the shipped models under another name, so that nothing needs to be trained."""

from pathlib import Path

from export.bundle_folder import write_bundle
from service.contract.bundle import Bundle, open_bundle
from service.settings import SHIPPED_BUNDLE


def second_bundle(folder: Path) -> Bundle:
    shipped = open_bundle(SHIPPED_BUNDLE)
    manifest = shipped.manifest.model_dump(exclude={"files"}) | {"name": "second"}
    files = {name: shipped.path / name for name in shipped.manifest.files}
    return write_bundle(folder, manifest, files)
