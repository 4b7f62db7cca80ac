"""The randomness of a step: a pure function of (seed, step, rank)."""

import hashlib

import numpy as np


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed for one step of one worker, well mixed."""
    key = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    return int.from_bytes(key[:8], "little") >> 1


def step_generator(seed: int, step: int, rank: int = 0) -> np.random.Generator:
    """The numpy generator from which a step's batch is drawn."""
    return np.random.default_rng(step_seed(seed, step, rank))
