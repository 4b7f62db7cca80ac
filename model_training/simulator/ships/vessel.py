"""Identity of a vessel: its type, its size and the two seeds that decide its structure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.draws import Range, Rng, uniform
from model_training.simulator.ships.catalogue import CATALOGUE, TYPE_NAMES, TYPE_WEIGHTS, VesselType

_FLEET_STREAM, _BLOCK_STREAM, _TWIN_STREAM = 11, 12, 13
"""Keys that keep the random streams of this module apart."""
_LAST_SEED = 2**31
_SIZE_SPREAD: Range = (0.985, 1.015)
"""Length against the drawn one, and size of a twin against the original's; chosen by eye."""
_BEAM_EXPONENT = -0.12  # longer ships of a type are more slender; chosen by eye
_MOST_BEAM_M = 62.0  # the largest container ships are about 61 m wide
_PANAMAX_BEAM_M = 32.2  # the old locks of the Panama Canal admit ships up to 32.31 m wide
_PANAMAX_RANGE_M: Range = (30.0, 35.0)
_PANAMAX_OVER_M = 175.0  # length; both limits are chosen by eye


def generator(*keys: int) -> Rng:
    """Return a random generator that depends on `keys` alone, in any process and order."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([abs(k) for k in keys])))


@dataclass(frozen=True, slots=True)
class VesselModel:
    """A ship, small enough to send between processes by the ten thousand.

    The structure (`structure.build_structure`) follows from `vessel_type`, the dimensions and
    the seeds: `class_seed` decides what sister ships share (hatches, cranes, house), and
    `detail_seed` what belongs to this ship alone (equipment, paint, fittings, scatterers).
    """

    index: int
    vessel_type: str
    length_m: float
    beam_m: float
    class_seed: int
    detail_seed: int
    sister_group: int | None = None
    """Number that the vessels of one class share; None where no sister is in the fleet."""


def sample_fleet(n: int, seed: int, config: SimulatorConfig) -> list[VesselModel]:
    """Draw `n` vessels; vessel i depends only on (seed, i) and on its block.

    A share `config.sister_fraction` of the blocks of `config.sister_block` vessels holds two or
    more sister ships. A longer fleet
    begins with the vessels of a shorter one of the same seed.
    """
    return [sample_vessel(i, seed, config) for i in range(n)]


def sample_vessel(index: int, seed: int, config: SimulatorConfig) -> VesselModel:
    """Draw vessel number `index` of the fleet that belongs to `seed`."""
    block, place = divmod(index, config.sister_block)
    block_rng = generator(seed, _BLOCK_STREAM, block)
    sisters = int(block_rng.integers(2, config.sister_block + 1))
    in_group = block_rng.random() < config.sister_fraction and place < sisters
    founder = block * config.sister_block if in_group else index

    rng = generator(seed, _FLEET_STREAM, founder)
    name = TYPE_NAMES[int(rng.choice(len(TYPE_NAMES), p=TYPE_WEIGHTS))]
    length, beam = _draw_size(CATALOGUE[name], rng)
    class_seed = int(rng.integers(1, _LAST_SEED))
    detail_seed = int(generator(seed, _FLEET_STREAM, index, 1).integers(1, _LAST_SEED))
    return VesselModel(
        index=index,
        vessel_type=name,
        length_m=length,
        beam_m=beam,
        class_seed=class_seed,
        detail_seed=detail_seed,
        sister_group=founder if in_group else None,
    )


def _draw_size(kind: VesselType, rng: Rng) -> tuple[float, float]:
    """Draw length and beam in metres."""
    length = rng.normal(kind.length_mean_m, kind.length_sd_m)
    length = float(np.clip(length, kind.length_min_m, kind.length_max_m))
    length *= uniform(rng, _SIZE_SPREAD)
    slenderness = uniform(rng, kind.length_to_beam)
    beam = length / slenderness * (length / kind.length_mean_m) ** _BEAM_EXPONENT
    beam = min(beam, _MOST_BEAM_M)
    if _PANAMAX_RANGE_M[0] < beam < _PANAMAX_RANGE_M[1] and length > _PANAMAX_OVER_M:
        beam = _PANAMAX_BEAM_M  # made the commonest beam of all by those locks
    return length, beam


def size_twin(vessel: VesselModel, index: int, seed: int) -> VesselModel:
    """Draw a ship of the same type and size (within 1.5 %), but of another class."""
    rng = generator(seed, _TWIN_STREAM, index)
    return replace(
        vessel,
        index=index,
        length_m=vessel.length_m * uniform(rng, _SIZE_SPREAD),
        beam_m=vessel.beam_m * uniform(rng, _SIZE_SPREAD),
        class_seed=int(rng.integers(1, _LAST_SEED)),
        detail_seed=int(rng.integers(1, _LAST_SEED)),
        sister_group=None,
    )
