"""Choose the chips of a batch. Every draw is a pure function of a store and a generator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.cache import PictureStore, StoreError
from service.contract.chip import Modality

Rows = NDArray[np.int64]
STRETCH = 8
"""Ships of one type and similar length that form one group of hard negatives."""


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
    """Draws optical–SAR pairs of different ships, a share of them look-alikes.

    Ships that differ in type or size are easy negatives once these are learnt. A hard share of the
    batch is therefore drawn from short stretches of the fleet ordered by type and length (by length
    alone if types are unknown), and a share of sisters family by family, so that look-alikes are
    each other's negatives.

    Raises:
        StoreError: fewer than two ships have chips of both sensors.
    """

    def __init__(self, store: PictureStore) -> None:
        self.optical = store.rows_by_vessel(Modality.OPTICAL)
        self.sar = store.rows_by_vessel(Modality.SAR)
        seen = [i for i, rows in enumerate(self.optical) if len(rows) and len(self.sar[i])]
        if len(seen) < 2:
            raise StoreError("pairs need at least two ships with chips of both sensors")
        both = np.array(seen, np.int64)
        lengths = store.vessel_length_m()[both]
        types = np.zeros(len(both)) if store.kinds is None else store.kinds[both, 0]
        self.by_likeness: Rows = both[np.lexsort((lengths, types))]
        self.stretch = min(STRETCH, len(both))
        self.families = _families(both, store)
        self.sisters = sum(len(family) for family in self.families)

    def draw(
        self,
        generator: np.random.Generator,
        pairs: int,
        hard_share: float,
        sister_share: float = 0,
        *,
        mined_share: float = 0,
        mined: Callable[[np.random.Generator], Rows] | None = None,
    ) -> PairDraw:
        """Draw N pairs: about `hard_share` of them look-alikes, about `sister_share` sisters.

        A fleet with fewer sisters than that gives all that it has. About `mined_share` are groups
        of vessels that `mined` draws, where it is given.

        Raises:
            ValueError: `pairs` exceeds the number of ships with both sensors.
        """
        fleet = len(self.by_likeness)
        if pairs > fleet:
            raise ValueError(f"{pairs} pairs requested, but only {fleet} ships have both sensors")
        chosen: dict[int, None] = {}
        sisters = min(round(pairs * sister_share), self.sisters)
        while len(chosen) < sisters:
            family = self.families[int(generator.integers(len(self.families)))]
            chosen |= dict.fromkeys(family.tolist())
        groups = round(pairs * hard_share / self.stretch)
        for start in generator.integers(0, fleet - self.stretch + 1, size=groups):
            group = self.by_likeness[int(start) : int(start) + self.stretch]
            chosen |= dict.fromkeys(group.tolist())
        wanted = min(pairs, len(chosen) + round(pairs * mined_share))
        while mined is not None and len(chosen) < wanted:
            chosen |= dict.fromkeys(mined(generator).tolist())
        while len(chosen) < pairs:
            others = generator.integers(0, fleet, size=pairs - len(chosen))
            chosen |= dict.fromkeys(self.by_likeness[others].tolist())
        vessels = np.array(list(chosen)[:pairs], np.int64)
        return PairDraw(
            vessel_rows=vessels,
            optical=_one_each(generator, self.optical, vessels),
            sar=_one_each(generator, self.sar, vessels),
        )


def _families(vessels: Rows, store: PictureStore) -> list[Rows]:
    """Return the vessels of each family that has at least two of the given, ascending vessels."""
    if store.kinds is None:
        return []
    family = store.kinds[vessels, 1]
    sisters = vessels[family >= 0]
    order = np.argsort(family[family >= 0], kind="stable")
    starts = np.flatnonzero(np.diff(family[family >= 0][order])) + 1
    return [part for part in np.split(sisters[order], starts) if len(part) > 1]


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
