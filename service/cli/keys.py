"""`crossfix keys`: make, list and revoke API keys in the key file.

The service need not run; a running one applies a change within a second.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.common import AsJson, DataDir, print_json, protected_settings

if TYPE_CHECKING:
    from rich.table import Table

    from service.access.keys import KeyRecord
    from service.storage.local.keys import KeyFile

keys_app = typer.Typer(
    help="Create, list and revoke API keys. Once a key exists, every request needs one.",
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


def _printable(name: str) -> str:
    if not (len(name.strip()) > 0 and len(name) <= 100 and name.isprintable()):
        raise typer.BadParameter("expected 1 to 100 printable characters")
    return name


@keys_app.command("create")
def create_key(
    name: Annotated[
        str, typer.Argument(help="Holder of the key, e.g. `harbour-desk`.", callback=_printable)
    ],
    role: Annotated[
        Literal["reader", "curator", "admin"],
        typer.Option(
            help="reader: match, verify, read; curator: change the gallery as well; admin: all."
        ),
    ] = "reader",
    expires_days: Annotated[
        int | None,
        typer.Option(help="Days until the key expires.", show_default="never", min=1, max=36_500),
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
def list_keys(
    keys_file: KeysFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List all keys, revoked and expired ones too."""
    from service.client.tables import console

    now = datetime.now(UTC)
    records = _key_file(keys_file, data_dir).ring().records
    if as_json:
        print_json(
            [
                record.model_dump(mode="json", exclude={"sha256"}) | {"usable": record.usable(now)}
                for record in records
            ]
        )
    else:
        console().print(_table(records, now))


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id that `crossfix keys list` shows.")],
    keys_file: KeysFile = None,
    data_dir: DataDir = None,
) -> None:
    """Revoke a key."""
    record = _key_file(keys_file, data_dir).revoke(key_id, datetime.now(UTC))
    print(f"key {record.id} of {record.name} is revoked since {record.revoked_at:%Y-%m-%d %H:%M}Z")


def _table(records: "Sequence[KeyRecord]", now: datetime) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "name", "role", "made", "state")
    for record in records:
        state = "usable" if record.expires_at is None else f"until {record.expires_at:%Y-%m-%d}"
        if record.revoked_at is not None:
            state = f"revoked {record.revoked_at:%Y-%m-%d}"
        elif not record.usable(now):
            state = f"expired {record.expires_at:%Y-%m-%d}"
        made = f"{record.created_at:%Y-%m-%d}"
        table.add_row(record.id, escape(record.name), record.role, made, state)
    return table


def _key_file(keys_file: Path | None, data_dir: Path | None) -> "KeyFile":
    from service.storage.local.keys import KeyFile
    from service.wiring.gallery_markers import keys_made

    settings = protected_settings(keys_file=keys_file, data_dir=data_dir)
    # The service sets the marker of the shared gallery: this command works without that server.
    made = keys_made(settings.model_copy(update={"qdrant_url": None}))
    return KeyFile(settings.keys_path, made=made)
