"""Write files on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client.errors import SourceError


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
