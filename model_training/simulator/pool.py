"""Render many views in many processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.ships.vessel import VesselModel
from model_training.simulator.views import SensorName, View, render_view

Result = TypeVar("Result")
_BLOCK_SIZE = 8
"""Vessels that a process renders per call: enough to make the calls cheap; chosen by eye."""
_BLOCKS_PER_PROCESS = 3
"""Blocks in flight per process: enough to keep all busy, few enough to bound memory."""


def render_many(
    vessels: Iterable[VesselModel],
    views: Sequence[SensorName],
    seeds: Sequence[int],
    workers: int | None = None,
    config: SimulatorConfig | None = None,
) -> Iterator[list[View]]:
    """Render all views of each vessel, vessel by vessel in the given order.

    Args:
        views: the sensor of each view, e.g. ``("optical", "optical", "sar")``.
        seeds: the view seed of each view, as many as `views`.
        workers: processes; 1 renders in the calling process; None takes every core.
        config: settings; None takes `SimulatorConfig()`.

    Raises:
        ValueError: `views` and `seeds` differ in number.
    """
    return map_views(_unchanged, vessels, views, seeds, workers, config)


def map_views(
    function: Callable[[View], Result],
    vessels: Iterable[VesselModel],
    views: Sequence[SensorName],
    seeds: Sequence[int],
    workers: int | None = None,
    config: SimulatorConfig | None = None,
) -> Iterator[list[Result]]:
    """Render as `render_many` does, and apply `function` to each view in the rendering process.

    A function that shrinks views (resize, denoise) keeps the traffic between processes and the
    memory of a training cache small. With several workers it must be importable by name.

    Args:
        seeds: the view seed of each view, as many as `views`.
        workers: processes; 1 renders in the calling process; None takes every core.
        config: settings; None takes `SimulatorConfig()`.

    Raises:
        ValueError: `views` and `seeds` differ in number.
    """
    if len(views) != len(seeds):
        raise ValueError(f"{len(views)} views but {len(seeds)} seeds; give one seed per view")
    job = partial(
        _render_vessel, function, tuple(zip(views, seeds, strict=True)), config or SimulatorConfig()
    )
    count = workers if workers is not None else os.cpu_count() or 1
    if count <= 1:
        return map(job, vessels)
    return _in_processes(partial(_render_block, job), vessels, count)


def _unchanged(view: View) -> View:
    return view


def _render_vessel(
    function: Callable[[View], Result],
    acquisitions: Sequence[tuple[SensorName, int]],
    config: SimulatorConfig,
    vessel: VesselModel,
) -> list[Result]:
    return [function(render_view(vessel, sensor, seed, config)) for sensor, seed in acquisitions]


def _render_block(
    job: Callable[[VesselModel], list[Result]], block: list[VesselModel]
) -> list[list[Result]]:
    return [job(vessel) for vessel in block]


def _in_processes(
    job: Callable[[list[VesselModel]], list[list[Result]]],
    vessels: Iterable[VesselModel],
    workers: int,
) -> Iterator[list[Result]]:
    """Yield the results of all vessels in order, with a bounded number of blocks in flight."""
    source = iter(vessels)
    most_in_flight = workers * _BLOCKS_PER_PROCESS
    # Fork would copy the locks of a parent that already runs threads (torch does).
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        in_flight: list[Future[list[list[Result]]]] = []
        while True:
            while len(in_flight) < most_in_flight and (block := list(islice(source, _BLOCK_SIZE))):
                in_flight.append(pool.submit(job, block))
            if not in_flight:
                return
            yield from in_flight.pop(0).result()
