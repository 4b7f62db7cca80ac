"""Derive the random numbers of a step from (seed, step, rank) alone."""

import hashlib

import numpy as np


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Return a 63-bit hash of its arguments: the seed of one step of one worker."""
    key = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    return int.from_bytes(key[:8], "little") >> 1


def step_generator(seed: int, step: int, rank: int = 0) -> np.random.Generator:
    """Return the numpy generator from which a step's batch is drawn."""
    return np.random.default_rng(step_seed(seed, step, rank))
