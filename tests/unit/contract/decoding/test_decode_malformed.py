"""Every malformed input gets its own error, which says what was wrong."""

import pytest

from service.contract.decoding.decode import ChipLimits, decode_chip
from service.contract.errors import ChipSizeError
from tests.support.malformed import (
    MALFORMED,
    MalformedCase,
    good_jpeg,
    good_png,
    good_rgb,
    good_sar,
)


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_malformed_input_raises_its_error(case: MalformedCase) -> None:
    with pytest.raises(case.error) as caught:
        decode_chip(case.data, modality=case.modality, gsd_m=case.gsd_m, band=case.band)
    assert type(caught.value) is case.error
    assert case.must_mention in str(caught.value)
    assert "vsimem" not in str(caught.value)


def test_the_table_is_large_and_its_names_are_unique() -> None:
    names = [case.name for case in MALFORMED]
    assert len(names) == len(set(names)) >= 70


@pytest.mark.parametrize("build", [good_sar, good_rgb, good_png, good_jpeg])
def test_the_chips_that_the_table_damages_are_good(build) -> None:
    decode_chip(build())


def test_a_file_over_the_limit_is_refused() -> None:
    data = good_sar()
    with pytest.raises(ChipSizeError, match=f"{len(data)} bytes"):
        decode_chip(data, limits=ChipLimits(max_bytes=len(data) - 1))
    decode_chip(data, limits=ChipLimits(max_bytes=len(data)))
