"""Put many chips that are to be enrolled into requests, and read the responses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unicodedata import normalize as normalise
from uuid import UUID

import httpx

from service.client.errors import RefusedError
from service.client.remote.call import ChipPart, decoded, json_text, not_understood, validated
from service.client.remote.models import EnrolledChip
from service.client.remote.retrying import Attempts, is_repeatable

CHIPS_PER_REQUEST = 500
BYTES_PER_REQUEST = 24_000_000
MANIFEST_BYTES = 500_000

_ABOUT_THE_CALLER = (401, 403)
_ABOUT_THE_BODY = (400, 413, 422)


@dataclass(frozen=True, slots=True)
class ChipToEnrol:
    """A chip and whose it is.

    Attributes:
        chip: the file, with fields of `chip_metadata`.
        vessel: what describes the vessel, as for `enrol`, or the id of a registered one. Give a new
            vessel an `id`, so that more of its chips can be sent later.
    """

    chip: ChipPart
    vessel: Mapping[str, object] | UUID

    @property
    def vessel_id(self) -> object:
        """The id of the vessel; None if the service derives it."""
        return self.vessel if isinstance(self.vessel, UUID) else self.vessel.get("id")

    @property
    def name(self) -> str:
        """The name of the file as a form carries it."""
        name = " ".join(normalise("NFC", self.chip.name).split())
        return name.replace('"', "%22")[-255:]

    def line(self) -> str:
        """Return its line of the manifest."""
        by_id = isinstance(self.vessel, UUID)
        whose = {"vessel_id" if by_id else "vessel": self.vessel}
        return json_text({**self.chip.metadata, **whose, "chip": self.name})


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result of enrolling a chip.

    Attributes:
        response: line of the service for this chip; None when it refused the whole request.
        problem: why the chip was refused; None when it is enrolled.
    """

    chip: ChipToEnrol
    response: EnrolledChip | None
    problem: RefusedError | None = None


def batches(chips: Iterable[ChipToEnrol]) -> Iterator[list[ChipToEnrol]]:
    """Group chips by what one request may carry; no two of a batch have one name."""
    batch: dict[str, ChipToEnrol] = {}
    size = manifest = 0
    for one in chips:
        size += len(one.chip.data)
        manifest += len(one.line())
        if batch and (
            len(batch) == CHIPS_PER_REQUEST
            or size > BYTES_PER_REQUEST
            or manifest > MANIFEST_BYTES
            or one.name in batch
        ):
            yield list(batch.values())
            batch, size, manifest = {}, len(one.chip.data), len(one.line())
        batch[one.name] = one
    if batch:
        yield list(batch.values())


class BatchAttempts:
    """A batch that is sent until each chip was enrolled or refused; sends and waits nothing itself.

    Attributes:
        left: the chips whose outcome is not known, by name.
    """

    def __init__(self, chips: Sequence[ChipToEnrol], url: str, patience_s: float) -> None:
        """See `Attempts` for the address and the patience, which begins anew with each outcome."""
        self.left = {one.name: one for one in chips}
        self._new_attempts = partial(Attempts, url, patience_s)
        self.attempts = self._new_attempts()
        self._busy: RefusedError | None = None
        self._complete = False

    def request(self) -> dict[str, Any]:
        """Return the arguments of `httpx.Client.stream` that enrol the chips that are left."""
        self._busy, self._complete = None, False
        return {
            "method": "POST",
            "url": "/gallery/bulk",
            "data": {"manifest": "\n".join(one.line() for one in self.left.values())},
            "files": [("chips", (one.chip.name, one.chip.data)) for one in self.left.values()],
        }

    def read(self, line: str) -> Iterator[Enrolled]:
        """Read a line of the response; yield the outcome of a chip if there is one.

        Raises:
            UnreachableError: the line is not understood.
        """
        document = decoded(line.encode())
        if isinstance(document, dict) and "totals" in document:
            self._complete = True
            return
        response = validated(EnrolledChip, document)
        if response.chip not in self.left:
            raise not_understood("chip", f"{response.chip!r} was not sent, or is answered twice")
        problem = None
        if response.problem is not None:
            problem = RefusedError.of(response.problem.status, response.problem.document())
            if is_repeatable(problem):
                self._busy = problem
                return
        self.attempts = self._new_attempts()
        yield Enrolled(self.left.pop(response.chip), response, problem)

    def wait_after_feed(self) -> float:
        """Return the seconds to wait after a response, before what is left is sent.

        Raises:
            RefusedError: repeating would take too long.
            httpx.RemoteProtocolError: the response broke off.
        """
        if not self._complete:
            raise httpx.RemoteProtocolError("the response broke off before its last line")
        return 0.0 if self._busy is None else self.attempts.wait_after(self._busy)

    def halves(self, error: RefusedError) -> list[list[ChipToEnrol]]:
        """Return the halves of what is left: one of its chips may be why the request was refused.

        Nothing when each chip is refused for this reason; raise an error that is about the caller.
        """
        if error.status in _ABOUT_THE_CALLER:
            raise error
        left = [*self.left.values()]
        if len(left) == 1 or error.status not in _ABOUT_THE_BODY:
            return []
        return [left[: len(left) // 2], left[len(left) // 2 :]]
