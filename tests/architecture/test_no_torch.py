"""The service starts and answers without importing torch, offline code, or unused libraries."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from service.settings import SHIPPED_BUNDLE
from tests.support.paths import ROOT

PROGRAM = """
    import sys
    from pathlib import Path
    from fastapi.testclient import TestClient
    from service.wiring.app import create_app
    from service.settings import load_settings
    from tests.support.inputs.chips import sar_tiff

    places = dict(data_dir=Path({data!r}), bundle=Path({bundle!r}))
    app = create_app(load_settings(**places, device="cpu"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post("/match", files={{"chip": sar_tiff(1)}})
        assert answer.status_code == 200, answer.text
    unused = ("qdrant_client", "redis", "service.observability.otlp")
    for name in ("torch", "onnx", "model_training", "export", *unused):
        assert name not in sys.modules, name + " was imported"
    print("clean")
"""


def test_serving_imports_neither_torch_nor_the_offline_code(tmp_path: Path) -> None:
    program = textwrap.dedent(PROGRAM).format(data=str(tmp_path), bundle=str(SHIPPED_BUNDLE))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip().endswith("clean"), done.stderr


@pytest.mark.parametrize(
    ("vendor", "owners"),
    [
        ("onnxruntime", {"service.inference"}),
        ("qdrant_client", {"service.storage"}),
        ("qdrant_edge", {"service.storage"}),
        ("redis", {"service.storage"}),
        ("fastapi", {"service.api", "service.wiring"}),
        ("opentelemetry", {"service.observability"}),
    ],
)
def test_each_vendor_has_one_owner(vendor: str, owners: set[str]) -> None:
    root = ROOT
    importers = set()
    for path in sorted((root / "service").rglob("*.py")):
        words = [line.split() for line in path.read_text().splitlines()]
        if any(
            w[:1] in (["import"], ["from"]) and w[1].split(".")[0] == vendor
            for w in words
            if len(w) > 1
        ):
            importers.add(".".join(path.relative_to(root).with_suffix("").parts[:2]))
    assert importers, f"nothing imports {vendor}: is it still needed?"
    assert importers <= owners
