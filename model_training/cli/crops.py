"""`crossfix-train evaluate --framing` and `--gsd`: loose crops and coarse chips."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from model_training.cli.tables import print_table, progress
from model_training.embedding.chip_table import ChipEmbedder
from model_training.evaluation.framing_report import Errors, measure_scenes, simulate_scenes
from model_training.evaluation.loose_crops import (
    Results,
    Retrieval,
    Ships,
    choose_ships,
    crop_metrics,
    error_metrics,
    measure_crops,
    read_chips,
    rendered_ships,
    set_loose,
)
from model_training.evaluation.resolution import (
    FINEST_M,
    AtGsd,
    gsd_metrics,
    measure_gsds,
    rendered_at,
)
from service.contract.chip import Modality
from service.contract.manifest import Metric

SIMULATED = "simulated scenes"


@dataclass(frozen=True, slots=True)
class Measured:
    """Results by data set, as metrics, and the errors of framing on simulated scenes."""

    results: Mapping[str, Results]
    errors: Mapping[Modality, Errors]

    def document(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        retrieval = {
            dataset: {
                condition: {d: found.document() for d, found in directions.items()}
                for condition, directions in results.items()
            }
            for dataset, results in self.results.items()
        }
        errors = {modality.value: found.document() for modality, found in self.errors.items()}
        return {"retrieval": retrieval, "framing_errors": errors}

    def metrics(self) -> tuple[Metric, ...]:
        """Return the numbers for a bundle's manifest."""
        parts = [crop_metrics(results, dataset) for dataset, results in self.results.items()]
        parts += [error_metrics(found, m, SIMULATED) for m, found in self.errors.items()]
        return tuple(metric for part in parts for metric in part)

    def print(self) -> None:
        """Print both tables."""
        table = _retrieval_table("chips")
        for dataset, results in self.results.items():
            for condition, directions in results.items():
                for direction, found in directions.items():
                    table.add_row(dataset, condition, direction, *_cells(found))
            table.add_section()
        print_table(table)
        if not self.errors:
            return
        errors = Table(title=f"framing of {SIMULATED}")
        for heading in (
            *("sensor", "scenes", "axis within 3°", "length within 8 %"),
            *("median error of length", "median error of width"),
        ):
            errors.add_column(heading)
        for modality, of in self.errors.items():
            shares = (
                *(of.axis_within_3_deg, of.length_within_8_percent),
                *(of.length_median_error, of.width_median_error),
            )
            errors.add_row(modality.value, str(of.scenes), *(f"{x:.1%}" for x in shares))
        print_table(errors)


def measure_framing(
    data: Path,
    name: str,
    embed: ChipEmbedder,
    framing: Literal["as_is", "tight", "wild"],
    ships: int,
    scenes: int,
    draws: int,
    seed: int,
    bow_preference: float | None,
) -> Measured:
    """Measure tight and turned chips of a folder and, for `wild`, loose ones and scenes."""
    from model_training.data.hoss import all_chips, read_hoss

    results: dict[str, Results] = {}
    errors: dict[Modality, Errors] = {}
    chips = choose_ships(all_chips(read_hoss(data)), ships, seed)
    with progress(f"embedding crops of {name}", None) as advance:
        of_data = set_loose(chips, seed) if framing == "wild" else Ships(*read_chips(chips))
        results[name] = measure_crops(of_data, embed, draws, seed, advance, bow_preference)
    if framing == "wild" and scenes:
        with progress("rendering scenes", 2 * scenes) as advance:
            rendered = {}
            for modality in Modality:
                rendered[modality] = list(simulate_scenes(modality, scenes, seed))
                advance(scenes)
        errors = {modality: measure_scenes(of, []) for modality, of in rendered.items()}
        with progress("embedding scenes", None) as advance:
            of_scenes = rendered_ships(rendered, seed)
            results[SIMULATED] = measure_crops(
                of_scenes, embed, draws, seed, advance, bow_preference
            )
    return Measured(results, errors)


@dataclass(frozen=True, slots=True)
class MeasuredGsds:
    """Results by data set and GSD."""

    results: Mapping[str, Mapping[float, AtGsd]]

    def document(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return {
            dataset: {f"{gsd_m:g}": found.document() for gsd_m, found in gsds.items()}
            for dataset, gsds in self.results.items()
        }

    def metrics(self) -> tuple[Metric, ...]:
        """Return the numbers for a bundle's manifest."""
        parts = [gsd_metrics(gsds, dataset) for dataset, gsds in self.results.items()]
        return tuple(metric for part in parts for metric in part)

    def print(self) -> None:
        """Print the table."""
        table = _retrieval_table("GSD of queries")
        table.add_column("pixels along the hull, SAR and optical")
        table.add_column("large enough for the service")
        for dataset, gsds in self.results.items():
            for gsd_m, found in gsds.items():
                pixels = " and ".join(
                    f"{found.hull_pixels[modality]:.0f}"
                    for modality in (Modality.SAR, Modality.OPTICAL)
                )
                for direction, retrieval in found.retrieval.items():
                    table.add_row(
                        *(dataset, f"{gsd_m:g} m", direction, *_cells(retrieval)),
                        *(pixels, f"{found.accepted:.0%}"),
                    )
            table.add_section()
        print_table(table)


def measure_resolutions(
    data: Path, name: str, embed: ChipEmbedder, ships: int, scenes: int, draws: int, seed: int
) -> MeasuredGsds:
    """Measure coarsened chips of a folder, and of ships rendered at the finest GSD."""
    from model_training.data.hoss import all_chips, read_hoss

    results: dict[str, Mapping[float, AtGsd]] = {}
    ids, chips = read_chips(choose_ships(all_chips(read_hoss(data)), ships, seed))
    with progress(f"embedding chips of {name}", None) as advance:
        results[name] = measure_gsds(ids, chips, chips, embed, draws, seed, advance)
    if scenes:
        with progress("embedding simulated chips", None) as advance:
            ids, fine = rendered_at(FINEST_M, scenes, seed)
            _, gallery = rendered_at(None, scenes, seed)
            results["simulated ships"] = measure_gsds(
                ids, fine, gallery, embed, draws, seed, advance
            )
    return MeasuredGsds(results)


def _retrieval_table(second: str) -> Table:
    table = Table(title="per cent, MRR 0 to 1 [95 % interval over ships]")
    for heading in ("data", second, "direction", "mAP", "R1", "MRR", "queries", "gallery"):
        table.add_column(heading)
    return table


def _cells(found: Retrieval) -> tuple[str, ...]:
    rank = f"{found.reciprocal_rank:.2f}"
    return str(found.mean_ap), str(found.first), rank, str(found.queries), str(found.gallery)
