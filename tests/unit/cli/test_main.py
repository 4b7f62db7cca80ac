import io
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from service.cli.main import main


def test_a_character_that_the_terminal_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()

    def show(args: object) -> None:
        print("R\u00e9my")
        sys.stdout.flush()

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(main.__module__ + ".app", show)
    main([])
    assert written.getvalue() == b"R\\xe9my\n"


def test_a_path_that_the_system_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["enrol", 300 * "z" + ".csv"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("crossfix: [Errno 36] File name too long")


def test_words_of_options_are_read_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["match", "missing.tif", "--modality", "SAR", "--framing", "As_Is"])
    assert "missing.tif" in (said := capsys.readouterr().err)
    assert "Invalid value" not in said


def test_a_closed_output_is_no_error() -> None:
    command = [sys.executable, "-m", "service.cli.main", "settings"]
    closed = ["sh", "-c", '"$@" >&- 2>&-', "sh", *command]
    assert subprocess.run(closed, check=False).returncode == 0


SERVED = """
import os, sys, types
from service.cli.main import main

def run(settings):
    import numpy
    print(len(os.listdir("/proc/self/task")))

sys.modules["service.server.run"] = types.SimpleNamespace(run=run)
main(["serve"])
"""


def test_numpy_of_the_service_starts_no_threads() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", SERVED]
    served = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert served.stdout == "1\n"


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"crossfix {version('crossfix')}\n"


@pytest.mark.parametrize("arguments", [["match", ""], ["serve", "--data-dir="], ["enrol", "", "."]])
def test_an_empty_path_is_not_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "an argument is empty" in capsys.readouterr().err
