"""`crossfix-train adaptation`: measure what learning from confirmed ships gains."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_training.cli.common import ConfigArgument, JsonOption, exit_on_error, run_errors
from model_training.cli.tables import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from model_training.studies.adaptation import GrowthPoint


def adaptation(
    config: ConfigArgument,
    genuine: Annotated[
        Path | None, typer.Option(help="Genuine chips in HOSS layout, to leave ships out of.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw mAP against the number of confirmed ships (.png).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the gain of adapting to n confirmed ships of a simulated sensor, and on genuine ones.

    Trains on archives of each size that the study names; stopped runs are continued and finished
    ones are not repeated. Genuine ships are queried with an encoder that was not taught with them.
    """
    from model_training.studies import adaptation as studies
    from model_training.training.config import load_config

    def say(sentence: str) -> None:
        print(sentence, file=sys.stderr)  # standard output is for the result

    with exit_on_error(ValueError, *run_errors()):
        study = load_config(config, studies.AdaptationStudy)
        points = studies.grow_archive(study, say)
        left_out = None if genuine is None else studies.leave_out(study, genuine, say)
    if picture is not None:
        draw_growth(points, picture)
    if as_json:
        documents = [point.document() for point in points]
        left = None if left_out is None else [one.document() for one in left_out]
        print(json.dumps({"ships": documents, "left_out": left}, indent=2))
        return
    print_table(growth_table(points))
    if left_out is not None:
        chosen, last = left_out
        print(f"genuine ships, {study.folds} folds: {chosen}")
        print(f"the same with the last weights instead of the chosen ones: {last}")


def growth_table(points: "list[GrowthPoint]") -> "Table":
    """Return a row for each number of confirmed ships."""
    from rich.table import Table

    table = Table(title="mAP, mean of S2O and O2S, simulated other sensor; per cent")
    for heading in (
        *("confirmed ships", "before", "after", "gain", "gain, last weights"),
        *("gain on held-out ships", "bundle", "usual sensors", "best step"),
    ):
        table.add_column(heading)
    for point in points:
        before, after = point.replay
        table.add_row(
            str(point.confirmed),
            str(point.test.older),
            str(point.test.newer),
            str(point.test.gain),
            str(point.last.gain),
            f"{point.held_out.gain} ({point.held_out.ships})",
            "written" if point.held_out.is_better else "kept",
            f"{before:.1f} -> {after:.1f}",
            str(point.step),
        )
    return table


def draw_growth(points: "list[GrowthPoint]", path: Path) -> None:
    """Draw mAP on test ships against the number of confirmed ships, with 95 % intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    ships = [point.confirmed for point in points]
    values = [point.test.newer.value for point in points]
    ends = [point.test.newer.ends for point in points]
    axes.fill_between(ships, [low for low, _ in ends], [high for _, high in ends], alpha=0.2)
    axes.plot(ships, values, marker="o", label="after learning from them")
    axes.axhline(points[0].test.older.value, color="grey", linestyle="--", label="before")
    axes.set_xscale("log")
    axes.set_xticks(ships, [str(count) for count in ships])
    axes.minorticks_off()
    axes.set_xlabel("confirmed ships (simulated other sensor)")
    axes.set_ylabel("mAP on other ships of that sensor, %")
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
