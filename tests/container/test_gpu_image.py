"""The GPU image: its content, and that it runs on the configured device or refuses to start."""

import json
import re

import pytest

from tests.support.processes.docker import (
    TEST_LIMIT_S,
    Container,
    build,
    docker,
    enrol_and_match,
    running,
)

pytestmark = pytest.mark.timeout(TEST_LIMIT_S)

IMAGE = "crossfix:test-gpu"
MAX_SIZE_MB = 3200
NO_GPU = ("--runtime", "runc")
"""Without the NVIDIA runtime, also where that is Docker's default."""

MISSING_CUDA_LIBRARIES_SCRIPT = """
import json, pathlib, subprocess
import onnxruntime as ort
ort.preload_dlls()
loaded = open("/proc/self/maps").read()
provider = pathlib.Path(ort.__file__).parent / "capi/libonnxruntime_providers_cuda.so"
lines = subprocess.run(["ldd", provider], capture_output=True, text=True, check=True).stdout
elsewhere = [line.split()[0] for line in lines.splitlines() if line.endswith("not found")]
print(json.dumps([name for name in elsewhere if "/" + name not in loaded]))
"""


@pytest.fixture(scope="module")
def image() -> str:
    done = build(IMAGE, "--target", "gpu")
    assert done.returncode == 0, done.stderr[-4000:]
    return IMAGE


def encoder_device(container: Container) -> str:
    """Return the device of the encoder, of whatever precision the graph is that runs there."""
    logs = docker("logs", container.name, check=False)
    device: str = re.findall(r"graph encoder\S*\.onnx runs on (\w+)", logs)[-1]
    return device


def test_the_image_is_small_enough(image: str) -> None:
    size_mb = int(docker("image", "inspect", image, "--format", "{{.Size}}")) / 1e6
    print(f"\nsize of the GPU image: {size_mb:.0f} MB")
    assert size_mb < MAX_SIZE_MB


def test_the_image_has_cuda_and_no_torch(image: str) -> None:
    script = (
        "import importlib.util as u, onnxruntime as o; "
        "print('CUDAExecutionProvider' in o.get_available_providers(), u.find_spec('torch'))"
    )
    assert docker("run", "--rm", "--entrypoint", "python3", image, "-c", script) == "True None"


def test_only_the_cuda_driver_is_missing_from_the_image(image: str) -> None:
    script = ("python3", image, "-c", MISSING_CUDA_LIBRARIES_SCRIPT)
    missing = docker("run", "--rm", *NO_GPU, "--entrypoint", *script)
    assert json.loads(missing) == ["libcuda.so.1"]


def test_it_serves_on_the_cpu_when_configured(image: str) -> None:
    with running(image, "crossfix-test-gpu", *NO_GPU, "--env", "CROSSFIX_DEVICE=cpu") as container:
        answer = enrol_and_match(container.url)
        assert answer["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"
        assert encoder_device(container) == "cpu"


@pytest.mark.parametrize("device", [(), ("--env", "CROSSFIX_DEVICE=auto")], ids=["cuda", "auto"])
def test_it_refuses_to_start_without_a_gpu(image: str, device: tuple[str, ...]) -> None:
    allowed = ("--env", "CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS=true")
    output = docker("run", "--rm", *NO_GPU, *allowed, *device, image, check=False)
    assert "cannot start: CUDA did not start for encoder.onnx" in output
    assert "--gpus all" in output
    assert "listening" not in output


def test_it_serves_on_cuda(image: str) -> None:
    if "nvidia" not in json.loads(docker("info", "--format", "{{json .Runtimes}}")):
        pytest.skip("Docker has no GPU here: whether the image serves on CUDA stays untested")
    on_cuda = ("--gpus", "all", "--memory", "4g")
    with running(image, "crossfix-test-cuda", *on_cuda) as container:
        answer = enrol_and_match(container.url)
        assert answer["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"
        assert encoder_device(container) == "cuda"
