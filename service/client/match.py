"""Match chip files with a running service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.client.answers import MatchAnswer, read_answer
from service.client.enrol import read_chip
from service.client.errors import RefusedError, SourceError
from service.client.fleet.hoss_folder import picture_files
from service.client.fleet.vessels import ChipFile
from service.client.http import CrossfixClient, Json
from service.contract.hoss_names import read_hoss_name


@dataclass(frozen=True, slots=True)
class MatchResult:
    """A chip file and its answer, or the problem with it.

    Attributes:
        path: the chip.
        body: the response body as received; None when there is a problem.
        answer: the parts of the body that are shown.
        problem: why the service or this client refused the chip.
    """

    path: Path
    body: Json | None
    answer: MatchAnswer | None
    problem: RefusedError | SourceError | None

    def document(self) -> Json:
        """Return the output of `--json`: the file, and the response body or the problem."""
        if self.body is not None:
            return {"chip": str(self.path), **self.body}
        problem: Json = {"kind": "file", "detail": str(self.problem)}
        if isinstance(self.problem, RefusedError):
            problem |= {"kind": self.problem.kind, "status": self.problem.status}
        return {"chip": str(self.path), "problem": problem}


def match_file(
    client: CrossfixClient,
    path: Path,
    options: Mapping[str, object],
    metadata: Mapping[str, object] | None = None,
) -> MatchResult:
    """Ask which vessel one chip shows.

    Args:
        client: the service.
        path: the chip; its modality is read from a file name in HOSS style.
        options: fields of `POST /match` about the search, e.g. `top_k`.
        metadata: fields about the chip, e.g. `gsd_m`; they take precedence over the file name.

    Raises:
        UnreachableError, StoppedError.
    """
    name = read_hoss_name(path.name)
    named = {} if name is None else {"modality": name.modality.value}
    try:
        part = read_chip(ChipFile(path, {**named, **(metadata or {})}))
        body = client.match(part, options)
    except (RefusedError, SourceError) as error:
        return MatchResult(path, None, None, error)
    return MatchResult(path, body, read_answer(body), None)


def expand_folders(paths: Iterable[Path]) -> list[Path]:
    """Replace each folder by the pictures in it and in its HOSS parts; keep files as they are.

    Raises:
        SourceError: a path does not exist, or a folder holds no pictures.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = list(picture_files(path))
            if not found:
                raise SourceError(f"{path} holds no TIFF, PNG or JPEG files")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise SourceError(f"{path} does not exist")
    return files
