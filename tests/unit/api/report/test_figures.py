import re

import numpy as np
import pytest

from service.api.report.figures import ChipFigure, chip_row, mm_per_metre, ruler_length_m


def chip(height: int, width: int, gsd_m: float, caption: str = "c") -> ChipFigure:
    return ChipFigure(caption, np.zeros((height, width, 3), np.uint8), gsd_m)


def test_all_chips_are_drawn_at_one_scale() -> None:
    row = chip_row([chip(200, 40, 1.0), chip(400, 100, 0.5), chip(50, 10, 1.0)])
    drawn = re.findall(
        r'width="([\d.]+)mm" height="([\d.]+)mm" viewBox="0 0 ([\d.]+) ([\d.]+)"', row
    )
    scales = [float(mm) / float(metres) for _, mm, _, metres in drawn]
    scales += [float(mm) / float(metres) for mm, _, metres, _ in drawn]
    assert len(drawn) == 4
    assert scales == pytest.approx([scales[0]] * 8, rel=2e-3)
    assert re.findall(r"(\d+) m &#215; (\d+) m", row) == [
        ("200", "40"),
        ("200", "50"),
        ("50", "10"),
    ]


def test_the_row_fits_the_page() -> None:
    assert mm_per_metre([chip(420, 10, 1.0)]) == pytest.approx(0.1)
    wide = [chip(10, 100, 1.0)] * 5
    scale = mm_per_metre(wide)
    assert scale is not None
    assert 5 * (100 * scale + 6) <= 160.001


@pytest.mark.parametrize(
    ("longest", "length"), [(9.9, 5), (10, 10), (49, 20), (120, 100), (1.2, 1), (0.3, 0.2)]
)
def test_the_ruler_has_a_round_length(longest: float, length: float) -> None:
    assert ruler_length_m(longest) == pytest.approx(length)


def test_a_chip_that_is_gone_is_named() -> None:
    gone = ChipFigure("<query>", None, 1.0)
    for figures in ([gone], [gone, chip(20, 10, 1.0)]):
        row = chip_row(figures)
        assert "no longer stored" in row
        assert "&lt;query&gt;" in row
        assert row.count("<image") == len(figures) - 1
