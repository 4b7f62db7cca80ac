"""`crossfix audit | reembed | backup | restore | sweep | check | apply-retention`."""

import json
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.cli.common import (
    FAILED,
    USAGE,
    AsJson,
    DataDir,
    DeviceOption,
    fail,
    print_json,
    progress,
    protected_settings,
)

if TYPE_CHECKING:
    from service.maintenance.reembed import Share
    from service.settings import Settings
    from service.storage.audit.chain import Head

audit_app = typer.Typer(help="Check and read the audit log.", no_args_is_help=True)


@audit_app.command("verify")
def audit_verify(
    data_dir: DataDir = None,
    heads: Annotated[
        Path | None,
        typer.Option(help="Output of an earlier `audit verify --json`, kept elsewhere."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every replica's chain; ends with status 1 and names the place of each change.

    Keep the output of `--json` in another place and give it to a later check as `--heads`: that
    check also detects that the whole log was rewritten.
    """
    from service.settings import load_settings
    from service.storage.audit.check import verify_audit
    from service.wiring.stores import audit_folder

    known = None if heads is None else _read_heads(heads)
    folder = audit_folder(load_settings(data_dir=data_dir))
    report = verify_audit(folder, known)
    if not (report.entries or report.findings):
        _fail_without_log(folder)
    findings = [asdict(finding) for finding in report.findings]
    if as_json:
        ends = {name: {"seq": head.seq, "hash": head.hash} for name, head in report.heads.items()}
        print_json({"sound": not findings, "heads": ends, "findings": findings})
    else:
        for name, count in report.entries.items():
            end = report.heads.get(name)
            print(f"{name}: {count} entries, head {end.hash if end else 'unknown'}")
        for finding in report.findings:
            line = f", line {finding.line}" if finding.line else ""
            print(f"TAMPERED {finding.replica}/{finding.file}{line}: {finding.problem}")
        print("sound" if not findings else f"{len(findings)} findings")
    if findings:
        raise typer.Exit(FAILED)


@audit_app.command("export")
def audit_export(
    data_dir: DataDir = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time, UTC.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only entries of this action, e.g. `match`.")
    ] = None,
    who: Annotated[str | None, typer.Option(help="Only entries of this principal.")] = None,
) -> None:
    """Print entries of all replicas in order of time, one JSON object a line.

    Prints on standard error how many entries were selected, so that a mistyped filter does not look
    like an empty log. Broken lines are left out: `crossfix audit verify` finds them.
    """
    from service.contract.utc_time import as_utc
    from service.settings import load_settings
    from service.storage.audit.check import read_entries
    from service.wiring.stores import audit_folder

    start = as_utc(since).isoformat() if since else ""
    end = as_utc(until).isoformat() if until else "~"  # sorts after every digit
    folder = audit_folder(load_settings(data_dir=data_dir))
    entries = [{"replica": replica, **entry} for replica, entry in read_entries(folder)]
    if not entries:
        _fail_without_log(folder)
    selected = [
        entry
        for entry in entries
        if start <= entry["at"] < end
        and action in (None, entry["action"])
        and who in (None, entry.get("who"))
    ]
    for entry in sorted(selected, key=lambda entry: (entry["at"], entry["replica"], entry["seq"])):
        print(json.dumps(entry, ensure_ascii=False, sort_keys=True))
    print(f"{len(selected)} of {len(entries)} entries", file=sys.stderr)


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
    device: DeviceOption = None,
    as_json: AsJson = False,
) -> None:
    """Embed every stored chip with another bundle, then serve that bundle.

    You can stop and repeat the command: no embedding is lost. The gallery switches in one step,
    when every sighting is embedded; running services follow within seconds and drop no request.
    To switch back, run the command with the former bundle. Stop the service of an embedded
    gallery first.
    """
    from service.wiring.maintenance import upgrade_gallery

    settings = protected_settings(data_dir=data_dir, device=device)
    share = None if shard is None else _share(shard, settings)
    with progress("sightings") as (expect, advance):
        outcome = upgrade_gallery(settings, to, share, expect, advance)
    if as_json:
        names = ("source", "target", "embedded", "left", "serving")
        print_json({name: getattr(outcome, name) for name in names})
        return
    print(f"{outcome.embedded} sightings embedded by bundle {outcome.target}, {outcome.left} left")
    print(f"bundle {outcome.target if outcome.serving else outcome.source} is served")


def backup(
    to: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", metavar="DIR")],
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Back up a gallery that holds nothing, too.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write gallery, matches, chips, audit log and installed bundles into a folder with hashes.

    With a Qdrant server, services may run meanwhile; an embedded gallery needs its service stopped.
    """
    from service.maintenance.backup import back_up
    from service.wiring.maintenance import open_to_back_up

    stores = open_to_back_up(protected_settings(data_dir=data_dir), allow_empty)
    with closing(stores), progress("written") as (_, advance):
        counts = back_up(stores, to, datetime.now(UTC), advance=advance)
    _print_counts(asdict(counts), f"backed up into {to}", as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="Folder of a backup.", metavar="DIR")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into empty stores, read it back and compare. Never overwrites anything."""
    from service.maintenance.restore import restore as restore_backup
    from service.wiring.gallery_markers import unfinished_restore
    from service.wiring.maintenance import open_to_restore

    settings = protected_settings(data_dir=data_dir)
    marker = unfinished_restore(settings)
    with closing(open_to_restore(settings, source)) as stores, progress("restored") as (_, advance):
        counts = restore_backup(source, stores, marker, advance=advance)
    _print_counts(asdict(counts), f"restored from {source}, read back and found equal", as_json)


def sweep(
    older_than_h: Annotated[
        float, typer.Option(help="Only chips last sent at least so many hours ago.", min=1)
    ] = 24.0,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete them; otherwise they are only counted.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count or delete original chips without a sighting, which failed requests leave behind.

    With a Qdrant server, services may run meanwhile; an embedded gallery needs its service stopped.
    """
    from service.wiring.maintenance import sweep_originals

    settings = protected_settings(data_dir=data_dir)
    with progress("originals") as (_, advance):
        swept = sweep_originals(settings, timedelta(hours=older_than_h), remove, advance)
    _print_counts(asdict(swept), "removed" if remove else "looked, and removed nothing", as_json)


def check(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare every stored record and chip with its digest; ends with status 1 if one is damaged.

    With a Qdrant server, services may run meanwhile; an embedded gallery needs its service stopped.
    """
    from service.wiring.maintenance import check_gallery

    settings = protected_settings(data_dir=data_dir)
    with progress("checked") as (_, advance):
        result = check_gallery(settings, advance)
    if as_json:
        print_json(asdict(result))
    else:
        for kind, states in result.records.items():
            print(f"{kind}: " + ", ".join(f"{count} {state}" for state, count in states.items()))
        print(f"chip: {result.chips} intact")
        for line in result.damage:
            print(f"DAMAGED {line}")
    if result.damage:
        raise typer.Exit(FAILED)


def apply_retention(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Delete unjudged matches and open sightings beyond the limits of CROSSFIX_KEEP_...

    A service does so every hour. With a Qdrant server, services may run meanwhile; an embedded
    gallery needs its service stopped.
    """
    from service.wiring.maintenance import retain_in_gallery

    removed = retain_in_gallery(protected_settings(data_dir=data_dir))
    _print_counts(asdict(removed), "removed", as_json)


def _print_counts(counts: dict[str, object], headline: str, as_json: bool) -> None:
    if as_json:
        print_json(counts)
        return
    print(headline)
    for name, count in counts.items():
        parts = count.items() if isinstance(count, dict) else [("", count)]
        text = ", ".join(f"{number} {part}".strip() for part, number in parts)
        print(f"  {name.replace('_', ' ')}: {text}")


def _share(text: str, settings: "Settings") -> "Share":
    from service.maintenance.reembed import Share

    try:
        number, workers = (int(part) for part in text.split("/"))
        share = Share(number, workers)
    except ValueError as error:
        fail(f"--shard {text!r}: expected I/N with 0 <= I < N, e.g. 0/4 ({error})", USAGE)
    if settings.qdrant_url is None and share.workers > 1:
        fail("--shard needs a Qdrant server: only one process can open this gallery", USAGE)
    return share


def _read_heads(path: Path) -> "dict[str, Head]":
    from service.storage.audit.chain import Head

    try:
        heads = json.loads(path.read_bytes())["heads"]
        return {name: Head(int(head["seq"]), str(head["hash"])) for name, head in heads.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"{path} is not the output of `audit verify --json`: {error!r}", USAGE)


def _fail_without_log(folder: Path) -> NoReturn:
    fail(f"there is no audit log in {folder}; name the data folder of the service", USAGE)


MAINTENANCE_COMMANDS = (reembed, backup, restore, sweep, check, apply_retention)
