"""A real file system of a few megabytes, to be filled to its last byte."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOUNT = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo mounted && exec cat'
MIB = 2**20


class NoMountError(Exception):
    """This machine lets nobody mount a file system of their own; the message is the kernel's."""


@dataclass(frozen=True)
class SmallDisk:
    """`path` is its top folder; `ballast` is the file that takes the room away."""

    path: Path

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    @property
    def free(self) -> int:
        """Bytes."""
        facts = os.statvfs(self.path)
        return facts.f_bavail * facts.f_frsize

    def leave(self, free: int) -> None:
        """Take all room but so many bytes."""
        with self.ballast.open("ab") as file:
            try:
                while (more := self.free - free) > 0:
                    file.write(bytes(min(more, MIB)))
                    file.flush()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self) -> None:
        """Give the room back."""
        self.ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of so many bytes, until this is left.

    It is mounted over `folder` in a mount namespace of its own, which needs no privileges where
    users may have namespaces, and is reached through the process that holds the namespace.

    Raises:
        NoMountError: the system call is refused.
    """
    folder.mkdir(parents=True)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh"]
    with subprocess.Popen(
        [*command, str(folder), str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"mounted\n":
            raise NoMountError(holder.stderr.read().decode().strip())
        try:
            yield SmallDisk(Path(f"/proc/{holder.pid}/root{folder}"))
        finally:
            holder.stdin.close()
