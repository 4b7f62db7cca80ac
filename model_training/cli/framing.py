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
    sheet: Annotated[
        Path | None, typer.Option(help="Where to draw contact sheets; a name is put before .png.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure framing: finds, false finds, errors on simulated scenes, and cost.

    `crossfix-train evaluate --framing wild` measures what loose crops cost in retrieval. The cost
    here is processor time of one core; compare it only on an idle machine.
    """
    from model_training.evaluation import framing_report as report
    from service.contract.chip import Modality

    samples: dict[str, list[report.Sample]] = {}
    result: dict[str, Any] = {}
    with exit_on_error(ValueError, OSError):
        if ssdd is not None:
            hits = report.measure_ssdd(ssdd, seed, samples.setdefault("ssdd", []))
            result["ssdd"] = hits.document()
        if shipsnet is not None:
            presence = report.measure_shipsnet(shipsnet, samples.setdefault("shipsnet", []))
            result["shipsnet"] = presence.document()
        for modality in Modality:
            name = f"simulated_{modality.value}"
            rendered = []
            with progress(f"rendering {modality.value} scenes", scenes) as advance:
                for scene in report.simulate_scenes(modality, scenes, seed):
                    rendered.append(scene)
                    advance(1)
            errors = report.measure_scenes(rendered, samples.setdefault(name, []))
            cost = {f"{px}_px_ms": report.measure_cost(rendered[0], px) for px in (300, 2000)}
            result[name] = errors.document() | cost
        if sheet is not None:
            for name, drawn in samples.items():
                path = sheet.with_name(f"{sheet.stem}-{name}{sheet.suffix}")
                report.write_contact_sheet(path, drawn)
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
