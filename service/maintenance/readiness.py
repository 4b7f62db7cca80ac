"""Check whether the service can do its work now, by embedding a small chip of noise."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.contract.chip import Chip, Modality
from service.contract.errors import CrossfixError, OverloadedError
from service.identity.ports.audit import AuditLog
from service.identity.ports.chips import ChipStore
from service.identity.ports.decoder import ChipDecoder
from service.identity.ports.embedder import ChipEmbedder
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore


@dataclass(frozen=True, slots=True)
class Readiness:
    """The problem of each part; None when the part works."""

    parts: dict[str, str | None]

    @property
    def ready(self) -> bool:
        """Whether every part works."""
        return all(problem is None for problem in self.parts.values())


class ReadinessCheck:
    """Runs real inference, and reaches the stores and the audit log.

    The match records belong to `gallery`: both are in one folder or on one server. Results are
    reused for `max_age_s` seconds and returned within `limit_s`: a part that has not answered by
    then does not work. Inference that is busy works, until one computation takes longer than
    `stall_s`; decoders that are busy work, until none has finished for `decode_stall_s`.
    """

    def __init__(
        self,
        embedder: ChipEmbedder,
        gallery: Gallery,
        matches: MatchStore,
        chips: ChipStore,
        audit: AuditLog,
        decoder: ChipDecoder,
        max_age_s: float = 1.0,
        limit_s: float = 5.0,
        stall_s: float = 30.0,
        decode_stall_s: float = 10.0,
        require_intact: Callable[[], None] = lambda: None,
    ) -> None:
        """Check these parts; `require_intact` raises the error of damaged records."""
        self._embedder = embedder
        self._limit_s = limit_s
        self._stall_s = stall_s
        self._decode_stall_s = decode_stall_s
        self._probes = {
            "decoding": _Probe("decoding", lambda: self._decode(decoder), max_age_s, _no_answer),
            "inference": _Probe("inference", self._embed, max_age_s, lambda _: self._stalled()),
            "gallery": _Probe("gallery", lambda: _ping(gallery, matches), max_age_s, _no_answer),
            "records": _Probe("records", require_intact, max_age_s, _no_answer),
            "chips": _Probe("chips", chips.ping, max_age_s, _no_answer),
            "audit": _Probe("audit", audit.ping, max_age_s, _no_answer),
        }

    def __call__(self) -> Readiness:
        """Check all parts at the same time."""
        deadline = time.monotonic() + self._limit_s
        for probe in self._probes.values():
            probe.start()
        return Readiness({name: probe.problem(deadline) for name, probe in self._probes.items()})

    def _decode(self, decoder: ChipDecoder) -> None:
        busy_s = decoder.all_busy_s()
        if busy_s > self._decode_stall_s:
            raise OverloadedError(f"no decoder has been free for {busy_s:.0f} s")

    def _embed(self) -> None:
        try:
            self._embedder.embed(_probe_chip())
        except OverloadedError:
            # A full queue that moves on is overloaded, but works.
            if self._stalled():
                raise

    def _stalled(self) -> str | None:
        busy_s = self._embedder.busy_s()
        return f"busy with the same chips for {busy_s:.0f} s" if busy_s > self._stall_s else None


class _Probe:
    """Checks one part in its own thread, so that a part that hangs does not block the others."""

    def __init__(
        self,
        name: str,
        check: Callable[[], object],
        max_age_s: float,
        unanswered: Callable[[float], str | None],
    ) -> None:
        """`unanswered` returns the problem when the check has run for so many seconds."""
        self._name = name
        self._check = check
        self._max_age_s = max_age_s
        self._unanswered = unanswered
        self._changed = threading.Condition()
        self._started_at: float | None = None
        self._last: tuple[float, str | None] | None = None

    def start(self) -> None:
        """Start the check, unless it is running or the last result is recent enough."""
        with self._changed:
            now = time.monotonic()
            fresh = self._last is not None and now - self._last[0] <= self._max_age_s
            if self._started_at is None and not fresh:
                self._started_at = now
                name = f"probe-{self._name}"
                threading.Thread(target=self._run, name=name, daemon=True).start()

    def problem(self, deadline: float) -> str | None:
        """Return the problem known at the deadline (of the monotonic clock), or None."""
        with self._changed:
            left_s = max(0.0, deadline - time.monotonic())
            self._changed.wait_for(lambda: self._started_at is None, timeout=left_s)
            known = self._last[1] if self._last else "it has not answered yet"
            if self._started_at is None:
                return known
            return self._unanswered(time.monotonic() - self._started_at) or known

    def _run(self) -> None:
        problem = _problem(self._check)
        with self._changed:
            self._last = (time.monotonic(), problem)
            self._started_at = None
            self._changed.notify_all()


def _ping(gallery: Gallery, matches: MatchStore) -> None:
    gallery.ping()
    matches.ping()


def _no_answer(waited_s: float) -> str:
    return f"no answer for {waited_s:.0f} s"


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except CrossfixError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _probe_chip() -> Chip:
    """Return a SAR chip of exponential speckle, 64 x 16 pixels; the same at each call."""
    pixels = np.random.default_rng(0).exponential(size=(64, 16)).astype(np.float32)
    return Chip(
        pixels=pixels,
        modality=Modality.SAR,
        gsd_m=1.0,
        gsd_source="parameter",
        bit_depth="float32",
        digest="0" * 64,
    )
