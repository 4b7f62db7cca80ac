"""`crossfix-train reliability`: measure a bundle's probabilities on a small set of chips."""

import json
from pathlib import Path
from typing import Annotated

import typer

from model_training.cli import common
from model_training.cli.measuring import embed_both_ways


def reliability(
    bundle: Annotated[Path, typer.Option(help="Folder of a calibrated bundle.")],
    data: Annotated[Path, typer.Option(help="Chips in HOSS layout, simulated or genuine.")],
    out: common.MetricsOption = None,
    name: common.DataNameOption = None,
    calibration: common.CalibrationOption = None,
    seed: common.SeedOption = 0,
    threads: common.ThreadsOption = 0,
    as_json: common.JsonOption = False,
) -> None:
    """Match every chip with its vessel in the gallery and without; compare with the truth.

    As the service does, tight chips are compared both ways round with the `bow_preference`.
    Prints ECE of the first candidate and of "none of them", and the highest probability of a wrong
    answer. The gallery holds all other vessels of the data set.
    """
    from model_training.calibration.known_and_unknown import measure_known_and_unknown
    from model_training.data.hoss import all_chips, read_hoss

    with common.exit_on_error(ValueError):
        spec = common.open_calibration(bundle, calibration)
        table = embed_both_ways(all_chips(read_hoss(data)), bundle, threads, seed)
        measured = measure_known_and_unknown(table, spec, seed)
        if out is not None:
            common.write_metrics(out, measured.metrics(name or data.resolve().name))
    if as_json:
        print(json.dumps(measured.document(), indent=2))
        return
    print(f"{measured.searches} searches with the chips of {measured.ships} ships")
    for label, error in (("first candidate", measured.first), ("none of them", measured.none)):
        print(f"  ECE {label}: {error:.3f}")
    print(f"  highest probability of a wrong answer: {measured.highest_wrong:.3f}")
    print(f"  right first candidate where enrolled: {measured.first_right:.1%}")
