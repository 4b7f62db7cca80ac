"""The images lack what deploy/container/trim-packages removes: the service must do without it."""

import json
import subprocess
import sys
import sysconfig
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from tests.support.paths import ROOT

SCRIPT = ROOT / "deploy/container/trim-packages"
SITE = Path(sysconfig.get_path("purelib"))
CHIPS = [
    *sorted((ROOT / "demo/fleet/query").glob("*_SAR.tif"))[:1],
    *sorted((ROOT / "demo/fleet/bounding_box_test").glob("*_RGB.jpg"))[:1],
]
USE_THE_SERVICE = """
import json, sys
from pathlib import Path
import boto3, service.server.probe, service.server.run, service.storage.server.gallery
import service.wiring.app
from service.cli.main import app
boto3.client("s3", "eu-west-1", aws_access_key_id="nobody", aws_secret_access_key="none")
app(["embed", *sys.argv[2:], "--out", sys.argv[1]], standalone_mode=False)
print(json.dumps([file for m in sys.modules.values() if (file := getattr(m, "__file__", None))]))
"""


def trim_packages() -> ModuleType:
    loader = SourceFileLoader("trim_packages", str(SCRIPT))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_service_loads_nothing_that_is_removed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USE_THE_SERVICE, tmp_path / "x.npz", *CHIPS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.npz").is_file()
    loaded = [Path(file) for file in json.loads(done.stdout.splitlines()[-1])]
    assert SITE / "scipy/ndimage/__init__.py" in loaded
    removed = set(trim_packages().unread(SITE))
    assert SITE / "scipy/stats" in removed
    assert [file for file in loaded if removed & set(file.parents)] == []


def test_only_the_named_folders_are_removed(tmp_path: Path) -> None:
    kept = ["scipy/ndimage/a.py", "scipy/special/a.py", "botocore/data/s3/a.json", "numpy/a.py"]
    gone = ["scipy/stats/a.py", "botocore/data/ec2/a.json", "numpy/tests/tests/a.py"]
    for name in [*kept, *gone, "onnxruntime/capi/a.py", "onnxruntime/tools/a.py"]:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    trim_packages().main(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*kept, "onnxruntime/capi/a.py"}
