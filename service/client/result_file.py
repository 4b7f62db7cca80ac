"""The results of a batch of matches, one JSON line for each chip; a batch can be continued."""

import fcntl
import json
import os
from pathlib import Path

from service.client.errors import SourceError
from service.client.match import FILE_PROBLEM, ChipResult

KEY = "key"
_BEGINNING = b'{"key": '


class ResultFile:
    """An open result file, locked against a second batch.

    A line holds the document of a result (see `ChipResult.document`) and the key of its chip. The
    chip of a line is done, unless its file could not be read.

    Attributes:
        done: the keys of the chips that need not be matched again.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file, and cut off a line that a crash left incomplete.

        Raises:
            SourceError: it cannot be used, another process has it open, or it holds other data.
        """
        self._path = path
        if path.exists() and not path.is_file():
            raise SourceError(f"{path} is no file, so that it cannot keep results; give another")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise SourceError(f"{path} cannot be opened: {error.strerror or error}") from error
        try:
            self._lock()
            self.done = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, result: ChipResult) -> None:
        """Append a result; it is on disk when this returns.

        Raises:
            SourceError: the disk is full, or the file cannot be written.
        """
        line = (
            json.dumps({KEY: result.key, **result.document()}, ensure_ascii=False).encode() + b"\n"
        )
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise SourceError(f"{self._path} cannot be written: {error}") from error
        if not isinstance(result.problem, SourceError):
            self.done.add(result.key)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceError(f"{self._path} is written by another process") from error

    def _read(self) -> set[str]:
        self._file.seek(0)
        done, sound = set[str](), 0
        for number, line in enumerate(self._file, start=1):
            if line.startswith(_BEGINNING) and not line.endswith(b"\n"):
                break
            try:
                document = json.loads(line)
                key, problem = str(document[KEY]), document.get("problem")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SourceError(
                    f"{self._path}:{number} is not the result of a match; give another file"
                ) from error
            sound += len(line)
            if not (isinstance(problem, dict) and problem.get("kind") == FILE_PROBLEM):
                done.add(key)
        self._file.truncate(sound)
        return done
