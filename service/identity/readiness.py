"""Can the service do its job right now? Asked by doing it, on a small chip of noise."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.contract.chip import Chip, Modality
from service.contract.errors import CrossfixError
from service.identity.ports import ChipEmbedder, ChipStore, Gallery


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of each part: None when it works, otherwise what is wrong."""

    parts: dict[str, str | None]

    @property
    def ready(self) -> bool:
        return all(problem is None for problem in self.parts.values())


class ReadinessCheck:
    """Runs real inference and reaches the stores; answers are reused for `max_age_s` seconds."""

    def __init__(
        self,
        embedder: ChipEmbedder,
        gallery: Gallery,
        chips: ChipStore,
        max_age_s: float = 1.0,
    ) -> None:
        self._probes: dict[str, Callable[[], object]] = {
            "inference": lambda: embedder.embed(_probe_chip()),
            "gallery": gallery.ping,
            "chips": chips.ping,
        }
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._last: tuple[float, Readiness] | None = None

    def __call__(self) -> Readiness:
        with self._lock:
            now = time.monotonic()
            if self._last is None or now - self._last[0] > self._max_age_s:
                parts = {name: _problem(probe) for name, probe in self._probes.items()}
                self._last = (time.monotonic(), Readiness(parts))
            return self._last[1]


def _problem(probe: Callable[[], object]) -> str | None:
    try:
        probe()
    except CrossfixError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _probe_chip() -> Chip:
    """A SAR chip of exponential speckle, 64 x 16 pixels; the same at each call."""
    pixels = np.random.default_rng(0).exponential(size=(64, 16)).astype(np.float32)
    return Chip(
        pixels=pixels,
        modality=Modality.SAR,
        gsd_m=1.0,
        gsd_source="parameter",
        bit_depth="float32",
        digest="0" * 64,
    )
