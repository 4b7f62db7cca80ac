"""Choose the chips of a batch. Every draw is a pure function of a store and a generator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.cache import PictureStore, StoreError
from service.contract.chip import Modality

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairDraw:
    """N ships, one optical and one SAR chip of each.

    Attributes:
        vessel_rows: int64 `[N]`, all different.
        optical: int64 `[N]`, rows of the store.
        sar: int64 `[N]`, rows of the store.
    """

    vessel_rows: Rows
    optical: Rows
    sar: Rows


class PairSampler:
    """Draws optical–SAR pairs of different ships, a share of them of similar length.

    Ships that differ in size are easy negatives once size is learnt. A hard share of the batch is
    therefore drawn from short stretches of the fleet ordered by length, so that ships of similar
    length, and sister ships above all, are each other's negatives.

    Args:
        store: the chips.
        stretch: how many ships of similar length form one group of hard negatives.

    Raises:
        StoreError: fewer than two ships have chips of both sensors.
    """

    def __init__(self, store: PictureStore, stretch: int = 8) -> None:
        self.optical = store.rows_by_vessel(Modality.OPTICAL)
        self.sar = store.rows_by_vessel(Modality.SAR)
        both = [i for i, rows in enumerate(self.optical) if len(rows) and len(self.sar[i])]
        if len(both) < 2:
            raise StoreError("pairs need at least two ships with chips of both sensors")
        lengths = store.vessel_length_m()[both]
        self.by_length: Rows = np.array(both, np.int64)[np.argsort(lengths, kind="stable")]
        self.stretch = min(stretch, len(both))

    def draw(self, generator: np.random.Generator, pairs: int, hard_share: float) -> PairDraw:
        """Draw N pairs; about `hard_share` of them are from stretches of similar length.

        Raises:
            ValueError: `pairs` exceeds the number of ships with both sensors.
        """
        fleet = len(self.by_length)
        if pairs > fleet:
            raise ValueError(f"{pairs} pairs requested, but only {fleet} ships have both sensors")
        chosen: dict[int, None] = {}
        groups = round(pairs * hard_share / self.stretch)
        for start in generator.integers(0, fleet - self.stretch + 1, size=groups):
            chosen |= dict.fromkeys(range(int(start), int(start) + self.stretch))
        while len(chosen) < pairs:
            chosen |= dict.fromkeys(generator.integers(0, fleet, size=pairs - len(chosen)).tolist())
        vessels = self.by_length[list(chosen)[:pairs]]
        return PairDraw(
            vessel_rows=vessels,
            optical=_one_each(generator, self.optical, vessels),
            sar=_one_each(generator, self.sar, vessels),
        )


class BalancedIdentitySampler:
    """Draws P ships with K chips each, half of them optical and half SAR if a ship has both.

    The released sampler does not balance sensors within an identity, so that many of its batches
    have no identity with both, and then modality alignment has no effect.

    Raises:
        StoreError: the store has a single ship.
    """

    def __init__(self, store: PictureStore) -> None:
        self.by_sensor = (
            store.rows_by_vessel(Modality.OPTICAL),
            store.rows_by_vessel(Modality.SAR),
        )
        self.vessels = len(store.vessels)
        if self.vessels < 2:
            raise StoreError("identity batches need at least two ships")

    def draw(self, generator: np.random.Generator, identities: int, chips: int) -> Rows:
        """Draw rows int64 `[identities * chips]`, ship by ship; chips repeat if a ship has few.

        Raises:
            ValueError: `identities` exceeds the number of ships, or `chips` is odd.
        """
        if identities > self.vessels or chips % 2:
            raise ValueError(
                f"{identities} identities of {self.vessels} with {chips} chips each: "
                "request at most as many ships as there are, and an even number of chips"
            )
        rows: list[int] = []
        for vessel in generator.choice(self.vessels, identities, replace=False):
            sensors = [part[vessel] for part in self.by_sensor if len(part[vessel])]
            for of_sensor in sensors:
                count = chips // len(sensors)
                rows += np.resize(generator.permutation(of_sensor), count).tolist()
        return np.array(rows, np.int64)


def _one_each(generator: np.random.Generator, rows: list[Rows], vessels: Rows) -> Rows:
    """Draw one of each vessel's rows."""
    return np.array([generator.choice(rows[vessel]) for vessel in vessels], np.int64)
