"""Write files and folders so that a crash leaves the old content or the new content."""

import os
from pathlib import Path


def write_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file and bring its content to disk; its name needs `sync_folder`.

    Args:
        mode: permissions of a new file, less those that the process withholds.

    Raises:
        OSError: the disk refuses.
    """
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace the content of a file in one step: a crash leaves the old content or the new one.

    Args:
        mode: see `write_file`.

    Raises:
        OSError: the disk refuses.
    """
    fresh = path.with_name(f"{path.name}.new")
    write_file(fresh, text.encode(), mode)
    fresh.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk; raise OSError if the disk refuses."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_files(folder: Path) -> None:
    """Bring the content and names of all files below a folder to disk.

    Raises:
        OSError: the disk refuses.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
