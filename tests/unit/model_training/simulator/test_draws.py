"""Quick draws are the generator's own: the same values, and the same state afterwards."""

import numpy as np
import pytest

from model_training.simulator.draws import pick, pick_weighted
from model_training.simulator.ships.vessel import generator


@pytest.mark.parametrize("values", [(-1.0, 1.0), (0.0, 0.0, 0.18, -0.18), (3,)])
def test_pick_is_choice(values: tuple[float, ...]) -> None:
    quick, slow = generator(3, 1), generator(3, 1)
    drawn = [pick(quick, values) for _ in range(200)]
    assert drawn == [slow.choice(values) for _ in range(200)]
    assert set(drawn) == set(values)
    assert quick.random() == slow.random()


def test_pick_weighted_is_choice_with_shares() -> None:
    quick, slow = generator(4, 1), generator(4, 1)
    shares = [0.5, 0.3, 0.1, 0.1]
    cumulative = np.cumsum(shares).tolist()
    drawn = [pick_weighted(quick, (1, 2, 3, 4), cumulative) for _ in range(500)]
    assert drawn == [slow.choice([1, 2, 3, 4], p=shares) for _ in range(500)]
    assert set(drawn) == {1, 2, 3, 4}
    assert quick.random() == slow.random()
