"""`crossfix keys`: who may ask a service, decided beside it and without it running.

A running service takes changes up within a second.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from service.access.keys import KeyRecord
    from service.storage.local.keys import KeyFile

USAGE = 2

keys_app = typer.Typer(
    help="Make, list and revoke API keys. Once one was made, every request needs one.",
    no_args_is_help=True,
)

KeysFile = Annotated[
    Path | None,
    typer.Option(
        "--keys-file",
        help="The key file.",
        show_default="CROSSFIX_KEYS_FILE, else keys.json in the data folder",
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(help="The service's data folder.", show_default="data")
]


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, e.g. `harbour-desk`.")],
    role: Annotated[
        Literal["reader", "curator", "admin"],
        typer.Option(
            help="reader: match, verify, read; curator: change the gallery as well; admin: all."
        ),
    ] = "reader",
    expires_days: Annotated[
        int | None,
        typer.Option(help="Days that it opens anything.", show_default="for ever", min=1),
    ] = None,
    keys_file: KeysFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it. It is kept only as a hash and cannot be shown again."""
    from service.access.roles import Role

    now = datetime.now(UTC)
    expires_at = None if expires_days is None else now + timedelta(days=expires_days)
    record, key = _key_file(keys_file, data_dir).create(name, Role(role), now, expires_at)
    print(f"key {record.id} of {record.name}, {record.role}; it is shown once:", file=sys.stderr)
    print(key)


@keys_app.command("list")
def show(
    keys_file: KeysFile = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show who has keys, revoked and expired ones too."""
    from service.client.tables import console

    now = datetime.now(UTC)
    records = _key_file(keys_file, data_dir).ring().records
    if as_json:
        rows = [
            one.model_dump(mode="json", exclude={"sha256"}) | {"usable": one.usable(now)}
            for one in records
        ]
        print(json.dumps(rows, indent=2))
    else:
        console().print(_table(records, now))


@keys_app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `crossfix keys list` shows.")],
    keys_file: KeysFile = None,
    data_dir: DataDir = None,
) -> None:
    """Have a key open nothing any more."""
    record = _key_file(keys_file, data_dir).revoke(key_id, datetime.now(UTC))
    print(f"key {record.id} of {record.name} is revoked since {record.revoked_at:%Y-%m-%d %H:%M}Z")


def _table(records: "Sequence[KeyRecord]", now: datetime) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "name", "role", "made", "state")
    for one in records:
        state = "usable" if one.expires_at is None else f"until {one.expires_at:%Y-%m-%d}"
        if one.revoked_at is not None:
            state = f"revoked {one.revoked_at:%Y-%m-%d}"
        elif not one.usable(now):
            state = f"expired {one.expires_at:%Y-%m-%d}"
        table.add_row(one.id, escape(one.name), one.role, f"{one.created_at:%Y-%m-%d}", state)
    return table


def _key_file(keys_file: Path | None, data_dir: Path | None) -> "KeyFile":
    from service.settings import SettingsError, load_settings
    from service.storage.local.keys import KeyFile

    try:
        settings = load_settings(keys_file=keys_file, data_dir=data_dir)
    except SettingsError as error:
        print(f"crossfix: {error}", file=sys.stderr)
        raise typer.Exit(USAGE) from error
    return KeyFile(settings.keys_path)
