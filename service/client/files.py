"""Check the names of files on this machine, and write files whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client.errors import SourceError


def require_text_name(path: Path) -> Path:
    """Return the path; raise SourceError if its name is not UTF-8, which no message can carry."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = ascii(str(path))
        raise SourceError(f"the file name {shown} is not UTF-8; rename the file") from error
    return path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write, which becomes `path` when the block ends without an error.

    Creates the folder.

    Raises:
        SourceError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}") from error
