"""Read a fleet from a folder or a CSV manifest."""

from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.hoss_folder import read_hoss_folder
from service.client.fleet.manifest_csv import read_manifest
from service.client.fleet.vessels import Fleet
from service.contract.chip import Modality


def read_fleet(
    source: Path,
    modality: str | None,
    gsd_m: float | None = None,
    framing: str | None = None,
    dataset: str | None = None,
) -> Fleet:
    """Read a folder in HOSS layout or a CSV manifest.

    Args:
        modality: `optical`, `sar` or `all`; None: optical from folders, all from manifests.
        gsd_m: metres per pixel of all chips of a folder; not for a manifest, which has a column.
        framing: `auto` or `as_is`, of all chips of a folder; None: what the service does. A
            manifest has a column.
        dataset: name of the data set; None: the source's name.

    Raises:
        SourceError: the source cannot be used.
    """
    if source.is_dir():
        folder = read_hoss_folder(source, dataset)
        return folder.fleet(_modalities(modality or "optical"), gsd_m, framing)
    if not source.is_file():
        raise SourceError(f"{source} does not exist; give a folder of chips or a CSV manifest")
    if source.suffix.lower() != ".csv":
        raise SourceError(f"{source} is neither a folder nor a .csv manifest")
    if gsd_m is not None:
        raise SourceError("a manifest gives metres per pixel in its column gsd_m, not by option")
    if framing is not None:
        raise SourceError("a manifest says in its column framing how chips are framed")
    kept = None if modality in (None, "all") else _modalities(modality)
    return read_manifest(source, kept, dataset)


def _modalities(name: str) -> frozenset[Modality]:
    return frozenset(Modality) if name == "all" else frozenset({Modality(name)})
