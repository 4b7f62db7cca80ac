"""A real file system of a few megabytes that a test can fill up."""

import ctypes
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
    """This machine does not permit mounting a file system; the message is the kernel's."""


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system, and a file `ballast` that fills it up.

    Attributes:
        path: its top folder, for processes outside of its mount namespace. SQLite does not open
            files there, because it resolves links.
        mounted_at: its top folder for processes in the namespace.
        holder: the process that holds the namespace.
    """

    path: Path
    mounted_at: Path
    holder: int

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    @property
    def free(self) -> int:
        """Free space in bytes."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, free: int) -> None:
        """Fill the disk until `free` bytes are left."""
        with self.ballast.open("ab") as file:
            try:
                while (more := self.free - free) > 0:
                    file.write(bytes(min(more, MIB)))
                    file.flush()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self) -> None:
        """Free the space again."""
        self.ballast.unlink()


def enter_namespace(holder: int) -> None:
    """Move this process, which has one thread, to the user and mount namespace of another."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Both are opened first: the user namespace may not show the files of this one.
    spaces = [os.open(f"/proc/{holder}/ns/{kind}", os.O_RDONLY) for kind in ("user", "mnt")]
    for space in spaces:
        if libc.setns(space, 0):
            raise OSError(ctypes.get_errno(), "setns is refused")
        os.close(space)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of `size` bytes until the end of the block.

    It is mounted over `folder` in a mount namespace of its own, which needs no privileges where
    user namespaces are allowed, and is accessed through the process that holds the namespace.

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
            yield SmallDisk(Path(f"/proc/{holder.pid}/root{folder}"), folder, holder.pid)
        finally:
            holder.stdin.close()
