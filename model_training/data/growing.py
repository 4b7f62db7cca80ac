"""Render the chips of a simulated fleet while a run trains on those that are ready.

Which ships a step may use follows from the step alone, so that a run stays repeatable: a reader
that is ahead of the renderer waits for it.
"""

import fcntl
import multiprocessing
import os
import time
from multiprocessing.process import BaseProcess

from model_training.data.cache import PictureStore, StoreError, shard_numbers
from model_training.data.simulated import SHARD_VESSELS, FleetConfig, render_shard

GROWTH_SHARDS = 10
"""Shards that come into use together: opening a store costs time."""
WAIT_S = 900.0
"""How long a step waits for its ships before it takes the renderer for dead."""
_POLL_S = 1.0
_NICENESS = 10


class FleetGrowth:
    """The training ships of a fleet with `initial_vessels`, as far as each step may use them."""

    def __init__(self, fleet: FleetConfig) -> None:
        self.fleet = fleet
        self._opened: tuple[int, PictureStore] | None = None

    def shards(self, step: int) -> int:
        """How many shards are in use at a step."""
        first = (self.fleet.initial_vessels or self.fleet.vessels) // SHARD_VESSELS
        last = self.fleet.vessels // SHARD_VESSELS
        grown = int((last - first) * min(1.0, step / self.fleet.growth_steps))
        return last if grown == last - first else first + grown // GROWTH_SHARDS * GROWTH_SHARDS

    def store(self, step: int) -> PictureStore:
        """The ships of a step, once they are rendered; the latest store is kept open.

        Raises:
            StoreError: the ships did not come within `WAIT_S`.
        """
        count = self.shards(step)
        if self._opened is None or self._opened[0] != count:
            folder = self.fleet.folder / "train"
            self._wait(set(range(count)))
            self._opened = (count, PictureStore(folder, range(count)))
        return self._opened[1]

    def _wait(self, wanted: set[int]) -> None:
        deadline = time.monotonic() + WAIT_S
        while missing := wanted - set(shard_numbers(self.fleet.folder / "train")):
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{self.fleet.folder} still lacks {len(missing)} shards of its training ships "
                    f"after {WAIT_S:g} s; start the run again to render them"
                )
            time.sleep(_POLL_S)


def render_beside(fleet: FleetConfig, percentile: float | None) -> BaseProcess | None:
    """Start to render the training ships that are missing, as long as this process lives.

    Args:
        percentile: of the SAR denoise, see `PreprocessSpec`.

    Returns:
        The renderer, or None where nothing is missing.
    """
    missing = sorted(
        set(range(fleet.vessels // SHARD_VESSELS)) - set(shard_numbers(fleet.folder / "train"))
    )
    if not missing:
        return None
    process = multiprocessing.get_context("spawn").Process(
        target=_render, args=(fleet, percentile, missing), daemon=True, name="render fleet"
    )
    process.start()
    return process


def _render(fleet: FleetConfig, percentile: float | None, shards: list[int]) -> None:
    """Render shard after shard at low priority, one renderer at a time, as long as training runs.

    A training that is killed leaves its children behind, so the renderer looks after it itself.
    """
    parent = multiprocessing.parent_process()
    os.nice(_NICENESS)
    folder = fleet.folder / "train"
    with (fleet.folder / "renderer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes that train, the others wait
        for number in shards:
            if parent is not None and not parent.is_alive():
                return
            if number not in shard_numbers(folder):
                render_shard(fleet, percentile, ("train", number))
