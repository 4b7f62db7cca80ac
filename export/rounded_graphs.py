"""Try graphs of an encoder with rounded numbers; keep those that are as good and faster.

A rounded graph is kept for a device if it passes four gates, measured on that device: parity with
the module, speed, and mAP on validation ships in both directions.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from torch import nn

from export.parity import BATCHES, Parity, ParityError, Tensors, check_parity
from export.quantise import convert_to_float16, quantise_to_int8
from model_training.data.hoss import DatasetError, LabelledChip, all_chips, read_hoss
from model_training.embedding.chip_table import ChipTable, Embeddings, embed_chips
from model_training.evaluation.comparison import compare
from model_training.ranking import Direction
from service.contract.chip import Chip, Modality
from service.contract.errors import CrossfixError
from service.contract.manifest import EncoderSpec, PreprocessSpec, RoundedGraphSpec
from service.contract.preprocess import prepare
from service.inference.encoder import Encoder
from service.inference.session import Device, DeviceError, Session, choose_device, open_session

RoundedPrecision = Literal["float16", "int8"]

PRECISION_OF: dict[Device, RoundedPrecision] = {"cpu": "int8", "cuda": "float16"}
MIN_COSINE: dict[RoundedPrecision, float] = {"float16": 0.999, "int8": 0.99}
"""Smallest cosine to the module, and of golden embeddings to those of the full graph."""
MAX_MAP_LOSS = 0.3
"""Points of mAP that a rounded graph may lose in one direction."""
MIN_TIMES_FASTER = 1.1
RANGE_CHIPS = 64
"""Validation chips from which the ranges of activations are taken."""
TIMED_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ValidationShips:
    """The chips on which rounded graphs are measured.

    Attributes:
        name: what the manifest calls them.
        chips: of both sensors; distractors are searched, but do not search.
    """

    name: str
    chips: tuple[LabelledChip, ...]

    @staticmethod
    def read(folder: Path) -> "ValidationShips":
        """Read a folder in HOSS layout.

        Raises:
            DatasetError: the folder holds no data set, or only chips without identity.
        """
        chips = all_chips(read_hoss(folder))
        ships = {chip.vessel_id for chip in chips if not chip.is_distractor}
        if not ships:
            raise DatasetError(f"{folder} holds no chips of known ships")
        return ValidationShips(
            f"{folder.resolve().name}: {len(ships)} ships, {len(chips)} chips", chips
        )

    def for_ranges(self) -> list[Chip]:
        """Read up to `RANGE_CHIPS` chips, evenly spread."""
        step = max(1, len(self.chips) // RANGE_CHIPS)
        return [chip.read() for chip in self.chips[::step][:RANGE_CHIPS]]


@dataclass(frozen=True, slots=True)
class FullGraph:
    """The encoder's module, its exported graph, and prepared chips to compare them with."""

    module: nn.Module
    path: Path
    spec: EncoderSpec
    preprocess: PreprocessSpec
    inputs: Tensors


@dataclass(frozen=True, slots=True)
class RoundedGraphs:
    """The graphs that are kept, their parity by file, and one sentence about each that was tried.

    Attributes:
        specs: of the kept graphs, whose files lie beside the full graph.
    """

    specs: tuple[RoundedGraphSpec, ...]
    parity: dict[str, Parity]
    sentences: tuple[str, ...]


class _NotKeptError(Exception):
    """A rounded graph does not pass a gate; says why."""


def round_graphs(full: FullGraph, ships: ValidationShips) -> RoundedGraphs:
    """Try a rounded graph for each device; write those that pass beside the full graph."""
    specs, parity, sentences = [], {}, []
    for device, precision in PRECISION_OF.items():
        file = f"{full.path.stem}-{precision}.onnx"
        try:
            spec, parity[file] = _try(full, ships, device, file)
        except (_NotKeptError, ParityError, CrossfixError) as reason:
            (full.path.parent / file).unlink(missing_ok=True)
            sentences.append(f"{precision} for {device} is not shipped: {reason}")
        else:
            specs.append(spec)
            change = ", ".join(f"{name} {gain:+.2f}" for name, gain in spec.map_change.items())
            sentences.append(
                f"{precision} for {device} is shipped: {spec.times_faster:.1f} times faster, "
                f"change of mAP {change} points ({spec.measured_on})"
            )
    return RoundedGraphs(tuple(specs), parity, tuple(sentences))


def _try(
    full: FullGraph, ships: ValidationShips, device: Device, file: str
) -> tuple[RoundedGraphSpec, Parity]:
    precision = PRECISION_OF[device]
    try:
        choose_device(device)
    except DeviceError as error:
        raise _NotKeptError(f"there is no {device} here to measure it on") from error
    path = full.path.parent / file
    if precision == "int8":
        quantise_to_int8(full.path, path, encoder_tensors(ships.for_ranges(), full.preprocess))
    else:
        convert_to_float16(full.path, path)
    graph = full.spec.graph.model_copy(update={"file": file, "precision": precision})
    parity = check_parity(
        full.module,
        path,
        graph,
        full.inputs,
        device=device,
        max_relative_difference=float("inf"),
        min_cosine=MIN_COSINE[precision],
    )
    exact = open_session(full.path, full.spec.graph, device, threads=1)
    rounded = open_session(path, graph, device, threads=1)
    faster = times_faster(exact, rounded, full.inputs)
    if faster < MIN_TIMES_FASTER:
        raise _NotKeptError(
            f"it is {faster:.2f} times as fast as float32, at least {MIN_TIMES_FASTER} is needed"
        )
    change = map_change(_embed(exact, full, ships), _embed(rounded, full, ships))
    worst = min(change, key=lambda name: change[name])
    if change[worst] < -MAX_MAP_LOSS:
        raise _NotKeptError(
            f"mAP {worst} changes by {change[worst]:+.2f} points ({ships.name}), a loss of at most "
            f"{MAX_MAP_LOSS} is allowed"
        )
    spec = RoundedGraphSpec(
        device=device,
        file=file,
        precision=precision,
        min_cosine=MIN_COSINE[precision],
        map_change=change,
        measured_on=ships.name,
        times_faster=round(faster, 2),
    )
    return spec, parity


def map_change(before: ChipTable, after: ChipTable) -> dict[Direction, float]:
    """Return by direction how many points of mAP `after` gains; distractors do not search."""
    ships = {chip.vessel_id for chip in before.chips if not chip.is_distractor}
    pairs = compare(before, after, ships, draws=1).by_direction
    return {name: round(newer - older, 3) for name, (older, newer) in pairs.items()}


def times_faster(full: Session, rounded: Session, inputs: Tensors) -> float:
    """Run both graphs alternately; return how many times faster the rounded one is.

    Processor time on the CPU, with one thread each, because a build machine may be shared. Of the
    batches of one and of eight the smaller ratio counts.
    """
    clock = time.process_time if full.device == "cpu" else time.perf_counter

    def seconds(session: Session, part: Tensors) -> float:
        started = clock()
        session.run(part)
        return clock() - started

    ratios = []
    for batch in BATCHES:
        part = {name: values[:batch] for name, values in inputs.items()}
        rounds = [seconds(full, part) / seconds(rounded, part) for _ in range(TIMED_ROUNDS + 1)]
        ratios.append(statistics.median(rounds[1:]))  # the first round warms up
    return min(ratios)


def _embed(session: Session, full: FullGraph, ships: ValidationShips) -> ChipTable:
    encoder = Encoder(session, full.spec)

    def embed(chips: Sequence[Chip]) -> Embeddings:
        return Embeddings(encoder.encode([prepare(chip, full.preprocess) for chip in chips]))

    return embed_chips(ships.chips, embed)


def encoder_tensors(chips: Sequence[Chip], spec: PreprocessSpec) -> Tensors:
    """Prepare chips as the tensors of an encoder, by name, see `encoder_graph_spec`."""
    inputs = [prepare(chip, spec) for chip in chips]
    return {
        "pixels": np.stack([item.pixels for item in inputs]),
        "modality": np.array([item.modality is Modality.SAR for item in inputs], np.int64),
        "size": np.stack([item.size_token for item in inputs]),
    }
