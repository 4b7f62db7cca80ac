"""A wheel of this checkout runs elsewhere: it holds the bundle, the demo's chips and the desk."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from service.desk import FILES
from tests.support.paths import FLEET, ROOT, SHIPPED_BUNDLE
from tests.support.processes.service_process import free_port, wait_until_ready

SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "crossfix",
    "service",
    "model_training",
    "export",
)
LINK_TARGETS = ("bundles", "demo")
"""Folders to which service/shipped/bundle and service/shipped/fleet link."""
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("CROSSFIX_") and name != "PYTHONPATH"
} | {"CROSSFIX_DEVICE": "cpu", "CROSSFIX_THREADS": "1"}
"""Without a path to this checkout, which would be imported instead of the wheel."""


def run(*command: object, cwd: Path) -> str:
    """Run a command, which must succeed, and return its standard output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy so that the checkout gets no build folder."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*SOURCES, *LINK_TARGETS):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder)
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", ".", cwd=folder)
    (built,) = folder.glob("crossfix-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `crossfix` of an environment with the wheel and this environment's packages."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    # A .pth file adds the packages, but not the editable checkout: its .pth files are not read.
    (packages / "other.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "crossfix"


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_wheel_holds_the_bundle_and_the_demo_fleet(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    assert contents(tmp_path / "service/shipped/bundle") == contents(SHIPPED_BUNDLE)
    assert contents(tmp_path / "service/shipped/fleet") == contents(FLEET)
    assert contents(tmp_path / "service/desk/files") == contents(FILES)
    assert not list(tmp_path.rglob("tests"))


def test_the_installed_demo_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    output = run(installed, "demo", "--once", cwd=tmp_path)
    assert "44 vessels registered" in output
    assert (tmp_path / "demo-output" / "contact-sheet.png").is_file()
    location = run(
        installed.parent / "python", "-c", "import service; print(service.__file__)", cwd=tmp_path
    )
    assert Path(location.strip()).is_relative_to(installed.parent.parent)


def test_the_client_is_imported_as_crossfix(installed: Path, tmp_path: Path) -> None:
    program = (
        "import crossfix, sys; "
        "heavy = {'numpy', 'rasterio', 'onnxruntime', 'fastapi', 'qdrant_client'}; "
        "print(crossfix.Client.__name__, crossfix.AsyncClient.__name__, heavy & sys.modules.keys(),"
        " crossfix.__file__)"
    )
    clients = run(installed.parent / "python", "-c", program, cwd=tmp_path)
    assert clients.startswith("Client AsyncClient set() ")
    place = Path(clients.split()[-1])
    assert place.is_relative_to(installed.parent.parent)
    assert (place.parent / "py.typed").is_file()


def test_the_installed_service_becomes_ready(installed: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "service.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [installed, "serve", "--port", str(port)],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.terminate()
        assert process.wait(20) == 0
