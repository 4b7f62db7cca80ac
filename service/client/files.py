"""Check the names of files on this machine, read chips, and write files whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client.errors import SourceError

MAX_CHIP_BYTES = 2**30
"""No service accepts so large a chip; a scene or a device would fill the memory."""


def require_text_name(path: Path) -> Path:
    """Return the path; raise SourceError if its name is not UTF-8, which no message can carry."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = ascii(str(path))
        raise SourceError(f"the file name {shown} is not UTF-8; rename the file") from error
    return path


def read_chip_file(path: Path) -> bytes:
    """Return the content of a chip file; raise SourceError if it cannot be read, or never ends."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CHIP_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_CHIP_BYTES:
        raise SourceError(
            f"{path} has more than {MAX_CHIP_BYTES} bytes; send the ship cut out, not the whole "
            "scene"
        )
    return data


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
