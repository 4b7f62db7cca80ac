"""Tables that a run leaves to the next one, which then need not read every record.

They are saved when a gallery is closed, after its stores, and are used once: the next run removes
the file before it opens the stores, so that a run that is killed leaves nothing to use. They count
only if the files of the stores are still those of the close.
"""

import json
import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.durable_files import sync_folder

FILE = "tables.npz"
STORES = "stores"

log = logging.getLogger("crossfix")


def describe(folder: Path, besides: str) -> str:
    """Return name, size in bytes and time of change of each file in a folder, as JSON.

    Args:
        folder: the folder.
        besides: name of a subfolder to leave out.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != besides:
            about = path.stat()
            found[str(name)] = [about.st_size, about.st_mtime_ns]
    return json.dumps(found)


def save(folder: Path, stores: str, tables: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Save the arrays of tables.

    Args:
        folder: where.
        stores: what `describe` returns after the stores were closed.
        tables: the arrays of each table, by the name of the table.

    Raises:
        OSError: the disk refuses; nothing is saved.
    """
    arrays: dict[str, Any] = {STORES: np.array(stores)}
    arrays |= {f"{table}/{name}": a for table, own in tables.items() for name, a in own.items()}
    fresh = folder / f"{FILE}.new"
    with fresh.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / FILE)
    sync_folder(folder)


def take(folder: Path, stores: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that were saved, and remove them; None if they do not count.

    Args:
        folder: where.
        stores: what `describe` returned before the stores were opened.

    Raises:
        OSError: they cannot be removed.
    """
    path = folder / FILE
    if not path.exists():
        return None
    arrays: dict[str, NDArray[Any]] | None = None
    try:
        # Reading an array compares its checksum.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            if str(saved[STORES]) == stores:
                arrays = dict(saved)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read: %s", path, error)
    path.unlink()
    sync_folder(folder)  # before any store changes: a crash must not bring the file back
    return arrays


def part(arrays: Mapping[str, NDArray[Any]], table: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of one table."""
    start = f"{table}/"
    return {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}
