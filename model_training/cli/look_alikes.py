"""`crossfix-train look-alikes`: measure galleries of ships of one type and one size."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from model_training.cli import common
from model_training.cli.measuring import embed_for_measuring
from model_training.cli.tables import look_alike_table, print_table
from service.contract.manifest import Metric


def look_alikes(
    data: Annotated[
        list[Path],
        typer.Option(help="Chips in HOSS layout, simulated or genuine; may be repeated."),
    ],
    bundle: common.BundleOption = None,
    checkpoint: common.CheckpointsOption = None,
    vessel_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only ships of this type; may be repeated.")
    ] = None,
    galleries: Annotated[int, typer.Option(help="Galleries drawn per protocol.", min=1)] = 400,
    out: common.MetricsOption = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name of each --data in --out; default: the folders'.")
    ] = None,
    draws: common.DrawsOption = 2000,
    seed: common.SeedOption = 0,
    threads: common.ThreadsOption = 0,
    as_json: common.JsonOption = False,
) -> None:
    """Measure O2O, S2O and O2S among look-alikes: 29 ships of one type within 10 % of a length.

    Types and lengths come from the data set's vessels.csv. Without it, as with genuine chips, the
    chips' own length decides and types are unknown. Each number has a 95 % interval.
    """
    from model_training.data.hoss import all_chips, read_hoss
    from model_training.evaluation import look_alikes as yardstick

    results: dict[str, Any] = {}
    metrics: list[Metric] = []
    with common.exit_on_error(ValueError, yardstick.LookAlikeError):
        if name is not None and len(name) != len(data):
            raise ValueError(f"{len(name)} names for {len(data)} data sets; give one each")
        for place, folder in enumerate(data):
            chips = all_chips(read_hoss(folder))
            table = embed_for_measuring(chips, common.model_paths(bundle, checkpoint), threads)
            measured = yardstick.look_alikes(
                table,
                yardstick.read_vessels(folder),
                galleries=galleries,
                types=vessel_type or (),
                draws=draws,
                seed=seed,
            )
            title = name[place] if name else folder.resolve().name
            results[title] = measured
            metrics += yardstick.look_alike_metrics(measured, title)
        if out is not None:
            common.write_metrics(out, metrics)
    if as_json:
        documents = {
            title: {protocol: result.document() for protocol, result in measured.items()}
            for title, measured in results.items()
        }
        print(json.dumps(documents, indent=2))
    else:
        print_table(look_alike_table(results))
