"""Can the service do its job right now? Asked by doing it, on a small chip of noise."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.contract.chip import Chip, Modality
from service.contract.errors import CrossfixError, OverloadedError
from service.identity.ports.audit import AuditLog
from service.identity.ports.chips import ChipStore
from service.identity.ports.embedder import ChipEmbedder
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of each part: None when it works, otherwise what is wrong."""

    parts: dict[str, str | None]

    @property
    def ready(self) -> bool:
        return all(problem is None for problem in self.parts.values())


class ReadinessCheck:
    """Runs real inference and reaches the stores, the audit log among them.

    The match history is part of `gallery`: both lie in one folder or on one server.
    Answers are reused for `max_age_s` seconds, and come within `limit_s`: a part that has not
    answered by then does not work. Inference that is busy does: it is red when what it computes
    has taken longer than `stall_s`.
    """

    def __init__(
        self,
        embedder: ChipEmbedder,
        gallery: Gallery,
        matches: MatchStore,
        chips: ChipStore,
        audit: AuditLog,
        max_age_s: float = 1.0,
        limit_s: float = 5.0,
        stall_s: float = 30.0,
    ) -> None:
        self._embedder = embedder
        self._limit_s = limit_s
        self._stall_s = stall_s
        self._probes = {
            "inference": _Probe("inference", self._embed, max_age_s, self._stalled),
            "gallery": _Probe("gallery", lambda: _ping(gallery, matches), max_age_s, _silent),
            "chips": _Probe("chips", chips.ping, max_age_s, _silent),
            "audit": _Probe("audit", audit.ping, max_age_s, _silent),
        }

    def __call__(self) -> Readiness:
        deadline = time.monotonic() + self._limit_s
        for probe in self._probes.values():
            probe.ask()
        return Readiness({name: probe.answer(deadline) for name, probe in self._probes.items()})

    def _embed(self) -> None:
        try:
            self._embedder.embed(_probe_chip())
        except OverloadedError:
            # A queue that is full and moves on has more work than it can do, and does it.
            if self._stalled(0.0):
                raise

    def _stalled(self, waited_s: float) -> str | None:
        busy_s = self._embedder.busy_s()
        return f"busy with the same chips for {busy_s:.0f} s" if busy_s > self._stall_s else None


class _Probe:
    """One part, asked in a thread of its own, so that one that hangs holds up nobody else."""

    def __init__(
        self,
        name: str,
        do: Callable[[], object],
        max_age_s: float,
        unanswered: Callable[[float], str | None],
    ) -> None:
        """`unanswered` tells what is wrong when there was no answer for so many seconds."""
        self._name = name
        self._do = do
        self._max_age_s = max_age_s
        self._unanswered = unanswered
        self._changed = threading.Condition()
        self._asked_at: float | None = None
        self._last: tuple[float, str | None] | None = None

    def ask(self) -> None:
        """Begin to find out, unless that is under way or the last answer is fresh."""
        with self._changed:
            now = time.monotonic()
            fresh = self._last is not None and now - self._last[0] <= self._max_age_s
            if self._asked_at is None and not fresh:
                self._asked_at = now
                name = f"probe-{self._name}"
                threading.Thread(target=self._find_out, name=name, daemon=True).start()

    def answer(self, deadline: float) -> str | None:
        """What is wrong, as far as is known at the deadline (of the monotonic clock)."""
        with self._changed:
            left_s = max(0.0, deadline - time.monotonic())
            self._changed.wait_for(lambda: self._asked_at is None, timeout=left_s)
            known = self._last[1] if self._last else "it has not answered yet"
            if self._asked_at is None:
                return known
            return self._unanswered(time.monotonic() - self._asked_at) or known

    def _find_out(self) -> None:
        problem = _problem(self._do)
        with self._changed:
            self._last = (time.monotonic(), problem)
            self._asked_at = None
            self._changed.notify_all()


def _ping(gallery: Gallery, matches: MatchStore) -> None:
    gallery.ping()
    matches.ping()


def _silent(waited_s: float) -> str:
    return f"no answer for {waited_s:.0f} s"


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
