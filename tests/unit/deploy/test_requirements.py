"""The locked wheels of the images."""

import re

import pytest

from tests.support.paths import ROOT


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[.*\])?==(\S+)", text, re.M))


@pytest.mark.parametrize("name", ["cpu.txt", "gpu.txt"])
def test_each_wheel_is_pinned_with_hashes_and_torch_is_none_of_them(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    for entry in re.split(r"^(?=\S)", text, flags=re.M)[1:]:
        assert re.search(r"==\S+ .*--hash=sha256:[0-9a-f]{64}", entry, re.S), entry[:80]
    assert not {"torch", "onnx", "triton"} & pins(name).keys()


def test_cpu_and_gpu_differ_in_the_runtime_and_its_libraries_only() -> None:
    cpu, gpu = pins("cpu.txt"), pins("gpu.txt")
    differing = {n for n in cpu.keys() | gpu.keys() if cpu.get(n) != gpu.get(n)}
    assert {n for n in differing if not n.startswith("nvidia-")} == {
        "onnxruntime",
        "onnxruntime-gpu",
    }
