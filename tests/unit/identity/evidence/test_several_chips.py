"""Several chips of one ship are joined into one query."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.identity.errors import InvalidRequestError
from service.identity.evidence.several_chips import MAX_CHIPS, join, require_different
from service.identity.records.sightings import EmbeddedSighting
from tests.support.fakes.records import make_sighting

Vector = NDArray[np.float32]


def unit(*values: float) -> Vector:
    vector = np.array(values, np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def chip(vector: Vector, **facts: object) -> EmbeddedSighting:
    known = {"modality": "sar", "length_m": 100.0, "width_m": 20.0} | facts
    return EmbeddedSighting(make_sighting(None, **known), vector)


EAST, NORTH, WEST = unit(1, 0, 0), unit(0, 1, 0), unit(-1, 0.1, 0)


def test_one_chip_is_the_query() -> None:
    one = chip(EAST)
    assert join([one], [NORTH]) == (one, NORTH)


def test_embeddings_are_averaged_and_sizes_by_their_ratio() -> None:
    first = chip(EAST, length_m=90.0, width_m=10.0)
    query, back = join([first, chip(NORTH, length_m=160.0, width_m=40.0)], [None, None])
    assert back is None
    np.testing.assert_allclose(query.vector, unit(1, 1, 0), atol=1e-6)
    assert (query.sighting.length_m, query.sighting.width_m) == pytest.approx((120.0, 20.0))
    assert query.sighting.id == first.sighting.id


def test_chips_are_turned_like_the_first() -> None:
    query, back = join([chip(EAST), chip(WEST)], [WEST, EAST])
    assert back is not None
    np.testing.assert_allclose(query.vector, EAST, atol=1e-6)
    np.testing.assert_allclose(back, WEST, atol=1e-6)


def test_chips_are_turned_like_one_whose_bow_is_known() -> None:
    query, back = join([chip(WEST), chip(EAST)], [EAST, None])
    assert back is None
    np.testing.assert_allclose(query.vector, EAST, atol=1e-6)


def test_chips_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="twice"):
        require_different(["a", "b", "a"])
    with pytest.raises(InvalidRequestError, match="at most 10"):
        require_different([str(n) for n in range(MAX_CHIPS + 1)])
    require_different([str(n) for n in range(MAX_CHIPS)])
    with pytest.raises(InvalidRequestError, match="optical and SAR"):
        join([chip(EAST), chip(NORTH, modality="optical")], [None, None])
