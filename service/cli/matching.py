"""`crossfix match`: one chip, some chips, or a batch that can be continued."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import common
from service.client import DEFAULT_URL

if TYPE_CHECKING:
    from service.client.match import QueryChip
    from service.client.remote.client import Client


def match(
    chips: Annotated[
        list[Path],
        typer.Argument(help="Chips, folders of chips, or CSV tables.", metavar="FILE|DIR|CSV…"),
    ],
    url: common.Url = DEFAULT_URL,
    top_k: Annotated[int, typer.Option(help="How many vessels to rank.", min=1, max=100)] = 5,
    modality: common.ModalityOption = None,
    gsd_m: common.GsdOption = None,
    framing: common.FramingOption = "auto",
    band: Annotated[int | None, typer.Option(help="Band of a multi-polarisation chip.")] = None,
    captured_at: Annotated[
        str | None, typer.Option(help="Time of capture, e.g. 2026-03-05T17:20:00Z.")
    ] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude of the ship, degrees north.")] = None,
    lon: Annotated[float | None, typer.Option(help="Longitude of the ship, degrees east.")] = None,
    sensor: Annotated[
        str | None, typer.Option(help="The satellite or sensor, e.g. Sentinel-1.")
    ] = None,
    case: Annotated[str | None, typer.Option(help="The case that the chips belong to.")] = None,
    note: Annotated[str | None, typer.Option(help="A note stored with each match.")] = None,
    max_speed_kn: Annotated[
        float | None, typer.Option(help="Rank vessels last that would have had to sail faster.")
    ] = None,
    vessel_type: Annotated[str | None, typer.Option(help="Only vessels of this type.")] = None,
    length_tolerance: Annotated[
        float | None,
        typer.Option(help="Only vessels whose length differs by at most this share, e.g. 0.2."),
    ] = None,
    store: Annotated[
        bool, typer.Option(help="Store the match, and the chip as an open sighting.")
    ] = True,
    looks_like: Annotated[
        str | None, typer.Option(help="The vessel type that you see; counts as evidence.")
    ] = None,
    scene: Annotated[
        bool, typer.Option("--scene", help="The chips are of one image: no vessel is in it twice.")
    ] = False,
    one_ship: Annotated[
        bool, typer.Option("--one-ship", help="The chips show one ship and get one answer.")
    ] = False,
    results: Annotated[
        Path | None,
        typer.Option(help="Append each result to this file of JSON lines.", metavar="FILE"),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="How many chips to send at once.", min=1, max=64)
    ] = 4,
    as_json: common.AsJson = False,
) -> None:
    """Ask a running service which registered vessel a chip shows.

    Prints, for each chip, the id of the match, the ranked vessels with calibrated probability,
    similarity and checks, and the verdict with its explanation. Ends with status 1 if a chip was
    refused. With `--scene`, the chips of one image are matched together; with `--one-ship`,
    chips of one ship get one answer.

    A **CSV table** has one row for each chip: `chip` (its path), and `modality`, `gsd_m`, `band`,
    `framing`, `captured_at`, `lat`, `lon`, `sensor`, `case`, `note`, which take precedence
    over the options.

    With `--results` only counts are printed. To continue a batch that was stopped, run the same
    command again: chips whose result is in the file are not sent again.
    """
    from service.client.query_table import read_queries

    queries = read_queries(chips)
    fields = common.given(
        modality=modality,
        gsd_m=gsd_m,
        framing=framing,
        band=band,
        captured_at=captured_at,
        lat=lat,
        lon=lon,
        sensor=sensor,
        case=case,
        note=note,
        top_k=top_k,
        max_speed_kn=max_speed_kn,
        vessel_type=vessel_type,
        looks_like=looks_like,
        length_tolerance=length_tolerance,
        store=store,
    )
    if scene + one_ship + (results is not None) > 1:
        raise typer.BadParameter("give one of --scene, --one-ship and --results")
    with common.open_client(url) as client:
        if scene or one_ship:
            refused = _print_together(client, queries, fields, as_json, one_ship)
        elif results is None:
            refused = _print_each(client, queries, fields, workers, as_json)
        else:
            refused = _match_into(results, client, queries, fields, workers, as_json)
    if refused:
        raise typer.Exit(common.FAILED)


def _print_together(
    client: "Client",
    queries: Sequence["QueryChip"],
    fields: dict[str, Any],
    as_json: bool,
    one_ship: bool,
) -> int:
    """Match the chips of one image or ship and print the results; return how many were refused."""
    from service.client.match import match_one_ship, match_scene
    from service.client.tables import show_results

    if one_ship:
        found = [match_one_ship(client, queries, fields)]
    else:
        found = match_scene(client, queries, fields)
    common.print_result(found, as_json, show_results)
    return sum(result.problem is not None for result in found)


def _print_each(
    client: "Client",
    queries: Sequence["QueryChip"],
    fields: dict[str, Any],
    workers: int,
    as_json: bool,
) -> int:
    """Match and print the results; return how many chips were refused."""
    from service.client.match import match_files
    from service.client.tables import console, show_result

    results = []
    for result in match_files(client, queries, fields, workers=workers):
        results.append(result)
        if not as_json:
            show_result(console(), result)
    if as_json:
        common.print_json([result.document() for result in results])
    return sum(result.problem is not None for result in results)


def _match_into(
    path: Path,
    client: "Client",
    queries: Sequence["QueryChip"],
    fields: dict[str, Any],
    workers: int,
    as_json: bool,
) -> int:
    """Match into a result file and print counts; return how many chips were refused."""
    from service.client.match import match_files
    from service.client.result_file import ResultFile
    from service.client.tables import console

    verdicts: Counter[str] = Counter()
    refused, stopped = 0, False
    with ResultFile(path) as file, common.progress("chips", len(queries)) as (_, advance):
        found = match_files(
            client, queries, fields, workers=workers, advance=advance, done=file.done
        )
        try:
            for result in found:
                file.add(result)
                if result.answer is None:
                    refused += 1
                else:
                    verdicts[result.answer.verdict] += 1
        except KeyboardInterrupt:
            client.stopping.set()
            stopped = True
    sent = refused + verdicts.total()
    counts = {
        "results": str(path),
        "chips": len(queries),
        "matched": verdicts.total(),
        "verdicts": dict(verdicts),
        "refused": refused,
        "stopped": stopped,
    }
    if as_json:
        common.print_json(counts)
    else:
        words = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        before = "" if stopped else f", {len(queries) - sent} done before"
        print(f"{verdicts.total()} matched ({words or 'none'}), {refused} refused{before}: {path}")
    if stopped:
        console(sys.stderr).print("stopped; run the same command again to continue")
        raise typer.Exit(common.INTERRUPTED)
    return refused
