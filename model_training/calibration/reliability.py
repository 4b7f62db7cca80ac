"""Compare predicted probabilities with outcomes: reliability bins, ECE and the diagram.

ECE (Naeini et al. 2015; Guo et al. 2017): the mean over bins of |share correct - mean probability|,
weighted by the bins' counts. Bins hold about equal numbers of predictions, none is empty, and equal
probabilities share a bin.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.metrics import Estimate, draw_identities, interval_95

BINS, DRAWS = 15, 1000  # of probabilities, and of the bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predictions and outcomes by bin, and the calibration error.

    Attributes:
        predicted: float64 `[bins]`, mean probability in each bin, ascending.
        observed: float64 `[bins]`, share correct.
        counts: int64 `[bins]`.
        ece: expected calibration error, 0 to 1, with its 95 % interval over identities.
    """

    predicted: Floats
    observed: Floats
    counts: NDArray[np.int64]
    ece: Estimate


def measure_reliability(
    probability: Floats,
    correct: NDArray[np.bool_],
    identities: NDArray[np.int64],
    bins: int = BINS,
    seed: int = 0,
) -> Reliability:
    """Bin predictions by probability and compare them with outcomes.

    The bootstrap keeps the bins and draws identities. ECE is a sum of absolute values, so noise
    can only raise it: the interval is biased upwards.

    Args:
        probability: float64 `[N]`.
        correct: bool `[N]`.
        identities: int64 `[N]`, the vessel of the query behind each prediction.

    Raises:
        ValueError: there are no predictions.
    """
    if probability.size == 0:
        raise ValueError("there are no predictions to judge")
    starts = np.unique(np.sort(probability)[np.arange(bins) * probability.size // bins])
    place = np.searchsorted(starts, probability, side="right") - 1
    counts = np.bincount(place)
    predicted = np.bincount(place, probability) / counts
    observed = np.bincount(place, correct) / counts
    value = float(np.abs(predicted - observed) @ counts / counts.sum())
    names, index = np.unique(identities, return_inverse=True)
    if names.size < 2:
        return Reliability(predicted, observed, counts, Estimate(value, None, None))
    cell = index * starts.size + place
    gaps = np.bincount(cell, probability - correct, names.size * starts.size)
    weights = draw_identities(names.size, DRAWS, seed)  # [draws, identities]
    # [draws, identities] @ [identities, bins] -> [draws]
    drawn_gaps = np.abs(weights @ gaps.reshape(names.size, starts.size)).sum(axis=1)
    low, high = interval_95(drawn_gaps / (weights @ np.bincount(index)), names.size)
    return Reliability(predicted, observed, counts, Estimate(value, low, high))


def draw_diagram(curves: dict[str, Reliability], path: Path) -> None:
    """Write a reliability diagram as PNG: one curve per name, and the diagonal for reference."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="perfect")
    for name, curve in curves.items():
        axes.plot(
            curve.predicted,
            curve.observed,
            marker="o",
            markersize=4,
            label=f"{name}: ECE {curve.ece.value:.3f}",
        )
    axes.set(
        xlabel="predicted probability", ylabel="share correct", xlim=(0, 1), ylim=(0, 1), aspect=1
    )
    axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
