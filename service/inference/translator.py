"""Translate optical pictures to pseudo-SAR pictures across the Brownian bridge."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.bridge import reverse_bridge
from service.contract.errors import BundleError
from service.contract.manifest import TranslatorSpec
from service.contract.preprocess import Picture
from service.contract.translation import (
    bridge_picture,
    bridge_start,
    noise_generator,
    pseudo_sar_picture,
)
from service.inference.session import Runner

MAX_BATCH = 32  # pictures in one network call; more use more memory and are not faster


class Translator:
    """The bridge U-Net and its sampler.

    The noise of a chip is drawn from a generator seeded by the chip's digest and the weights' id,
    so that a chip always gets the same pictures, whatever other chips are in its batch.
    """

    def __init__(self, runner: Runner, spec: TranslatorSpec, samples: int, weights_id: str) -> None:
        """Prepare the sampler.

        Args:
            samples: K, pictures per chip.
            weights_id: identifies the weights, e.g. the SHA-256 of the graph.
        """
        self._runner = runner
        self._spec = spec
        self._samples = samples
        self._weights_id = weights_id
        x_t, condition, t = spec.graph.inputs
        self._names = (x_t.name, condition.name, t.name)
        self._time_type = np.dtype(t.dtype)

    def translate(self, pictures: Sequence[Picture], digests: Sequence[str]) -> NDArray[np.uint8]:
        """Translate optical pictures to pseudo-SAR pictures; return uint8 `[N, K, h, w]`.

        Args:
            pictures: N >= 1 pictures uint8 `[H, W, 3]` from `preprocess.to_picture`, of any size.
        """
        chunk = max(1, MAX_BATCH // self._samples)
        parts = [
            self._translate(pictures[start : start + chunk], digests[start : start + chunk])
            for start in range(0, len(pictures), chunk)
        ]
        return np.concatenate(parts)

    def _translate(self, pictures: Sequence[Picture], digests: Sequence[str]) -> NDArray[np.uint8]:
        spec = self._spec
        ends = np.stack([bridge_picture(p, spec.height, spec.width) for p in pictures])
        condition = np.repeat(ends, self._samples, axis=0)  # [N * K, 3, h, w]
        y = bridge_start(condition, spec.channels)  # [N * K, C, h, w]
        generators = [noise_generator(self._weights_id, digest) for digest in digests]
        shape = (self._samples, *y.shape[1:])

        def predict_grad(x_t: Any, t: int) -> NDArray[np.float32]:
            times = np.full(len(y), t, self._time_type)
            feeds = (np.asarray(x_t, np.float32), condition, times)
            return self._runner.run(dict(zip(self._names, feeds, strict=True)))

        def draw_noise() -> NDArray[np.float32]:
            return np.concatenate([g.standard_normal(shape, np.float32) for g in generators])

        x0 = reverse_bridge(predict_grad, y, spec.steps, draw_noise)
        grey = pseudo_sar_picture(x0)  # [N * K, h, w]
        return grey.reshape(len(pictures), self._samples, spec.height, spec.width)


def require_translator_tensors(spec: TranslatorSpec) -> None:
    """Check that the translator's tensors fit its picture size and its number of times.

    Raises:
        BundleError: the manifest contradicts itself.
    """
    size = (spec.height, spec.width)
    expected = [(spec.channels, *size), (3, *size), ()]
    found = [tensor.shape[1:] for tensor in spec.graph.inputs]
    outputs = [tensor.shape[1:] for tensor in spec.graph.outputs]
    if found != expected or outputs != expected[:1]:
        raise BundleError(
            f"the translator takes {found} and yields {outputs} per picture, "
            f"but its specification needs {expected} and {expected[:1]}"
        )
    if late := [step.t for step in spec.steps if not 0 <= step.t < spec.times]:
        raise BundleError(f"the sampler visits the times {late}, outside 0..{spec.times - 1}")
