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
        """Copy heads before entries, so that no copied chain is shorter than its head."""
        found = chains(self._root)
        for chain in found:
            (folder / chain.name).mkdir()
            files = (path.name for path in chain.iterdir() if path.suffix != ".tmp")
            names = sorted(name for name in files if name != LOCK_NAME)
            for name in sorted(names, key=lambda name: name != HEAD_NAME):
                shutil.copyfile(chain / name, folder / chain.name / name)
        return len(found)

    def copy_from(self, folder: Path) -> None:
        shutil.copytree(folder, self._root, dirs_exist_ok=True)
