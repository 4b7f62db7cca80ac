"""Quick draws return what the generator's own methods return, and leave it in the same state."""

import numpy as np
import pytest

from model_training.simulator.draws import chance, pick, pick_weighted, uniform, whole
from model_training.simulator.ships.vessel import generator


@pytest.mark.parametrize("values", [(-1.0, 1.0), (0.0, 0.0, 0.18, -0.18), (3,)])
def test_pick_draws_what_choice_draws(values: tuple[float, ...]) -> None:
    quick, slow = generator(3, 1), generator(3, 1)
    drawn = [pick(quick, values) for _ in range(200)]
    assert drawn == [slow.choice(values) for _ in range(200)]
    assert set(drawn) == set(values)
    assert quick.random() == slow.random()


def test_pick_weighted_draws_what_choice_with_shares_draws() -> None:
    quick, slow = generator(4, 1), generator(4, 1)
    shares = [0.5, 0.3, 0.1, 0.1]
    cumulative = np.cumsum(shares).tolist()
    drawn = [pick_weighted(quick, (1, 2, 3, 4), cumulative) for _ in range(500)]
    assert drawn == [slow.choice([1, 2, 3, 4], p=shares) for _ in range(500)]
    assert set(drawn) == {1, 2, 3, 4}
    assert quick.random() == slow.random()


def test_whole_draws_both_ends_of_its_range() -> None:
    quick, slow = generator(5, 1), generator(5, 1)
    drawn = [whole(quick, (2, 4)) for _ in range(200)]
    assert drawn == [slow.integers(2, 5) for _ in range(200)]
    assert set(drawn) == {2, 3, 4}


def test_uniform_and_chance_draw_what_the_generator_draws() -> None:
    quick, slow = generator(6, 1), generator(6, 1)
    for _ in range(50):
        assert uniform(quick, (-1.0, 3.0)) == slow.uniform(-1.0, 3.0)
        assert chance(quick, 0.3) == (slow.random() < 0.3)
