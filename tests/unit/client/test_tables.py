import io
from pathlib import Path

import pytest

from service.client.enrol import EnrolReport, Refusal
from service.client.errors import RefusedError
from service.client.match import ChipResult
from service.client.remote.models import Match, percent
from service.client.tables import candidate_cell, console, show_report, show_result
from tests.support.answers import answer, body, ship_id


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.0, 1, "<0.1%"),
        (0.0009, 1, "<0.1%"),
        (0.9995, 1, ">99.9%"),
        (1.0, 0, ">99%"),
        (0.004, 0, "<1%"),
        (0.501, 0, "50%"),
        (0.501, 1, "50.1%"),
    ],
)
def test_no_share_reads_as_certain(share: float, digits: int, text: str) -> None:
    assert percent(share, digits) == text


def shown(result: ChipResult) -> str:
    stream = io.StringIO()
    show_result(console(stream), result)
    return stream.getvalue()


def test_a_result_shows_ranks_checks_and_verdict() -> None:
    document = body("ambiguous", "a", "b")
    document["candidates"][0]["checks"] = {
        "length": {"query_m": 183.0, "vessel_m": 190.0, "ok": True},
        "kinematics": {"distance_nm": 210, "hours": 19, "required_kn": 11.05, "feasible": True},
    }
    document["candidates"][0]["vessel"]["name"] = "STAR [bold]"
    document["query"]["warnings"] = ["no GSD [m] was given"]
    text = shown(ChipResult(Path("0001_SAR.tif"), Match.model_validate(document), None))
    for part in ("0001_SAR.tif", "183 m x 30 m", "90.0%", "0.800", "STAR [bold]", "SHIP b"):
        assert part in text
    for part in (
        "190 m",
        "210 nm in 19.0 h at 11.1 kn",
        "ambiguous",
        "tiny [x]",
        "no GSD [m]",
        document["match_id"],
    ):
        assert part in text


def test_a_framed_chip_and_what_is_bad_about_it_are_shown() -> None:
    document = body("ambiguous", "a")
    document["query"]["framing"] = {"method": "rotated", "turned_deg": -35.2}
    findings = [
        {"kind": "several_ships", "level": "bad", "value": 1.0, "sentence": "Two [x] ships."},
        {"kind": "smeared", "level": "doubtful", "value": 0.6, "sentence": "Smeared."},
        {"kind": "cut_off", "level": "ok", "value": 0.0, "sentence": "Whole."},
    ]
    document["query"]["quality"] = {"level": "bad", "findings": findings}
    document["query"]["warnings"] = ["Two [x] ships.", "no GSD was given"]
    document["candidates"][0]["way"] = {"half_turned": True, "certainty": 0.93}
    text = shown(ChipResult(Path("a.tif"), Match.model_validate(document), None))
    assert "turned by 35° counter-clockwise" in text
    assert "bad chip Two [x] ships." in text
    assert text.count("Two [x] ships.") == 1
    assert text.index("bad chip") < text.index("doubtful Smeared.") < text.index("note no GSD")
    assert "Whole." not in text
    assert "matches the chip turned by 180°, 93% sure" in text


def test_a_refused_chip_shows_the_reason() -> None:
    problem = RefusedError(422, "chip-size", "7 px is too small [at least 8]")
    result = ChipResult(Path("a.tif"), None, problem)
    assert "refused a.tif: 7 px is too small [at least 8]" in shown(result)
    assert result.document() == {
        "chip": "a.tif",
        "problem": {"kind": "chip-size", "detail": str(problem), "status": 422},
    }


def test_the_true_vessel_is_green() -> None:
    candidates = answer("confident", "a", "b").candidates
    assert candidate_cell(candidates, 0, ship_id("a")) == "[green] 90% SHIP a[/]"
    assert candidate_cell(candidates, 1, ship_id("a")) == " 80% SHIP b"
    assert candidate_cell(candidates, 2, ship_id("a")) == ""


def test_a_report_shows_counts_and_refusals() -> None:
    report = EnrolReport("d", 3, created=1, known=1, chips=4, stopped=True, seconds=1.5)
    report.refused.append(Refusal("SHIP [x]", ("a.tif", "b.tif"), "chip-size", "too [small]"))
    stream = io.StringIO()
    show_report(console(stream), report)
    text = stream.getvalue()
    assert "refused SHIP [x] (a.tif, b.tif): too [small]" in text
    assert "1 vessels registered, 1 known before, 4 chips enrolled, 2 refused, in 1.5 s" in text
    assert "run the same command again" in text
