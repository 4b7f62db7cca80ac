"""Run commands of `crossfix` as a user does."""

import io
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

import pytest

from service.cli.main import main

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("CROSSFIX_")} | {
    "COLUMNS": "160",
    "CROSSFIX_THREADS": "1",
}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "service.cli.main", *map(str, arguments)]


@dataclass(frozen=True)
class CommandResult:
    """Exit status and output of a command."""

    returncode: int
    stdout: str
    stderr: str


def crossfix(*arguments: object, **settings: str) -> CommandResult:
    """Run a command in this process, which saves the start of an interpreter.

    It has a data folder of its own, unless the settings name one.
    """
    out, err = io.StringIO(), io.StringIO()
    folder = tempfile.TemporaryDirectory()
    place = {"CROSSFIX_DATA_DIR": folder.name}
    environment = mock.patch.dict(os.environ, ENVIRONMENT | place | settings, clear=True)
    exits = pytest.raises(SystemExit)
    with folder, environment, redirect_stdout(out), redirect_stderr(err), exits as raised:
        main([str(argument) for argument in arguments])
    return CommandResult(int(raised.value.code or 0), out.getvalue(), err.getvalue())
