"""Fuse an optical embedding with its pseudo-SAR embeddings.

Source: MOS (arXiv 2512.03404), CDGF, second half.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def l2_normalise(vectors: FloatArray) -> FloatArray:
    """Scale vectors to unit Euclidean length along the last axis.

    Args:
        vectors: float32 `[..., D]`.

    Returns:
        float32 `[..., D]`, each vector of length 1.

    Raises:
        ValueError: a vector is zero or not finite, so it has no direction.
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
        raise ValueError("an embedding is zero or not finite, so it has no direction")
    return np.asarray(vectors / lengths, dtype=np.float32)


def fuse(feature: FloatArray, pseudo_sar: FloatArray, alpha: float) -> FloatArray:
    """Fuse one optical embedding with the embeddings of its K pseudo-SAR pictures.

    `f = l2((1 - alpha) * l2(f) + alpha * mean_k l2(p_k))`. SAR embeddings are not fused, only
    normalised.

    Args:
        feature: float32 `[D]`, the optical chip's embedding.
        pseudo_sar: float32 `[K, D]` with K >= 1, the pseudo-SAR pictures encoded as SAR.
        alpha: weight of the pseudo-SAR mean, 0 to 1.

    Returns:
        float32 `[D]`, unit length.

    Raises:
        ValueError: the shapes do not fit, alpha is out of range, or a vector has no direction.
    """
    if feature.ndim != 1 or pseudo_sar.ndim != 2 or pseudo_sar.shape[1] != feature.shape[0]:
        raise ValueError(f"expected [D] and [K, D], got {feature.shape} and {pseudo_sar.shape}")
    if pseudo_sar.shape[0] == 0:
        raise ValueError("fusion needs at least one pseudo-SAR embedding")
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must lie in 0..1, got {alpha}")
    mean = l2_normalise(pseudo_sar).mean(axis=0)
    return l2_normalise((1.0 - alpha) * l2_normalise(feature) + alpha * mean)
