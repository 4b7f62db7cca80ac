"""`crossfix-train framing-report`: how well ships are found, set upright and measured."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from model_training.cli.common import JsonOption, SeedOption, exit_on_error
from model_training.cli.tables import progress


def framing_report(
    ssdd: Annotated[
        Path | None, typer.Option(help="Folder of SSDD: radar scenes with labelled ships.")
    ] = None,
    shipsnet: Annotated[
        Path | None, typer.Option(help="Folder of shipsnet: optical chips with and without ship.")
    ] = None,
    scenes: Annotated[int, typer.Option(help="Simulated scenes of each sensor.", min=1)] = 100,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure framing: finds, false finds, and errors on simulated scenes.

    `crossfix-train evaluate --framing wild` measures what loose crops cost in retrieval.
    """
    from model_training.evaluation import framing_report as report
    from service.contract.chip import Modality

    result: dict[str, Any] = {}
    with exit_on_error(ValueError, OSError):
        if ssdd is not None:
            result["ssdd"] = report.measure_ssdd(ssdd, seed).document()
        if shipsnet is not None:
            result["shipsnet"] = report.measure_shipsnet(shipsnet).document()
        for modality in Modality:
            rendered = []
            with progress(f"rendering {modality.value} scenes", scenes) as advance:
                for scene in report.simulate_scenes(modality, scenes, seed):
                    rendered.append(scene)
                    advance(1)
            result[f"simulated_{modality.value}"] = report.measure_scenes(rendered).document()
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        _print_lines(result)


def _print_lines(result: dict[str, Any], prefix: str = "") -> None:
    """Print nested numbers, one a line, under their path."""
    for name, value in result.items():
        if isinstance(value, dict):
            _print_lines(value, f"{prefix}{name} / ")
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            print(f"{prefix}{name}: {shown}")
