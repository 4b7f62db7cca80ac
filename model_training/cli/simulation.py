"""`crossfix-train simulate` and `simulator-report`: write simulated chips and measure them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from model_training.cli.common import exit_on_error


def simulate(
    out: Annotated[Path, typer.Option(help="New folder for the data set, in HOSS layout.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML of simulator settings; unknown ones are errors.")
    ] = None,
    vessels: Annotated[int | None, typer.Option(help="How many ships.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the fleet.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: all cores.")] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Write each chip's ship mask and geometry, too.")
    ] = False,
    demo_fleet: Annotated[
        bool, typer.Option("--demo-fleet", help="The small fleet of `crossfix demo` instead.")
    ] = False,
) -> None:
    """Render simulated ships as optical and SAR chips; the same settings give the same chips."""
    import yaml

    from model_training.simulator import SimulatorConfig, write_dataset, write_demo_fleet

    with exit_on_error(ValueError, OSError, yaml.YAMLError):
        if demo_fleet:
            if truth:
                raise ValueError("--truth is for data sets; the demo fleet has none")
            counts = write_demo_fleet(out)
        else:
            settings = yaml.safe_load(config.read_text()) if config is not None else {}
            options = {"vessels": vessels, "seed": seed}
            settings |= {name: value for name, value in options.items() if value is not None}
            simulator = SimulatorConfig.model_validate(settings)
            counts = write_dataset(simulator, out, workers, truth=truth)
    print(json.dumps(counts, indent=2))


def simulator_report(
    genuine: Annotated[
        Path | None, typer.Option(help="Folder of genuine chips to compare with.")
    ] = None,
    more_sar: Annotated[
        Path | None,
        typer.Option(help="Folder of further genuine SAR chips, for the two-sample test alone."),
    ] = None,
    ships: Annotated[int, typer.Option(help="Simulated ships to measure.", min=1)] = 200,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    sheet: Annotated[
        Path | None, typer.Option(help="Where to draw twelve ships in both sensors (JPEG or PNG).")
    ] = None,
) -> None:
    """Compare simulated with genuine chips: statistics, and how well a classifier tells them apart.

    Prints the rendered views per second and core, too.
    """
    from model_training.simulator import SimulatorConfig, report, write_sheet

    with exit_on_error(ValueError, OSError):
        print(report(genuine, SimulatorConfig(), ships, workers, more_sar))
        if sheet is not None:
            write_sheet(sheet, SimulatorConfig())
