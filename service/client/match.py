"""Match chip files with a running service."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.client.errors import ClientError, RefusedError, SourceError
from service.client.files import require_text_name
from service.client.fleet.hoss_folder import picture_files
from service.client.remote.call import ChipPart, json_text
from service.client.remote.client import Client
from service.client.remote.models import Match
from service.contract.hoss_names import read_hoss_name

UNREADABLE = "unreadable"
FILE_PROBLEM = "file"
"""The kind of a problem with a file of this machine, in the output of `--json`."""


@dataclass(frozen=True, slots=True)
class QueryChip:
    """A chip file to match, with the fields of `POST /match` that hold for it alone."""

    path: Path
    fields: Mapping[str, object] = field(default_factory=dict)

    def read(self, fields: Mapping[str, object]) -> ChipPart:
        """Read the chip; its own fields count more than `fields`, the file name counts least.

        Raises:
            SourceError: the file cannot be read.
        """
        name = read_hoss_name(self.path.name)
        named = {} if name is None else {"modality": name.modality.value}
        return ChipPart.read(self.path, **{**named, **fields, **self.fields})


@dataclass(frozen=True, slots=True)
class ChipResult:
    """A chip file and its answer, or the problem with it.

    Attributes:
        answer: the response; None when there is a problem.
        problem: why the service or this client refused the chip.
        key: see `result_key`; empty for chips that were asked about together.
    """

    path: Path
    answer: Match | None
    problem: ClientError | None
    key: str = ""

    def document(self) -> dict[str, Any]:
        """Return the output of `--json`: the file, and the response body or the problem."""
        if self.answer is not None:
            return {"chip": str(self.path), **self.answer.document()}
        problem: dict[str, Any] = {"kind": FILE_PROBLEM, "detail": str(self.problem)}
        if isinstance(self.problem, RefusedError):
            problem |= {"kind": self.problem.kind, "status": self.problem.status}
        return {"chip": str(self.path), "problem": problem}


def match_files(
    client: Client,
    chips: Sequence[QueryChip],
    fields: Mapping[str, object],
    *,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
    done: Container[str] = (),
) -> Iterator[ChipResult]:
    """Ask which vessel each chip shows; yield the results in the order of the chips.

    Args:
        chips: the files; the modality is read from a file name in HOSS style.
        fields: of `POST /match`, for all chips, e.g. `top_k` and `gsd_m`.
        advance: called with 1 after each chip.
        done: keys of results; chips with such a key are skipped.

    Raises:
        UnreachableError, StoppedError: the rest was not sent.
    """
    sent: deque[tuple[Path, str]] = deque()

    def sources() -> Iterator[ChipPart | Path]:
        for chip in chips:
            try:
                part = chip.read(fields)
            except SourceError:
                sent.append((chip.path, UNREADABLE))
                yield chip.path  # which fails again, and becomes the problem of this chip
                continue
            key = result_key(chip.path, part)
            if key in done:
                advance(1)
                continue
            sent.append((chip.path, key))
            yield part

    for matched in client.match_many(sources(), workers=workers, advance=advance):
        path, key = sent.popleft()
        yield ChipResult(path, matched.match, matched.problem, key)


def match_scene(
    client: Client, chips: Sequence[QueryChip], fields: Mapping[str, Any]
) -> list[ChipResult]:
    """Ask about the chips of one image together; return the results in the order of the chips.

    A chip that cannot be used refuses the whole image, and is the problem of every result.

    Raises:
        UnreachableError, StoppedError: nothing was answered.
    """
    try:
        answer = client.match_scene([chip.read({}) for chip in chips], **fields)
    except (RefusedError, SourceError) as error:
        return [ChipResult(chip.path, None, error) for chip in chips]
    return [
        ChipResult(chip.path, match, None)
        for chip, match in zip(chips, answer.matches, strict=True)
    ]


def match_one_ship(
    client: Client, chips: Sequence[QueryChip], fields: Mapping[str, object]
) -> ChipResult:
    """Ask about several chips of one ship; return the one result, under the first file.

    Raises:
        UnreachableError, StoppedError: nothing was answered.
    """
    try:
        first, *more = [chip.read(fields) for chip in chips]
        return ChipResult(chips[0].path, client.match(first, more_chips=more), None)
    except (RefusedError, SourceError) as error:
        return ChipResult(chips[0].path, None, error)


def result_key(path: Path, part: ChipPart) -> str:
    """Return the key of a chip, which depends on path, content and everything that is asked."""
    digest = hashlib.sha256(part.data).hexdigest()
    asked = json.dumps(json.loads(json_text(part.metadata)), sort_keys=True)
    return hashlib.sha256(f"{path}\n{digest}\n{asked}".encode()).hexdigest()[:32]


def expand_folders(paths: Iterable[Path]) -> list[Path]:
    """Replace each folder by the pictures in it and in its HOSS parts; keep files as they are.

    Raises:
        SourceError: a path does not exist, or a folder holds no pictures, or a name is not UTF-8.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = list(picture_files(path))
            if not found:
                raise SourceError(f"{path} holds no TIFF, PNG or JPEG files")
            files += found
        elif path.exists():
            files.append(require_text_name(path))
        else:
            raise SourceError(f"{path} does not exist")
    return files
