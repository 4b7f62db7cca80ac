"""Replay searches that ask with two chips of one ship, as the service joins several.

The service searches with the mean of the chips' embeddings and the geometric mean of their sizes.
Such a query is more similar to everything, and says more: its weights are fitted apart.
"""

from dataclasses import replace

import numpy as np

from model_training.calibration.searches import Searches, join_rows
from model_training.calibration.trials import ACROSS, replay
from model_training.embedding.chip_table import ChipTable, Embeddings
from service.contract.chip import Modality
from service.contract.hoss_names import DISTRACTOR_ID

CHIPS = 2


def replay_several(table: ChipTable, per_size: int = 2000, seed: int = 0) -> Searches | None:
    """Replay searches across sensors with `CHIPS` chips of each ship; None when ships are too few.

    Args:
        table: embedded chips of one set of ships.
        per_size: searches per direction and gallery size.
    """
    parts = []
    for query, gallery in ACROSS:
        joined = join_chips(table, query)
        trials = None if joined is None else replay(joined, [(query, gallery)], per_size, seed)
        if trials is not None:
            parts.append(trials.searches)
    return join_rows(parts) if parts else None


def join_chips(table: ChipTable, modality: Modality) -> ChipTable | None:
    """Return the table with every ship's first `CHIPS` chips of a sensor joined into one.

    Ships with fewer chips of that sensor, and distractors, have none of it in the result; None if
    no ship has enough.
    """
    ids = table.vessel_ids
    rows = table.rows_with(modality)
    rows = rows[ids[rows] != DISTRACTOR_ID]
    groups = [rows[ids[rows] == ship][:CHIPS] for ship in np.unique(ids[rows])]
    groups = [group for group in groups if group.size == CHIPS]
    if not groups:
        return None
    others = np.setdiff1d(np.arange(len(table.chips)), table.rows_with(modality))
    vectors = table.embeddings.served
    means = np.stack([vectors[group].mean(axis=0) for group in groups])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    sizes = np.exp(np.stack([np.log(table.size_m[group]).mean(axis=0) for group in groups]))
    return replace(
        table,
        chips=(*(table.chips[g[0]] for g in groups), *(table.chips[row] for row in others)),
        embeddings=Embeddings(np.concatenate([means, vectors[others]])),
        size_m=np.concatenate([sizes, table.size_m[others]]),
        half_turned=None,
    )
