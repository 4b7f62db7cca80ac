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

    Creates the folder. Of a symbolic link the file that it names is written; a device or a pipe is
    written itself, as it cannot be replaced.

    Raises:
        SourceError: the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            yield path
            return
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}") from error
