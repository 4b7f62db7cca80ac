"""Asking about chips on this machine."""

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
class Asked:
    """A chip and what the service said of it: an answer, or the problem it had with it."""

    path: Path
    body: Json | None
    answer: MatchAnswer | None
    problem: RefusedError | SourceError | None

    def document(self) -> Json:
        """For `--json`: the file, and the answer as it came or the problem."""
        if self.body is not None:
            return {"chip": str(self.path), **self.body}
        refused = isinstance(self.problem, RefusedError)
        kind = self.problem.kind if isinstance(self.problem, RefusedError) else "file"
        status = self.problem.status if isinstance(self.problem, RefusedError) else None
        problem = {"kind": kind, "detail": str(self.problem)}
        return {
            "chip": str(self.path),
            "problem": problem | ({"status": status} if refused else {}),
        }


def ask(
    client: CrossfixClient,
    path: Path,
    options: Mapping[str, object],
    metadata: Mapping[str, object] | None = None,
) -> Asked:
    """Ask which vessel one chip shows.

    Args:
        client: the service.
        path: the chip; a file name in HOSS style tells its modality.
        options: fields of `POST /match` about the search, e.g. `top_k`.
        metadata: fields about the chip, e.g. `gsd_m`; these precede the file name.

    Raises:
        UnreachableError, StoppedError.
    """
    said = read_hoss_name(path.name)
    named = {} if said is None else {"modality": said.modality.value}
    try:
        part = read_chip(ChipFile(path, {**named, **(metadata or {})}))
        body = client.match(part, options)
    except (RefusedError, SourceError) as error:
        return Asked(path, None, None, error)
    return Asked(path, body, read_answer(body), None)


def expand(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the pictures in them (and in their HOSS parts).

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
