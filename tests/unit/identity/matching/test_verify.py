import numpy as np
import pytest

from service.identity.errors import InvalidRequestError
from service.identity.uploads import ChipUpload
from tests.support.inputs.chips import sar_tiff
from tests.support.use_cases import UseCases, optical, sar


def test_two_chips_are_compared_without_being_stored(use_cases: UseCases) -> None:
    compared = use_cases.verifier.verify(sar(1), optical(2))
    expected = 1 / (1 + np.exp(-4 * compared.similarity))
    assert compared.probability == pytest.approx(expected, abs=1e-5)
    assert use_cases.chips.data == {}


def test_two_chips_of_the_same_sensor_need_their_own_calibration(use_cases: UseCases) -> None:
    with pytest.raises(InvalidRequestError, match="both chips are sar"):
        use_cases.verifier.verify(ChipUpload(sar_tiff(1)), ChipUpload(sar_tiff(2)))
