"""Write confirmed ships as a folder in HOSS layout, with the provenance of every chip.

    bounding_box_train/<id>_s<number>c<1 optical, 2 SAR>_{RGB,SAR}.tif
    vessels.csv      what is registered of each ship
    provenance.csv   a line for each chip: which sighting it is, who confirmed it, its GSD
    rejected.csv     a line for each vessel that an analyst ruled out for a query
    left_out.csv     what is not there, and why
    dataset.json     counts, and whether the chips are simulated

Chips are written as the models see them: decoded and framed, uint8 RGB or float32 amplitude. The
digest in `provenance.csv` is that of the uploaded file.
"""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from service.client.dataset.archive import Archive, LeftOut, Rejection, Ship
from service.client.errors import RefusedError, SourceError
from service.client.fleet.vessels import VESSEL_NUMBERS, VESSEL_TEXTS
from service.client.remote.client import Client
from service.client.remote.models import Sighting
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError
from service.contract.framing.apply import frame
from service.contract.framing.records import FramingMode
from service.contract.hoss_names import PROVENANCE_FILE, TRAIN_FOLDER

FORMAT_VERSION = 1
VESSEL_COLUMNS = (*VESSEL_TEXTS, *VESSEL_NUMBERS)
PROVENANCE_COLUMNS = (
    *("file", "id", "vessel_id", "sighting_id", "known_by", "match_id", "judged_by", "judged_at"),
    *("chip_sha256", "modality", "gsd_m", "gsd_source", "framing", "sensor"),
    *("captured_at", "captured_until", "lat", "lon", "source", "licence", "simulated"),
)
REJECTED_COLUMNS = (
    *("match_id", "sighting_id", "chip_sha256", "modality", "vessel_id", "vessel_sighting_id"),
    *("probability", "judged_by", "judged_at", "note"),
)
_SUFFIX = {"optical": ("c1", "RGB"), "sar": ("c2", "SAR")}
_ONE_SENSOR = "chips of one sensor only, so that there is no pair to learn from"
_NO_GSD = "nobody stated metres per pixel"


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What was written, and what was left out."""

    folder: Path
    ships: int
    simulated_ships: int
    chips: int
    confirmed_chips: int
    chips_with_assumed_gsd: int
    rejected_matches: int
    rejected_pairs: int
    left_out: tuple[LeftOut, ...]

    @property
    def reasons(self) -> dict[tuple[str, str], int]:
        """Count what was left out by kind and reason, the most frequent first."""
        return dict(Counter((one.kind, one.reason) for one in self.left_out).most_common())

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        kinds = {
            "genuine": self.ships > self.simulated_ships,
            "simulated": self.simulated_ships > 0,
        }
        return asdict(self) | {
            "folder": str(self.folder),
            "domain": "+".join(kind for kind, there in kinds.items() if there),
            "left_out": [
                {"kind": kind, "reason": reason, "count": count}
                for (kind, reason), count in self.reasons.items()
            ],
        }


def write_dataset(
    client: Client,
    archive: Archive,
    out: Path,
    *,
    stated_gsd_only: bool = False,
    replace: bool = False,
    advance: Callable[[int], object] = lambda _: None,
) -> DatasetReport:
    """Fetch the chips of confirmed ships and write the folder, which appears when it is complete.

    Args:
        archive: what it knows, see `read_archive`.
        out: the folder; must not exist, unless `replace`.
        stated_gsd_only: leave out chips whose metres per pixel are the sensor's usual ones because
            nobody stated them.
        advance: called with 1 after each ship.

    Raises:
        SourceError: the folder exists or cannot be written, or there is no ship to write.
    """
    if out.exists() and not replace:
        raise SourceError(f"{out} exists already; give another folder, or --replace")
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        (partial / TRAIN_FOLDER).mkdir(parents=True)
        try:
            writer = _Writer(client, partial, stated_gsd_only, list(archive.left_out))
            for ship in archive.ships:
                writer.add(ship)
                advance(1)
            if not writer.ships:
                raise SourceError(_nothing(writer.left_out))
            report = writer.finish(out, archive.rejections)
            if out.exists():
                shutil.rmtree(out)
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise SourceError(f"{out} cannot be written: {error.strerror or error}") from error
    return report


def _nothing(left_out: Iterable[LeftOut]) -> str:
    reasons = Counter(f"{one.kind}: {one.reason}" for one in left_out)
    why = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(5))
    return "no confirmed ship has chips of both sensors" + (f" ({why})" if why else "")


class _Writer:
    """Writes chips and tables into the partial folder, and counts them."""

    def __init__(
        self, client: Client, folder: Path, stated_gsd_only: bool, left_out: list[LeftOut]
    ) -> None:
        self.client, self.folder, self.left_out = client, folder, left_out
        self.stated_gsd_only = stated_gsd_only
        self.ships: list[Ship] = []
        self.lines: list[dict[str, Any]] = []

    def add(self, ship: Ship) -> None:
        """Write a ship, unless its usable chips are of one sensor."""
        chips = []
        for sighting in ship.sightings:
            chip = self._chip(sighting)
            if isinstance(chip, str):
                self.left_out.append(LeftOut("sighting", sighting.id, chip))
            else:
                chips.append((sighting, chip))
        if len({sighting.modality for sighting, _ in chips}) < 2:
            self.left_out.append(LeftOut("vessel", ship.vessel.id, _ONE_SENSOR))
            return
        self.ships.append(ship)
        for number, (sighting, chip) in enumerate(chips, start=1):
            camera, suffix = _SUFFIX[sighting.modality]
            name = f"{ship.number}_s{number:02d}{camera}_{suffix}.tif"
            # an optical chip is RGB, a SAR chip float32 amplitude, as in HOSS
            Image.fromarray(chip.pixels).save(
                self.folder / TRAIN_FOLDER / name, format="TIFF", compression="tiff_adobe_deflate"
            )
            self.lines.append(_provenance(name, ship, sighting, chip))

    def _chip(self, sighting: Sighting) -> Chip | str:
        """Return a sighting's chip as the models see it, or why it cannot be used."""
        if self.stated_gsd_only and sighting.gsd_source == "default":
            return _NO_GSD
        try:
            data = self.client.chip(sighting.id)
        except RefusedError as error:
            return f"the chip is not kept: {error}"
        mode = FramingMode.AS_IS if sighting.framing is None else FramingMode(sighting.framing.mode)
        try:
            chip = decode_chip(
                data, modality=Modality(sighting.modality), gsd_m=sighting.gsd_m, band=sighting.band
            )
            return frame(chip, mode).chip
        except ChipError as error:
            return f"the chip cannot be read: {error}"

    def finish(self, out: Path, rejections: Iterable[Rejection]) -> DatasetReport:
        """Write the tables and return the report."""
        vessels = [
            {"id": ship.number, **_known(ship.vessel.document(), VESSEL_COLUMNS)}
            for ship in self.ships
        ]
        rejected = [line for rejection in rejections for line in _rejected(rejection)]
        left_out = [{"kind": o.kind, "id": o.id, "reason": o.reason} for o in self.left_out]
        _write_csv(self.folder / "vessels.csv", ("id", *VESSEL_COLUMNS), vessels)
        _write_csv(self.folder / PROVENANCE_FILE, PROVENANCE_COLUMNS, self.lines)
        _write_csv(self.folder / "rejected.csv", REJECTED_COLUMNS, rejected)
        _write_csv(self.folder / "left_out.csv", ("kind", "id", "reason"), left_out)
        report = DatasetReport(
            folder=out,
            ships=len(self.ships),
            chips=len(self.lines),
            confirmed_chips=sum(line["known_by"] == "confirmed" for line in self.lines),
            simulated_ships=sum(ship.is_simulated for ship in self.ships),
            chips_with_assumed_gsd=sum(line["gsd_source"] == "default" for line in self.lines),
            rejected_matches=len({line["match_id"] for line in rejected}),
            rejected_pairs=len(rejected),
            left_out=tuple(self.left_out),
        )
        about = {
            "format": FORMAT_VERSION,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "service": self.client.url,
            "bundle_id": self.client.bundle().bundle_id,
            **{name: value for name, value in report.document().items() if name != "folder"},
        }
        text = json.dumps(about, indent=2, ensure_ascii=False)
        (self.folder / "dataset.json").write_text(text + "\n", encoding="utf-8")
        return report


def _provenance(name: str, ship: Ship, sighting: Sighting, chip: Chip) -> dict[str, Any]:
    confirmation = ship.confirmed.get(sighting.id)
    document = sighting.document()
    position = document["position"] or {}
    return {
        "file": name,
        "id": ship.number,
        "vessel_id": ship.vessel.id,
        "sighting_id": sighting.id,
        "known_by": "enrolled" if confirmation is None else "confirmed",
        "match_id": None if confirmation is None else confirmation.match_id,
        "judged_by": None if confirmation is None else confirmation.by,
        "judged_at": None if confirmation is None else confirmation.at.isoformat(),
        "chip_sha256": sighting.sha256,
        "gsd_m": chip.gsd_m,
        "framing": "as_is" if sighting.framing is None else sighting.framing.method,
        "simulated": str(ship.is_simulated).lower(),
        **_known(position, ("lat", "lon")),
        **_known(
            document,
            ("modality", "gsd_source", "sensor", "captured_at", "captured_until", "source"),
        ),
        "licence": sighting.licence,
    }


def _rejected(rejection: Rejection) -> list[dict[str, Any]]:
    """Return a line for each pair of the query and a vessel that it does not show."""
    match, judgement = rejection.match, rejection.judgement
    return [
        {
            "match_id": match.match_id,
            "sighting_id": match.query.sighting_id,
            "chip_sha256": match.query.sha256,
            "modality": match.query.modality,
            "vessel_id": candidate.vessel.id,
            "vessel_sighting_id": candidate.sighting.id,
            "probability": candidate.probability,
            "judged_by": judgement.by,
            "judged_at": judgement.at.isoformat(),
            "note": judgement.note,
        }
        for candidate in match.candidates
    ]


def _known(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: document.get(name) for name in names}


def _write_csv(path: Path, columns: Iterable[str], lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a table; what is None becomes an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
