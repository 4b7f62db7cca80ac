"""Measure what framing a chip costs on one core."""

import time
from dataclasses import dataclass

from service.contract.chip import Modality
from service.contract.framing.frame import frame_chip
from tests.support.inputs.scenes import add_ship, empty_sea

SIDES_PX = (300, 2000)
REPEATS = 20


@dataclass(frozen=True)
class FramingCost:
    """Processor time of framing a square loose chip; the quickest of `REPEATS` runs."""

    modality: str
    side_px: int
    processor_ms: float


def measure_framing() -> list[FramingCost]:
    """Frame a turned ship of 45 % of the chip's side, for each sensor and size."""
    return [
        FramingCost(modality.value, side, _quickest_ms(modality, side))
        for modality in Modality
        for side in SIDES_PX
    ]


def _quickest_ms(modality: Modality, side: int) -> float:
    length = 0.45 * side
    chip = add_ship(empty_sea(modality, (side, side)), 25.0, length, length / 6)
    quickest = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        frame_chip(chip, modality, 1.0)
        quickest = min(quickest, time.process_time() - started)
    return quickest * 1000.0


def main() -> None:
    """Print the cost; run it with `taskset -c 0` on an idle machine."""
    for cost in measure_framing():
        print(f"{cost.modality}, {cost.side_px} px: {cost.processor_ms:.1f} ms")


if __name__ == "__main__":
    main()
