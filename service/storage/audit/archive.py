"""Copy the audit log into a backup and back."""

import shutil
from pathlib import Path

from service.storage.audit.chain import HEAD_NAME, LOCK_NAME, chains


class FolderAuditArchive:
    """An `AuditArchive` of the chains in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def describe(self) -> str:
        return str(self._root)

    def is_empty(self) -> bool:
        return not (self._root.is_dir() and any(self._root.iterdir()))

    def copy_to(self, folder: Path) -> int:
        """Copy heads before entries, so that no copied chain is shorter than its head says."""
        folders = chains(self._root)
        for chain in folders:
            (folder / chain.name).mkdir()
            paths = [path for path in chain.iterdir() if path.suffix != ".tmp"]
            for path in sorted(paths, key=lambda path: (path.name != HEAD_NAME, path.name)):
                if path.name != LOCK_NAME:
                    shutil.copyfile(path, folder / chain.name / path.name)
        return len(folders)

    def copy_from(self, folder: Path) -> None:
        shutil.copytree(folder, self._root, dirs_exist_ok=True)
