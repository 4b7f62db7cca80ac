"""Write a small simulated fleet for the demo: optical chips to enrol, SAR chips to match."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.ships.vessel import VesselModel, generator, sample_fleet, size_twin
from model_training.simulator.views import View, render_view

_FIRST_NAMES = (
    "SIM AURORA", "SIM BOREALIS", "SIM CORMORANT", "SIM DELTA", "SIM EIDER", "SIM FULMAR",
    "SIM GANNET", "SIM HALCYON", "SIM IBIS", "SIM JAEGER", "SIM KITTIWAKE", "SIM LAPWING",
)  # fmt: skip
_SECOND_NAMES = ("TRADER", "SPIRIT", "STAR", "PIONEER", "VENTURE", "HORIZON")
_SAR_DECIMALS = 2  # few distinct values compress well
_JPEG_QUALITY = 88
_FIRST_STRANGER_ID = 901
_STRANGER_EVERY = 3  # strangers are size twins of every third enrolled ship
_TWIN_EVERY = 11  # enrolled ships that are size twins of the ship before them
_LENGTH_M = (60.0, 260.0)  # longer ships would make the files large
_CANDIDATES = 4  # ships drawn for each one wanted, as some are outside those lengths
_SEED = 90
_NAME_STREAM = 51
"""Key that keeps the random stream of the IMO numbers apart from those of the ships."""
_FREE_STEMS = (200001, 499999)
"""IMO numbers without check digit that no ship has: ships have numbers from 5000000 up, and
yachts and new ships below 2000000."""


def write_demo_fleet(out_dir: Path, vessels: int = 44, strangers: int = 8) -> dict[str, int]:
    """Write the demo fleet; the default one has at most 3 MB.

    `bounding_box_test/` holds two optical chips of each enrolled ship (JPEG), `query/` one SAR
    chip of every second enrolled ship and of each stranger (float32 TIFF). Sisters and size twins
    are among both. Strangers have ids above 900, SAR chips only, and a line in vessels.csv
    whose name says so.

    Args:
        out_dir: a new or empty folder.

    Returns:
        Counts of enrolled vessels, strangers and chips, and the bytes written.

    Raises:
        FileExistsError: the folder already holds something.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir} is not empty; the fleet is written to a new folder")
    # Many sisters and few poor views: the demo shows what the match tells apart.
    config = SimulatorConfig(sister_fraction=0.5, cloud_probability=0.0, bad_crop_probability=0.02)
    fleet = _fleet(vessels, config)
    unknown = [size_twin(fleet[_STRANGER_EVERY * i], i, _SEED) for i in range(strangers)]
    chips = 0
    for number, vessel in enumerate(fleet, start=1):
        for view in (0, 1):
            sight = render_view(vessel, "optical", view, config)
            _jpeg(out_dir / "bounding_box_test" / f"{number:04d}_s01c{view + 1}_RGB.jpg", sight)
            chips += 1
        if number % 2:
            sight = render_view(vessel, "sar", 0, config)
            _tiff(out_dir / "query" / f"{number:04d}_s01c3_SAR.tif", sight)
            chips += 1
    for i, vessel in enumerate(unknown):
        sight = render_view(vessel, "sar", 0, config)
        _tiff(out_dir / "query" / f"{_FIRST_STRANGER_ID + i:04d}_s01c3_SAR.tif", sight)
        chips += 1
    _vessels_csv(out_dir / "vessels.csv", fleet, unknown)
    about = {
        "domain": "simulated",
        "seed": _SEED,
        "config": config.model_dump(mode="json"),
        "note": "No satellite took these chips; no such ships exist.",
    }
    (out_dir / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")
    size = sum(p.stat().st_size for p in out_dir.rglob("*") if p.is_file())
    return {"vessels": len(fleet), "strangers": len(unknown), "chips": chips, "bytes": size}


def _fleet(vessels: int, config: SimulatorConfig) -> list[VesselModel]:
    """Draw the ships to enrol, of 60 to 260 m; every eleventh is a size twin of its predecessor."""
    shortest, longest = _LENGTH_M
    candidates = sample_fleet(vessels * _CANDIDATES, _SEED, config)
    pool = (v for v in candidates if shortest < v.length_m < longest)
    fleet: list[VesselModel] = []
    for vessel in pool:
        fleet.append(vessel)
        if len(fleet) % _TWIN_EVERY == 0:
            fleet[-1] = size_twin(fleet[-2], len(fleet), _SEED)
        if len(fleet) == vessels:
            break
    return [replace(vessel, index=i) for i, vessel in enumerate(fleet)]


def _jpeg(path: Path, view: View) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(view.pixels).save(path, quality=_JPEG_QUALITY)


def _tiff(path: Path, view: View) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    amplitude = np.round(view.pixels, _SAR_DECIMALS).astype(np.float32)
    Image.fromarray(amplitude).save(path, format="TIFF", compression="tiff_adobe_deflate")


def imo_number(stem: int) -> str:
    """Append the check digit of an IMO number to its first six digits.

    The check digit is the last digit of the sum of the six digits times 7, 6, 5, 4, 3 and 2.
    Source: IMO resolution A.1117(30).

    Raises:
        ValueError: `stem` has not six digits.
    """
    digits = str(stem)
    if len(digits) != 6:
        raise ValueError(f"{stem} has not six digits")
    check = sum(int(d) * w for d, w in zip(digits, range(7, 1, -1), strict=True)) % 10
    return f"{digits}{check}"


def _vessels_csv(path: Path, fleet: list[VesselModel], unknown: list[VesselModel]) -> None:
    numbers = generator(_SEED, _NAME_STREAM)
    stems = numbers.choice(np.arange(*_FREE_STEMS), len(fleet), replace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "name", "imo", "type", "length_m", "beam_m"])
        for i, vessel in enumerate(fleet):
            first = _FIRST_NAMES[i % len(_FIRST_NAMES)]
            second = _SECOND_NAMES[i // len(_FIRST_NAMES) % len(_SECOND_NAMES)]
            imo = imo_number(int(stems[i]))
            table.writerow([f"{i + 1:04d}", f"{first} {second}", imo, *_description(vessel)])
        for i, vessel in enumerate(unknown):
            number = f"{_FIRST_STRANGER_ID + i:04d}"
            table.writerow([number, f"SIM STRANGER {i + 1}", "", *_description(vessel)])


def _description(vessel: VesselModel) -> tuple[str, str, str]:
    """Return type, length and beam as vessels.csv has them."""
    kind = vessel.vessel_type.replace("_", " ")
    return kind, f"{vessel.length_m:.0f}", f"{vessel.beam_m:.0f}"
