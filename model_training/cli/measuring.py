"""`crossfix-train evaluate`, `calibrate` and `ablation`: measure models on chips."""

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from model_training.calibration.calibrate import CalibrationError
from model_training.calibration.searches import CoarseQueries
from model_training.cli import common, tables
from model_training.data.hoss import HossDataset, LabelledChip
from model_training.embedding.chip_table import ChipEmbedder, ChipTable
from model_training.embedding.models import open_model
from service.contract.hoss_names import DISTRACTOR_ID


def evaluate(
    data: Annotated[Path, typer.Option(help="Chips in HOSS layout, or a plain folder of them.")],
    bundle: common.BundleOption = None,
    checkpoint: common.CheckpointsOption = None,
    out: common.MetricsOption = None,
    name: common.DataNameOption = None,
    framing: Annotated[
        common.Framing,
        typer.Option(
            help="as_is: the protocols. tight: chips as they are, turned by 180 degrees, and "
            "framed. wild: also loose crops of any heading, and simulated scenes."
        ),
    ] = "as_is",
    gsd: Annotated[
        bool, typer.Option("--gsd", help="Measure queries of 0.5 to 10 m per pixel instead.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(help="For --framing: what `calibrate` wrote; default: the bundle's own."),
    ] = None,
    ships: Annotated[
        int, typer.Option(help="For --framing and --gsd: at most so many ships of --data.", min=2)
    ] = 200,
    scenes: Annotated[
        int, typer.Option(help="For wild and --gsd: simulated ships beside --data.", min=0)
    ] = 200,
    draws: common.DrawsOption = 2000,
    seed: common.SeedOption = 0,
    threads: common.ThreadsOption = 0,
    as_json: common.JsonOption = False,
) -> None:
    """Measure mAP, R1, R5, R10 across sensors: as served, without fusion, and by size alone.

    With --framing tight or wild, or with --gsd: mAP, R1 and MRR of such queries, as served. Each
    number has a 95 % interval.
    """
    from model_training.cli import crops
    from model_training.data.hoss import read_hoss
    from model_training.evaluation import evaluate as evaluation

    title = name or data.resolve().name
    with common.exit_on_error(ValueError):
        model = common.model_paths(bundle, checkpoint)
        if gsd and framing != "as_is":
            raise ValueError("give either --gsd or --framing, not both")
        result: evaluation.Evaluation | crops.Measured | crops.MeasuredGsds
        if gsd:
            embed = open_model(*model, threads=threads)
            result = crops.measure_resolutions(data, title, embed, ships, scenes, draws, seed)
            metrics, show = result.metrics(), result.print
        elif framing != "as_is":
            embed = open_model(*model, threads=threads)
            preference = None
            if bundle is not None or calibration is not None:
                preference = common.open_calibration(bundle, calibration).bow_preference
            result = crops.measure_framing(
                data, title, embed, framing, ships, scenes, draws, seed, preference
            )
            metrics, show = result.metrics(), result.print
        else:
            splits = evaluation.protocols_of(read_hoss(data))
            table = embed_for_measuring(evaluation.chips_of(splits), model, threads)
            result = evaluation.evaluate(splits, table, draws, seed)
            metrics = evaluation.evaluation_metrics(result, title)
            show = partial(tables.print_table, tables.evaluation_table(result, data))
        if out is not None:
            common.write_metrics(out, metrics)
    if as_json:
        print(json.dumps(result.document(), indent=2))
    else:
        show()


def calibrate(
    bundle: Annotated[Path, typer.Option(help="Bundle whose embeddings are calibrated.")],
    data: Annotated[Path, typer.Option(help="Chips of validation ships, never trained on.")],
    out: Annotated[Path, typer.Option(help="Where to write the calibration (JSON).")],
    held_out_of: Annotated[
        Path | None,
        typer.Option(help="Config of an encoder run on --data: use the ships that it held out."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Chips of other ships, to measure the result on.")
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(help="Chips of still other ships, to fill the galleries of --data with."),
    ] = None,
    test_background: Annotated[
        Path | None, typer.Option(help="The same for --test; ships of neither other folder.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the measurements.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write errors and open-set rates as a bundle's metrics.")
    ] = None,
    diagram: Annotated[Path | None, typer.Option(help="Where to draw reliability (PNG).")] = None,
    fitted_on: Annotated[
        str | None, typer.Option(help="Name of the validation data; default: the folder's.")
    ] = None,
    tested_on: Annotated[
        str | None, typer.Option(help="Name of the test data; default: the folder's.")
    ] = None,
    real_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of genuine chips in the validation data.")
    ] = 0.0,
    harder_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the chips that are cropped worse, mis-measured, blurred and made noisy, "
            "for simulated chips, which are easier than genuine ones.",
        ),
    ] = 0.0,
    seed: common.SeedOption = 0,
    threads: common.ThreadsOption = 0,
    as_json: common.JsonOption = False,
) -> None:
    """Fit probabilities and verdict thresholds on validation ships; measure them on others.

    All is fitted twice: for tight queries, whose half turn counts only where it is more similar by
    the `bow_preference` that the command chooses, and for queries whose bow may be at either end.
    The weights are fitted for queries of 2 to 10 m, too.

    Galleries of thousands need thousands of ships. Background ships fill galleries and are never
    queries, so one chip of each sensor is enough; each background chip counts as its own ship.
    """
    from model_training.calibration import (
        both_ways as ways,
        calibrate as calibration,
        coarse_queries as coarse,
        report as calibration_report,
    )
    from model_training.calibration.context import combined_metrics
    from model_training.calibration.reliability import draw_diagram
    from model_training.calibration.several_chips import replay_several
    from model_training.calibration.trials import WITHIN, replay
    from model_training.calibration.verdicts import measure_points
    from model_training.data.bow_truth import read_bow_up
    from model_training.data.harder_chips import with_harder_chips
    from model_training.data.hoss import all_chips, read_hoss

    with common.exit_on_error(ValueError):
        dataset = read_hoss(data)
        chips = _held_out(dataset, held_out_of) if held_out_of else all_chips(dataset)
        of_test = all_chips(read_hoss(test)) if test is not None else ()
        _require_other_ships(chips, of_test)
        fitted = with_harder_chips((*chips, *_background_chips(background)), harder_share, seed)
        table = embed_both_ways(fitted, bundle, threads, seed)
        preference = ways.choose_preference(table, seed)
        across = calibration.require_trials(table, seed=seed, preference=preference)
        within = replay(table, WITHIN, seed=seed, preference=preference)
        name = fitted_on or data.resolve().name
        several = replay_several(table, seed=seed)
        spec = calibration.fit(across, within, name, seed, real_share, several)
        asked = _embed_coarse(table, bundle, threads, seed)
        turned = ways.fit_both_ways(
            table, read_bow_up(data), name, preference, seed, real_share, asked
        )
        weights = coarse.fit_coarse(table, asked, preference, seed)
        spec = spec.model_copy(update={"both_ways": turned, "coarse": weights})
        reports = {"validation": calibration_report.measure(spec, across, seed, several)}
        turned_report, by_gsd = None, {}
        names = {"validation": spec.fitted_on}
        if test is not None:
            names["test"] = tested_on or test.resolve().name
            test_chips = with_harder_chips(
                (*of_test, *_background_chips(test_background)), harder_share, seed + 1
            )
            test_table = embed_both_ways(test_chips, bundle, threads, seed)
            trials = calibration.require_trials(test_table, seed=seed + 1, preference=preference)
            several = replay_several(test_table, seed=seed + 1)
            reports["test"] = calibration_report.measure(spec, trials, seed, several)
            points = measure_points(trials.searches, spec, names["test"])
            turned_report = ways.measure_both_ways(
                turned, test_table, read_bow_up(test), names["test"], seed
            )
            asked = _embed_coarse(test_table, bundle, threads, seed)
            by_gsd = coarse.measure_coarse(spec, test_table, asked, seed + 1)
            spec = spec.model_copy(update={"verdicts": points, "both_ways": turned_report.spec})
    documents = {part: value.document() for part, value in reports.items()}
    if turned_report is not None:
        documents["test both ways"] = turned_report.document()
    if by_gsd:
        documents["test by GSD"] = {f"{at:g}": one.document() for at, one in by_gsd.items()}
    common.write_json(out, spec.model_dump(mode="json"))
    if report is not None:
        common.write_json(report, documents)
    if metrics is not None:
        parts = [calibration_report.calibration_metrics(reports[p], names[p]) for p in names]
        parts += [combined_metrics(reports[part].combined, names[part]) for part in names]
        if test is not None:
            parts.append(calibration_report.open_set_metrics(reports["test"], names["test"]))
        if turned_report is not None:
            parts.append(ways.both_ways_metrics(turned_report, names["test"]))
            parts.append(coarse.coarse_metrics(by_gsd, names["test"]))
        common.write_metrics(metrics, itertools.chain(*parts))
    if diagram is not None:
        draw_diagram({part: value.first_candidate for part, value in reports.items()}, diagram)
    if as_json:
        print(json.dumps({"calibration": spec.model_dump(mode="json"), **documents}, indent=2))
    else:
        tables.print_calibration(spec, reports)
        if turned_report is not None:
            tables.print_both_ways(turned_report)
            tables.print_by_gsd(by_gsd)
        print(f"wrote {out}")


def ablation(
    study: Annotated[Path, typer.Argument(help="YAML file that lists data and variants.")],
    genuine: Annotated[
        Path | None,
        typer.Option(help="Folder of genuine chips to measure on too, without training on them."),
    ] = None,
    draws: common.DrawsOption = 2000,
    seed: common.SeedOption = 0,
    threads: common.ThreadsOption = 0,
    as_json: common.JsonOption = False,
) -> None:
    """Measure what each part of the method adds: each variant's gain over the previous variant.

    Each number has a 95 % interval. When the study names an encoder config, missing data are
    rendered and missing models are trained first.
    """
    from model_training.studies import ablation as ablations
    from model_training.studies.ablation_runs import TrainedStudy, prepare_study, requires_runs
    from model_training.training.config import load_config

    with common.exit_on_error(ValueError, *common.run_errors()):
        embedder_of: Callable[[Path], ChipEmbedder] = partial(open_model, threads=threads)
        if requires_runs(study):
            prepared = prepare_study(load_config(study, TrainedStudy), genuine, threads)
            measured, embedder_of = prepared.study, prepared.open_model
        else:
            measured = ablations.with_genuine(ablations.read_study(study), genuine)
        with tables.progress("embedding", None) as advance:
            rows = ablations.run_study(measured, embedder_of, advance, draws, seed)
    if as_json:
        print(json.dumps([row.document() for row in rows], indent=2))
    else:
        tables.print_table(tables.ablation_table(rows))


def _held_out(dataset: HossDataset, config: Path) -> tuple[LabelledChip, ...]:
    """Return the training chips of the held-out ships of an encoder run that are to calibrate.

    Says on standard error which those are, and what else they served.
    """
    from model_training.data.holdout import HoldoutError, held_out_part, held_out_vessels
    from model_training.encoder.train_config import EncoderTrainConfig, HossData
    from model_training.training.config import ConfigError, load_config

    try:
        data = load_config(config, EncoderTrainConfig).data
    except ConfigError as error:
        raise CalibrationError(str(error)) from error
    if not isinstance(data, HossData) or data.folder.resolve() != dataset.root.resolve():
        raise CalibrationError(f"{config} is not the config of an encoder run on {dataset.root}")
    views = ((chip.vessel_id, chip.modality) for chip in dataset.train)
    try:
        held_out = held_out_vessels(views, data.validation_share, data.split_seed)
    except HoldoutError as error:
        raise CalibrationError(f"{dataset.root}: {error}") from error
    part = held_out_part(held_out, "calibration", data.split_seed)
    print(part.note, file=sys.stderr)  # standard output is for the result
    return tuple(chip for chip in dataset.train if chip.vessel_id in part.vessels)


def _require_other_ships(fitted: Sequence[LabelledChip], test: Sequence[LabelledChip]) -> None:
    """Raise CalibrationError if the calibration is fitted on a test chip."""
    both = {chip.path.resolve() for chip in fitted} & {chip.path.resolve() for chip in test}
    if both:
        raise CalibrationError(
            f"{len(both)} chips of --test are among those that calibrate, {min(both)} first: "
            "give other ships with --test, or the run's config with --held-out-of"
        )


def _background_chips(folder: Path | None) -> tuple[LabelledChip, ...]:
    """Return the folder's chips, relabelled as distractors."""
    from model_training.data.hoss import all_chips, read_hoss

    if folder is None:
        return ()
    chips = all_chips(read_hoss(folder))
    return tuple(replace(chip, vessel_id=DISTRACTOR_ID) for chip in chips)


def embed_both_ways(
    chips: Sequence[LabelledChip], bundle: Path, threads: int, seed: int
) -> ChipTable:
    """Embed chips, and some of them turned by 180 degrees, with tables.progress bars."""
    from model_training.calibration.searches import MAX_QUERIES
    from model_training.embedding.chip_table import embed_chips, embed_half_turns

    embed = open_model(bundle, threads=threads)
    with tables.progress(
        f"embedding with {bundle.name}", len({chip.path for chip in chips})
    ) as advance:
        table = embed_chips(chips, embed, advance)
    with tables.progress("embedding half turns", 2 * MAX_QUERIES) as advance:
        return embed_half_turns(table, embed, MAX_QUERIES, seed, advance)


def _embed_coarse(
    table: ChipTable, bundle: Path, threads: int, seed: int
) -> Sequence[CoarseQueries]:
    """Embed some of the table's chips as coarser queries, with a progress bar."""
    from model_training.calibration.coarse_queries import QUERIES_PER_SENSOR, embed_coarse

    embed = open_model(bundle, threads=threads)
    with tables.progress("embedding coarse queries", 2 * QUERIES_PER_SENSOR) as advance:
        return embed_coarse(table, embed, QUERIES_PER_SENSOR, seed, advance)


def embed_for_measuring(
    chips: Sequence[LabelledChip], model: Sequence[Path], threads: int
) -> ChipTable:
    """Embed chips with a bundle or checkpoints, with a tables.progress bar on standard error."""
    from model_training.embedding.chip_table import embed_chips

    unique = len({chip.path for chip in chips})
    embed = open_model(*model, threads=threads)
    names = " + ".join(path.name for path in model)
    with tables.progress(f"embedding with {names}", unique) as advance:
        return embed_chips(chips, embed, advance)
