"""The table of the demo."""

from pathlib import Path

from rich.console import Console

from service.client.demo.run import _table
from service.client.demo.truth import CheckedAnswer, compare_with_truth
from service.client.fleet.hoss_folder import NamedChip
from service.client.fleet.vessels import Fleet
from service.contract.chip import Modality
from service.contract.hoss_names import HossName
from tests.support.answers import answer


def test_none_of_them_stands_beside_the_candidates() -> None:
    path = Path("0009_s01c1_SAR.tif")
    given = answer("ambiguous", "a", "b")
    checked = CheckedAnswer(
        NamedChip(path, HossName(9, Modality.SAR)), given, compare_with_truth(given, None)
    )
    console = Console(width=140, record=True)
    console.print(_table([checked], Fleet("made up", ()), 140))
    heading, row = (
        line for line in console.export_text().splitlines() if "none" in line or "0009" in line
    )
    assert heading.index("none") <= row.index("5.0%") < heading.index("verdict")
