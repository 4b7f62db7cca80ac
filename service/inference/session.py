"""Open ONNX graphs on a device and check them against the manifest."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.contract.errors import BundleError, CrossfixError
from service.contract.manifest import GraphSpec, TensorSpec

Device = Literal["cpu", "cuda"]
DeviceChoice = Literal["auto", "cpu", "cuda"]

_PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ORT_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}

logger = logging.getLogger(__name__)

ort.disable_telemetry_events()  # ONNX Runtime must not report usage to its vendor.


class DeviceError(CrossfixError):
    """The chosen device is not available."""

    kind = "device"


class Runner(Protocol):
    """A graph that is ready to run; safe to call from many threads."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Run the graph; return its first output.

        Args:
            feeds: arrays by the names, of the types and shapes that the manifest states.
        """


class Session:
    """A `Runner` on ONNX Runtime."""

    def __init__(self, session: ort.InferenceSession, spec: GraphSpec, device: Device) -> None:
        self._session = session
        self._outputs = [spec.outputs[0].name]
        self.device = device

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """See `Runner`."""
        (output,) = self._session.run(self._outputs, dict(feeds))
        return np.asarray(output, dtype=np.float32)


def open_session(
    graph_path: Path, spec: GraphSpec, device: DeviceChoice = "auto", threads: int = 0
) -> Session:
    """Open a graph of a bundle.

    Args:
        device: `auto` chooses CUDA if ONNX Runtime was installed with it, which must then start,
            and the CPU otherwise.
        threads: CPU threads inside one operator; 0 uses one per core.

    Raises:
        DeviceError: CUDA was chosen and is not available or did not start.
        BundleError: the file is not a graph, or its tensors are not those of the manifest.
    """
    wanted = choose_device(device)
    try:
        session = ort.InferenceSession(
            graph_path,
            sess_options=_options(threads),
            providers=[_PROVIDERS[wanted]] if wanted == "cpu" else list(_PROVIDERS.values())[::-1],
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no base but this
        raise BundleError(f"{graph_path.name} cannot be opened as a graph: {error}") from error
    used: Device = "cuda" if _PROVIDERS["cuda"] in session.get_providers() else "cpu"
    if wanted != used:
        raise DeviceError(
            f"CUDA did not start for {graph_path.name}, and ONNX Runtime has said why above: is "
            f"there a GPU with NVIDIA's driver, and is it given to the container (docker run "
            f"--gpus all)? Else choose the device 'cpu'"
        )
    _check_tensors(graph_path.name, "input", session.get_inputs(), spec.inputs)
    _check_tensors(graph_path.name, "output", session.get_outputs(), spec.outputs)
    logger.info("graph %s runs on %s", graph_path.name, used)
    return Session(session, spec, used)


def choose_device(device: DeviceChoice) -> Device:
    """Return the device to try; `auto` is CUDA if this installation of ONNX Runtime has it.

    Raises:
        DeviceError: CUDA was chosen and this installation does not have it.
    """
    if device == "cpu":
        return "cpu"
    if _PROVIDERS["cuda"] in ort.get_available_providers():
        ort.preload_dlls()  # finds CUDA and cuDNN where pip installed them
        return "cuda"
    if device == "auto":
        return "cpu"
    raise DeviceError(
        f"the device 'cuda' was asked for, but this installation of ONNX Runtime offers "
        f"{ort.get_available_providers()}: install 'crossfix[gpu]' or choose 'cpu' or 'auto'"
    )


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The lanes for SAR and optical chips share the cores, so an idle lane must not spin.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_tensors(
    graph: str, role: str, found: list[ort.NodeArg], expected: tuple[TensorSpec, ...]
) -> None:
    names, wanted = [tensor.name for tensor in found], [tensor.name for tensor in expected]
    if names != wanted:
        raise BundleError(f"{graph} has the {role}s {names}, its manifest says {wanted}")
    for tensor, spec in zip(found, expected, strict=True):
        if tensor.type != _ORT_TYPES[spec.dtype]:
            raise BundleError(
                f"{role} {spec.name!r} of {graph} is {tensor.type}, its manifest says {spec.dtype}"
            )
        if not _shape_fits(tensor.shape, spec.shape):
            raise BundleError(
                f"{role} {spec.name!r} of {graph} has the shape {tensor.shape}, "
                f"its manifest says {list(spec.shape)}"
            )


def _shape_fits(found: list[int | str | None], expected: tuple[int | str, ...]) -> bool:
    """Whether fixed axes are equal and free axes are free in both shapes."""
    if len(found) != len(expected):
        return False
    return all(
        not isinstance(have, int) if isinstance(want, str) else have == want
        for have, want in zip(found, expected, strict=True)
    )
