"""Match many chips into a result file, so that a stopped batch can be continued."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from service.client.errors import SourceError
from service.client.match import MatchResult, QueryChip
from service.client.remote.call import ChipPart
from service.client.remote.client import Client
from service.client.result_file import ResultFile, result_key

UNREADABLE = "unreadable"


def match_batch(
    client: Client,
    chips: Sequence[QueryChip],
    fields: Mapping[str, object],
    results: ResultFile,
    *,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[MatchResult]:
    """Match the chips that the result file does not hold yet; yield each result once it is stored.

    Args:
        client: the service.
        chips: the files.
        fields: of `POST /match`, for all chips.
        results: the open result file.
        workers: how many chips are sent at once.
        advance: called with 1 after each chip, also after one that was done before.

    Raises:
        UnreachableError, StoppedError: the rest was not sent.
        SourceError: the result file cannot be written.
    """
    sent: deque[tuple[QueryChip, str]] = deque()

    def sources() -> Iterator[ChipPart | Path]:
        for chip in chips:
            try:
                part = chip.read(fields)
            except SourceError:
                sent.append((chip, UNREADABLE))
                yield chip.path  # which fails again, and becomes the problem of this chip
                continue
            key = result_key(chip.path, part)
            if key in results.done:
                advance(1)
                continue
            sent.append((chip, key))
            yield part

    for matched in client.match_many(sources(), workers=workers, advance=advance):
        chip, key = sent.popleft()
        result = MatchResult(chip.path, matched.match, matched.problem)
        results.add(key, result)
        yield result
