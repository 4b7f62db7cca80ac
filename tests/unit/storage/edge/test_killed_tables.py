"""After a kill at any line, the search tables hold what the stores hold, without reading it all."""

import multiprocessing
import random
import signal
from pathlib import Path

import pytest

from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.tables import search_tables, sketched_vectors
from service.storage.edge.tables.search_tables import SearchTables
from tests.support.change_until_killed import SAVE_AFTER, SKETCHED_ROWS, change_until_killed
from tests.support.fakes.records import BUNDLE, WIDTH
from tests.support.search_tables import assert_tables_are_current

ROUNDS = 40
FIRST_LINES, MOST_LINES = 40_000, 20_000
FORKS = multiprocessing.get_context("forkserver")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketched_vectors, "SKETCHED_ROWS", SKETCHED_ROWS)
    monkeypatch.setattr(search_tables, "SAVE_AFTER", SAVE_AFTER)


def change_and_kill(folder: Path, seed: int, lines: int) -> None:
    FORKS.set_forkserver_preload([change_until_killed.__module__])
    process = FORKS.Process(target=change_until_killed, args=(folder, seed, lines))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL


def test_kills_at_any_line(quick_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(20261130)
    change_and_kill(quick_folder, 0, FIRST_LINES)
    monkeypatch.setattr(SearchTables, "_read", None)  # all records are not read again
    most = 0
    for number in range(1, ROUNDS + 1):
        gallery = EdgeGallery(quick_folder, BUNDLE, WIDTH)
        assert_tables_are_current(gallery)
        most = max(most, len(gallery._tables.enrolled))
        if dice.randrange(3):
            gallery._folder.close()  # without the tables, as if it was killed again
        else:
            gallery.close()
        change_and_kill(quick_folder, number, dice.randint(1, MOST_LINES))
    assert most > 2 * SKETCHED_ROWS
