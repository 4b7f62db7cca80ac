"""Carry over the match records of versions that kept them in a shard of Qdrant Edge."""

import logging
import shutil
from itertools import islice
from pathlib import Path

from service.contract.durable_files import sync_folder
from service.storage.edge.shard import NO_VECTOR, Shard
from service.storage.local.disk_errors import disk_errors
from service.storage.points.payloads import Point
from service.storage.points.search_upgrade import make_matches_searchable
from service.storage.sqlite.matches import SqliteMatchStore

BATCH = 500

log = logging.getLogger("crossfix")


def open_match_file(path: Path, former: Path) -> SqliteMatchStore:
    """Open the match records, with those of the former shard, which is then removed.

    The shard stays whole until all of its records are on disk in the file: an interrupted call is
    done again from the beginning by the next one.

    Args:
        path: the file.
        former: the folder of the shard, which need not exist.

    Raises:
        StoreUnavailableError: file or folder is damaged, or cannot be used.
        StoreFullError: the disk is full.
    """
    removed = former.with_name(f"{former.name}.removed")
    matches = SqliteMatchStore(path)
    try:
        with disk_errors(f"remove {former}"):
            shutil.rmtree(removed, ignore_errors=True)
            if former.is_dir():
                _carry_over(former, matches)
                former.rename(removed)
                sync_folder(former.parent)
                shutil.rmtree(removed, ignore_errors=True)
    except BaseException:
        matches.close()
        raise
    return matches


def _carry_over(former: Path, matches: SqliteMatchStore) -> None:
    """Copy the records as they are, damaged ones too, so that `crossfix check` finds them."""
    shard = Shard(former, len(NO_VECTOR), {})
    try:
        make_matches_searchable(shard)
        rows = shard.scan()
        while some := list(islice(rows, BATCH)):
            matches.put_points([Point(point_id, None, row) for point_id, row in some])
            log.info("%d match records carried over from %s", len(some), former)
    finally:
        shard.close()
