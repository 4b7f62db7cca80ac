"""`crossfix audit | reembed | backup | restore | sweep`: an operator's work beside a service."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

if TYPE_CHECKING:
    from service.maintenance.reembed import Share
    from service.settings import Settings
    from service.storage.audit.chain import Head

FAILED, USAGE = 1, 2

audit_app = typer.Typer(help="Check and read the audit log.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option(help="The service's data folder.", show_default="data")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def add_commands(app: typer.Typer) -> None:
    """Make these commands part of `crossfix`."""
    app.add_typer(audit_app, name="audit")
    app.command()(reembed)
    app.command()(backup)
    app.command()(restore)
    app.command()(sweep)


@audit_app.command("verify")
def audit_verify(
    data_dir: DataDir = None,
    heads: Annotated[
        Path | None,
        typer.Option(help="Output of an earlier `audit verify --json`, kept elsewhere."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every replica's chain; ends with status 1 and says where when one was changed.

    Keep the output of `--json` in another place and give it to a later check as `--heads`: it also
    finds out somebody who rewrote everything here.
    """
    from service.storage.audit.check import verify_audit
    from service.wiring.upkeep import audit_folder

    known = None if heads is None else _read_heads(heads)
    folder = audit_folder(_settings(data_dir))
    report = verify_audit(folder, known)
    if not (report.entries or report.findings):
        _leave(f"there is no audit log in {folder}; name the data folder of the service")
    findings = [
        {"replica": one.replica, "file": one.file, "line": one.line, "problem": one.problem}
        for one in report.findings
    ]
    if as_json:
        ends = {name: {"seq": head.seq, "hash": head.hash} for name, head in report.heads.items()}
        _print_json({"sound": not findings, "heads": ends, "findings": findings})
    else:
        for name, count in report.entries.items():
            end = report.heads.get(name)
            print(f"{name}: {count} entries, head {end.hash if end else 'unknown'}")
        for one in report.findings:
            place = f"{one.replica}/{one.file}" + (f", line {one.line}" if one.line else "")
            print(f"TAMPERED {place}: {one.problem}")
        print("sound" if not findings else f"{len(findings)} findings")
    if findings:
        raise typer.Exit(FAILED)


@audit_app.command("export")
def audit_export(
    data_dir: DataDir = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time, UTC.")] = None,
    action: Annotated[str | None, typer.Option(help="Only these, e.g. `match`.")] = None,
    who: Annotated[str | None, typer.Option(help="Only of this principal.")] = None,
) -> None:
    """Print entries of all replicas in order of time, one JSON object a line.

    Tells on standard error how many were chosen, so that a mistyped choice does not look like
    nothing having happened. Broken lines are left out: `crossfix audit verify` finds them.
    """
    from service.storage.audit.check import read_entries
    from service.wiring.upkeep import audit_folder

    first = _utc(since).isoformat() if since else ""
    end = _utc(until).isoformat() if until else "~"
    folder = audit_folder(_settings(data_dir))
    entries = [{"replica": replica, **entry} for replica, entry in read_entries(folder)]
    if not entries:
        _leave(f"there is no audit log in {folder}; name the data folder of the service")
    chosen = [
        entry
        for entry in entries
        if first <= entry["at"] < end
        and action in (None, entry["action"])
        and who in (None, entry.get("who"))
    ]
    for entry in sorted(chosen, key=lambda one: (one["at"], one["replica"], one["seq"])):
        print(json.dumps(entry, ensure_ascii=False, sort_keys=True))
    print(f"{len(chosen)} of {len(entries)} entries", file=sys.stderr)


def reembed(
    to: Annotated[Path, typer.Option(help="Folder of the bundle to move to.", metavar="BUNDLE")],
    shard: Annotated[
        str | None,
        typer.Option(
            help="Share of one of many workers, e.g. 0/4 to 3/4; needs a Qdrant server.",
            metavar="I/N",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(help="Where the models run.", show_default="auto"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Embed every kept chip with another bundle, then serve that one.

    It can be stopped and repeated: what is embedded stays embedded. The gallery moves when nothing
    is left, in one step; running services follow within seconds and drop no request. The same
    command with the former bundle moves back. A gallery embedded in the service's own process is
    moved while the service is stopped.
    """
    from service.wiring.upkeep import upgrade

    settings = _settings(data_dir, device=device)
    share = None if shard is None else _share(shard, settings)
    with _progress("sightings") as (found, advance):
        outcome = upgrade(settings, to, share, found, advance)
    if as_json:
        _print_json(
            {name: getattr(outcome, name) for name in ("source", "target", "embedded", "left")}
            | {"serving": outcome.serving}
        )
        return
    print(f"{outcome.embedded} sightings embedded by bundle {outcome.target}, {outcome.left} left")
    print(f"bundle {outcome.target if outcome.serving else outcome.source} is served")


def backup(
    to: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", metavar="DIR")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write gallery, matches, chips, audit log and installed bundles into a folder with hashes.

    On a Qdrant server services may go on meanwhile; an embedded gallery needs its service stopped.
    """
    from service.maintenance.backup import back_up
    from service.wiring.upkeep import open_stores

    with closing(open_stores(_settings(data_dir))) as stores, _progress("written") as progress:
        counts = back_up(stores, to, datetime.now(UTC), advance=progress[1])
    _tell(counts.document(), f"backed up into {to}", as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="Folder of a backup.", metavar="DIR")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty place, read it back and compare; never over something."""
    from service.maintenance.backup import restore as put_back
    from service.wiring.upkeep import open_stores

    with closing(open_stores(_settings(data_dir))) as stores, _progress("restored") as progress:
        counts = put_back(source, stores, advance=progress[1])
    _tell(counts.document(), f"restored from {source}, read back and found equal", as_json)


def sweep(
    older_than_h: Annotated[
        float, typer.Option(help="Only chips that nobody sent for so many hours.", min=1)
    ] = 24.0,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete them; otherwise they are counted.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find original chips that no sighting shows, as failed requests leave them.

    On a Qdrant server services may go on meanwhile; an embedded gallery needs its service stopped.
    """
    from service.wiring.upkeep import sweep_originals

    settings = _settings(data_dir)
    with _progress("originals") as (_, advance):
        swept = sweep_originals(settings, timedelta(hours=older_than_h), remove, advance)
    _tell(asdict(swept), "removed" if remove else "looked, and removed nothing", as_json)


def _tell(counts: dict[str, object], headline: str, as_json: bool) -> None:
    if as_json:
        _print_json(counts)
        return
    print(headline)
    for name, count in counts.items():
        several = count.items() if isinstance(count, dict) else [("", count)]
        told = ", ".join(f"{number} {of_what}".strip() for of_what, number in several)
        print(f"  {name.replace('_', ' ')}: {told}")


@contextmanager
def _progress(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """A bar on standard error: how many there are, and how many were done."""
    from service.client.tables import console, progress_bar

    with progress_bar(console(sys.stderr)) as progress:
        task = progress.add_task(what, total=None)
        total = 0

        def found(count: int) -> None:
            nonlocal total
            total += count
            progress.update(task, total=total)

        yield found, lambda done: progress.advance(task, done)


def _utc(moment: datetime) -> datetime:
    """A moment without an offset is meant in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _share(text: str, settings: "Settings") -> "Share":
    from service.maintenance.reembed import Share

    try:
        number, workers = (int(part) for part in text.split("/"))
        share = Share(number, workers)
    except ValueError as error:
        _leave(f"--shard {text!r}: expected I/N with 0 <= I < N, e.g. 0/4 ({error})")
    if settings.qdrant_url is None and share.workers > 1:
        _leave("--shard needs a Qdrant server: one process at a time can open this gallery")
    return share


def _read_heads(path: Path) -> "dict[str, Head]":
    from service.storage.audit.chain import Head

    try:
        heads = json.loads(path.read_text())["heads"]
        return {name: Head(int(one["seq"]), str(one["hash"])) for name, one in heads.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        _leave(f"{path} is not the output of `audit verify --json`: {error!r}")


def _settings(data_dir: Path | None, device: str | None = None) -> "Settings":
    from service.settings import SettingsError, load_settings

    try:
        return load_settings(data_dir=data_dir, device=device)
    except SettingsError as error:
        _leave(str(error))


def _leave(message: str) -> NoReturn:
    print(f"crossfix: {message}", file=sys.stderr)
    raise typer.Exit(USAGE)


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))
