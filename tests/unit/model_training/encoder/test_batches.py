"""Batches of pairs are joined so that row i of the first half belongs to row i of the second."""

import torch

from model_training.encoder.batches import Batch, join_pairs


def pairs(first: int, count: int) -> Batch:
    """Return pairs whose pixels are the number of the ship, plus a half for SAR."""
    ships = torch.arange(first, first + count)
    values = torch.cat([ships.float(), ships + 0.5])
    return Batch(
        pixels=values[:, None, None, None].expand(-1, 3, 2, 2),
        modality=torch.arange(2).repeat_interleave(count),
        size=values[:, None].expand(-1, 3),
        vessel=torch.cat([torch.arange(count)] * 2),
    )


def test_joined_pairs_stay_pairs() -> None:
    joined = join_pairs(pairs(10, 2), pairs(20, 3))
    assert joined.pixels[:, 0, 0, 0].tolist() == [
        *(10, 11, 20, 21, 22),
        *(10.5, 11.5, 20.5, 21.5, 22.5),
    ]
    assert joined.modality.tolist() == [0] * 5 + [1] * 5
    assert joined.size[:, 0].tolist() == joined.pixels[:, 0, 0, 0].tolist()
    assert joined.vessel.tolist() == [0, 1, 2, 3, 4] * 2
