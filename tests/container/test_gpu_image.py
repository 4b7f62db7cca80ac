"""The GPU image: what is in it, and that it runs on the device that was asked for or on none."""

import json

import pytest

from tests.support.docker import TEST_LIMIT_S, build, docker, enrol_and_match, running

pytestmark = pytest.mark.timeout(TEST_LIMIT_S)

IMAGE = "crossfix:test-gpu"
LARGEST_MB = 3200
NO_GPU = ("--runtime", "runc")
"""Without the NVIDIA runtime, also where that is Docker's default."""

LIBRARIES_OF_CUDA_THAT_ARE_NOT_FOUND = """
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


def test_the_image_says_its_size(image: str) -> None:
    size_mb = int(docker("image", "inspect", image, "--format", "{{.Size}}")) / 1e6
    print(f"\nsize of the GPU image: {size_mb:.0f} MB")
    assert size_mb < LARGEST_MB


def test_cuda_is_inside_and_torch_is_not(image: str) -> None:
    look = (
        "import importlib.util as u, onnxruntime as o; "
        "print('CUDAExecutionProvider' in o.get_available_providers(), u.find_spec('torch'))"
    )
    assert docker("run", "--rm", "--entrypoint", "python3", image, "-c", look) == "True None"


def test_of_what_cuda_needs_only_the_driver_comes_from_outside(image: str) -> None:
    look = ("python3", image, "-c", LIBRARIES_OF_CUDA_THAT_ARE_NOT_FOUND)
    missing = docker("run", "--rm", *NO_GPU, "--entrypoint", *look)
    assert json.loads(missing) == ["libcuda.so.1"]


def test_on_the_cpu_it_serves_when_told_to(image: str) -> None:
    with running(image, "crossfix-test-gpu", *NO_GPU, "--env", "CROSSFIX_DEVICE=cpu") as container:
        answer = enrol_and_match(container.url)
        assert answer["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"
        assert "encoder.onnx runs on cpu" in docker("logs", container.name, check=False)


@pytest.mark.parametrize("asked", [(), ("--env", "CROSSFIX_DEVICE=auto")], ids=["cuda", "auto"])
def test_without_a_gpu_it_says_so_and_stops(image: str, asked: tuple[str, ...]) -> None:
    allowed = ("--env", "CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS=true")
    said = docker("run", "--rm", *NO_GPU, *allowed, *asked, image, check=False)
    assert "cannot start: CUDA did not start for encoder.onnx" in said
    assert "--gpus all" in said
    assert "listening" not in said


def test_on_cuda_it_serves(image: str) -> None:
    if "nvidia" not in json.loads(docker("info", "--format", "{{json .Runtimes}}")):
        pytest.skip("Docker has no GPU here: whether the image serves on CUDA stays untested")
    on_cuda = ("--gpus", "all", "--memory", "4g")
    with running(image, "crossfix-test-cuda", *on_cuda) as container:
        answer = enrol_and_match(container.url)
        assert answer["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"
        assert "encoder.onnx runs on cuda" in docker("logs", container.name, check=False)
