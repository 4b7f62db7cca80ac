"""Multipart parts are parsed, and malformed ones refused with what would be right."""

import io
import json

import pytest
from fastapi import UploadFile
from hypothesis import given, strategies as st

from service.api.uploads import parse_uploads, parse_vessel
from service.contract.chip import Modality
from service.identity.errors import InvalidRequestError


def files(*names: str) -> list[UploadFile]:
    return [UploadFile(io.BytesIO(name.encode()), filename=name) for name in names]


def test_metadata_by_order() -> None:
    text = json.dumps([{"modality": "sar"}, {"gsd_m": 0.5}])
    a, b = parse_uploads(files("a", "b"), text, limit=5)
    assert (a.data, a.metadata.modality) == (b"a", Modality.SAR)
    assert (b.data, b.metadata.gsd_m) == (b"b", 0.5)


def test_metadata_by_file_name() -> None:
    a, b = parse_uploads(files("a", "b"), json.dumps({"b": {"sensor": "S-1"}}), limit=5)
    assert a.metadata.sensor is None
    assert b.metadata.sensor == "S-1"


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("[{}]", "1 entries for 2 chips"),
        ('{"c": {}}', "no chip is named 'c'"),
        ('{"gsd_m": 0.75}', "no chip is named 'gsd_m'"),
        ("[{}, {", "not JSON"),
        ('"a"', "list"),
        ('[{}, {"gsd": 1}]', "gsd"),
        ('[{}, {"lat": 1}]', "lon"),
        ('[{}, {"gsd_m": 1, "gsd_m": 2}]', "'gsd_m' stands twice"),
        ('{"a": {}, "b": {}, "a": {}}', "'a' stands twice"),
        ('[{}, {"gsd_m": true}]', "got true or false"),
        ('[{}, {"band": false}]', "got true or false"),
        ('[{}, {"gsd_m": NaN}]', "gsd_m"),
        ('[{}, {"sensor": "S\\u0000"}]', "a control character"),
        ('[{}, {"sensor": "nan"}]', "sensor: .*placeholder"),
        ('[{}, {"licence": "<NA>"}]', "licence: .*placeholder"),
        ('[{}, {"source": "unknown"}]', "source: .*placeholder"),
        ('[{}, {"case": "-"}]', "case: .*placeholder"),
        ('[{}, {"note": ""}]', "note: .*empty"),
        ('[{}, {"captured_at": 20260305}]', "may mean 2026-03-05"),
        ("[" * 100_000, "nested too deeply"),
        ('[{}, {"gsd_m": %s}]' % ("9" * 5000), "5000 digits"),
        ('[{}, {"gsd_m": "1_0"}]', "without underscores"),
        ('[{}, {"gsd_m": "1,5"}]', "a number with a decimal point, e.g. 0.75; got '1,5'"),
        ('[{}, {"band": 1.5}]', "a whole number"),
        ('[{}, {"modality": "radar"}]', "expected 'optical' or 'sar'; got 'radar'"),
        ('[{}, {"sensor": "S\\u202eX"}]', "holds U\\+202E .RIGHT-TO-LEFT OVERRIDE."),
        ('[{}, {"sensor": "\\ud800"}]', "a text of whole characters"),
        (json.dumps([{}, {"sensor": "x" * 201}]), "more than 200 characters"),
        ('{"a\u0301": {}, "\u00e1": {}}', "two keys are named"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(text: str, mention: str) -> None:
    with pytest.raises(InvalidRequestError, match=mention):
        parse_uploads(files("a", "b"), text, limit=5)


def test_metadata_by_name_is_refused_where_two_chips_have_one_name() -> None:
    with pytest.raises(InvalidRequestError, match="two chips are named 'a'; send a list"):
        parse_uploads(files("a", "a"), '{"a": {"gsd_m": 1}}', limit=5)
    assert len(parse_uploads(files("a", "a"), '[{"gsd_m": 1}, {"gsd_m": 2}]', limit=5)) == 2


def test_file_names_are_compared_in_one_unicode_form() -> None:
    composed, decomposed = "\u00e9.png", "e\u0301.png"
    for sent, keyed in ((composed, decomposed), (decomposed, composed)):
        [one] = parse_uploads(files(sent), json.dumps({keyed: {"sensor": "S-1"}}), limit=5)
        assert one.metadata.sensor == "S-1"


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ('{"name": "A", "name": "B"}', "'name' stands twice"),
        ('{"length_m": true}', "got true or false"),
        ('{"imo": 9074720}', "check digit"),
        ('{"name": "<NA>"}', "placeholder"),
        ('{"flag": "NaT"}', "placeholder"),
        ('{"type": "#N/A"}', "placeholder"),
        ('{"type": "nan"}', "placeholder"),
        ('{"source": "NaT"}', "placeholder"),
        ('{"name": "A\\u0000B"}', "a control character"),
        ('{"source": "A\\u0000B"}', "a control character"),
        ('{"as_of": 0}', "ISO 8601"),
        ('{"length_m": "1_90"}', "without underscores"),
        ('{"length_m": "190,5"}', "decimal point"),
        ('{"imo": 9074729.5}', "an IMO number has seven digits"),
        ('{"id": "00000000-0000-0000-0000-000000000000"}', "placeholder"),
        ('{"name": "%s"}' % ("n" * 201), "more than 200 characters"),
    ],
)
def test_a_vessel_that_says_nothing_sure_is_refused(text: str, mention: str) -> None:
    with pytest.raises(InvalidRequestError, match=mention):
        parse_vessel(text)


def test_numbers_of_ships_may_be_integers_and_texts_are_normalised() -> None:
    vessel = parse_vessel('{"imo": 9074729, "mmsi": 244660000, "name": " Re\u0301my \u00a0 II "}')
    assert (vessel.imo, vessel.mmsi, vessel.name) == ("9074729", "244660000", "R\u00e9my II")


def test_too_many_chips_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="at most 1"):
        parse_uploads(files("a", "b"), None, limit=1)


@given(st.text() | st.builds(json.dumps, st.recursive(st.none() | st.text(), st.lists)))
def test_any_text_is_parsed_as_a_vessel_or_refused(text: str) -> None:
    try:
        vessel = parse_vessel(text)
    except InvalidRequestError:
        return
    assert vessel.model_fields_set <= set(json.loads(text))
