"""`crossfix-train scenes`: measure what asking about the chips of one image together gains."""

import json
from pathlib import Path
from typing import Annotated

import typer

from model_training.cli import common
from model_training.cli.measuring import embed_for_measuring


def scenes(
    bundle: Annotated[Path, typer.Option(help="Folder of a calibrated bundle.")],
    data: Annotated[Path, typer.Option(help="Chips in HOSS layout, simulated or genuine.")],
    count: Annotated[int, typer.Option("--scenes", min=1, help="How many scenes to draw.")] = 100,
    chips: Annotated[int, typer.Option(min=2, max=200, help="Ships in each scene.")] = 15,
    gallery: Annotated[int, typer.Option(min=1, help="Vessels to search.")] = 500,
    enrolled_share: Annotated[
        float, typer.Option(min=0.01, max=1, help="Probability that a ship is enrolled.")
    ] = 0.5,
    look_alikes: Annotated[
        bool,
        typer.Option(
            "--look-alikes",
            help="Ships of one type and about one length, searched for among themselves and a "
            "third as many others like them; --gallery has no effect.",
        ),
    ] = False,
    calibration: common.CalibrationOption = None,
    seed: common.SeedOption = 0,
    threads: common.ThreadsOption = 0,
    as_json: common.JsonOption = False,
) -> None:
    """Match chips of one image singly and together; print R1, its gain, calibration errors.

    Each scene has SAR chips of different ships, some of which are enrolled; in half of the scenes
    they are of about one length. Most is gained where many chips claim one vessel: --look-alikes. A
    small data set, such as genuine chips of one acquisition, is drawn again and again with other
    ships enrolled. Probabilities expect one half to be enrolled.
    """
    from model_training.data.hoss import all_chips, read_hoss
    from model_training.evaluation.look_alikes import read_vessels
    from model_training.studies.scenes import measure_scenes

    with common.exit_on_error(ValueError):
        spec = common.open_calibration(bundle, calibration)
        table = embed_for_measuring(all_chips(read_hoss(data)), [bundle], threads)
        types = {ship: known.vessel_type for ship, known in read_vessels(data).items()}
        report = measure_scenes(
            *(table, spec.match, count, chips, gallery, enrolled_share, seed),
            anchorages=types if look_alikes else None,
        )
    if as_json:
        print(json.dumps(report.document(), indent=2))
        return
    print(
        f"{report.scenes} scenes of {report.chips} chips in galleries of {report.gallery:.0f} "
        f"vessels, {report.ships} ships"
    )
    for label, way in (("alone", report.alone), ("together", report.together)):
        first, none = way.first_candidate.ece, way.none.ece
        print(f"  {label}: R1 {way.first} %, ECE first candidate {first:.3f}, ECE none {none:.3f}")
    print(f"  gain of R1: {report.gain} points")
