"""A vessel's identity: what it is, how large, and the two seeds its structure grows from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.ships.catalogue import CATALOGUE, TYPE_NAMES, TYPE_WEIGHTS

_FLEET, _BLOCK, _TWIN = 11, 12, 13
_BLOCK_SIZE = 4


def generator(*keys: int) -> np.random.Generator:
    """A random generator that depends on `keys` alone (any process, any order)."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([abs(k) for k in keys])))


@dataclass(frozen=True, slots=True)
class VesselModel:
    """One ship, small enough to send between processes by the ten thousand.

    The structure (`structure.build_structure`) follows from `vessel_type`, the dimensions and
    the seeds: `class_seed` decides what sister ships share (hatches, cranes, house), and
    `detail_seed` what is this ship's own (equipment, paint, fittings, scatterers).
    """

    index: int
    vessel_type: str
    length_m: float
    beam_m: float
    class_seed: int
    detail_seed: int
    sister_group: int | None = None
    """Vessels of one class carry the same number; None where no sister is in the fleet."""

    def sister_of(self, other: VesselModel) -> bool:
        """True for two different ships of one class."""
        return self.class_seed == other.class_seed and self.detail_seed != other.detail_seed


def sample_fleet(n: int, seed: int, config: SimulatorConfig) -> list[VesselModel]:
    """`n` vessels; vessel i depends only on (seed, i) and on its block of four.

    A share `config.sister_fraction` of the blocks of four holds two to four sister ships.
    The first vessels of a longer fleet equal a shorter one's, but for a group cut by the end.
    """
    return [sample_vessel(i, seed, config) for i in range(n)]


def sample_vessel(index: int, seed: int, config: SimulatorConfig) -> VesselModel:
    """Vessel number `index` of the fleet `seed`."""
    block, place = divmod(index, _BLOCK_SIZE)
    block_rng = generator(seed, _BLOCK, block)
    sisters = int(block_rng.integers(2, _BLOCK_SIZE + 1))
    in_group = block_rng.random() < config.sister_fraction and place < sisters
    founder = block * _BLOCK_SIZE if in_group else index

    rng = generator(seed, _FLEET, founder)
    name = TYPE_NAMES[int(rng.choice(len(TYPE_NAMES), p=TYPE_WEIGHTS))]
    kind = CATALOGUE[name]
    length = float(
        np.clip(
            rng.normal(kind.length_mean_m, kind.length_sd_m), kind.length_min_m, kind.length_max_m
        )
    )
    length *= float(rng.uniform(0.985, 1.015))
    beam = (
        length / float(rng.uniform(*kind.length_to_beam)) * (length / kind.length_mean_m) ** -0.12
    )
    beam = min(beam, 62.0)
    if 30.0 < beam < 35.0 and length > 175.0:
        beam = 32.2  # the old Panama locks made this the commonest beam of all
    class_seed = int(rng.integers(1, 2**31))
    detail_seed = int(generator(seed, _FLEET, index, 1).integers(1, 2**31))
    return VesselModel(
        index=index,
        vessel_type=name,
        length_m=length,
        beam_m=beam,
        class_seed=class_seed,
        detail_seed=detail_seed,
        sister_group=founder if in_group else None,
    )


def size_twin(vessel: VesselModel, index: int, seed: int) -> VesselModel:
    """Another ship of the same size and type (within 1.5 %) but of another class."""
    rng = generator(seed, _TWIN, index)
    return replace(
        vessel,
        index=index,
        length_m=vessel.length_m * float(rng.uniform(0.985, 1.015)),
        beam_m=vessel.beam_m * float(rng.uniform(0.985, 1.015)),
        class_seed=int(rng.integers(1, 2**31)),
        detail_seed=int(rng.integers(1, 2**31)),
        sister_group=None,
    )
