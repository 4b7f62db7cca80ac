"""Every malformed input raises its specific error, which says what was wrong."""

from collections.abc import Callable

import pytest

from service.contract.decoding import limits
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipSizeError
from tests.support.inputs.chip_builders import good_jpeg, good_png, good_rgb, good_sar
from tests.support.inputs.malformed import MALFORMED
from tests.support.inputs.malformed_case import MalformedCase


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_malformed_input_raises_its_error(case: MalformedCase) -> None:
    with pytest.raises(case.error) as caught:
        decode_chip(case.data, modality=case.modality, gsd_m=case.gsd_m, band=case.band)
    assert type(caught.value) is case.error
    assert case.must_mention in str(caught.value)
    assert "vsimem" not in str(caught.value)


def test_table_has_many_cases_with_unique_names() -> None:
    names = [case.name for case in MALFORMED]
    assert len(names) == len(set(names)) >= 70


@pytest.mark.parametrize("build", [good_sar, good_rgb, good_png, good_jpeg])
def test_the_undamaged_chips_are_decoded(build: Callable[[], bytes]) -> None:
    decode_chip(build())


def test_a_file_over_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    data = good_sar()
    monkeypatch.setattr(limits, "MAX_BYTES", len(data))
    decode_chip(data)
    monkeypatch.setattr(limits, "MAX_BYTES", len(data) - 1)
    with pytest.raises(ChipSizeError, match=f"{len(data)} bytes"):
        decode_chip(data)
