import pytest
from hypothesis import given, strategies as st

from service.identity.records.identifiers import (
    is_placeholder,
    means_unknown,
    normalise_fact,
    normalise_imo,
    normalise_mmsi,
    normalise_note,
    normalise_text,
)


@pytest.mark.parametrize(
    "text", ["9074729", "IMO 9074729", "imo9074729", " IMO: 9074729 ", "907 4729", "9074729.0"]
)
def test_an_imo_number_is_reduced_to_its_digits(text: str) -> None:
    assert normalise_imo(text) == "9074729"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9074728", "check digit"),
        ("907472", "seven digits"),
        ("90747299", "seven digits"),
        ("0000000", "placeholder"),
        ("1111111", "placeholder"),
        ("1234567", "placeholder"),
        ("ABCDEFG", "seven digits"),
        ("", "seven digits"),
        ("९०७४७२९", "seven digits"),
    ],
)
def test_other_texts_are_not_imo_numbers(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        normalise_imo(text)


def is_imo(text: str) -> bool:
    try:
        normalise_imo(text)
    except ValueError:
        return False
    return True


@given(st.integers(100_000, 999_999))
def test_exactly_one_last_digit_makes_an_imo_number(stem: int) -> None:
    candidates = [f"{stem}{last}" for last in range(10)]
    accepted = [text for text in candidates if is_imo(text)]
    assert len(accepted) == 1 or any(is_placeholder(text) for text in candidates)


@pytest.mark.parametrize(
    "text",
    ["244660000", " 244660000 ", "244 660 000", "MMSI 244660000", "mmsi:\u00a0244\u00a0660000"],
)
def test_the_mmsi_of_a_ship_is_reduced_to_its_digits(text: str) -> None:
    assert normalise_mmsi(text) == "244660000"


@pytest.mark.parametrize(
    "text", ["999999999", "000000000", "123456789", "24466000", "2446600000", "012345678", "x" * 9]
)
def test_other_numbers_are_not_the_mmsi_of_a_ship(text: str) -> None:
    with pytest.raises(ValueError, match="MMSI"):
        normalise_mmsi(text)


@pytest.mark.parametrize(
    "text",
    [
        *("-", "0", "N/A", "unknown", " ? ", "999999999", "XXXX", "----", "", "Unnamed", "000"),
        *("-1", "0.0", "NONAME", "Unknown Vessel", "[object Object]"),
    ],
)
def test_placeholders_are_rejected(text: str) -> None:
    assert is_placeholder(text)
    with pytest.raises(ValueError, match="placeholder"):
        normalise_text(text)


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [("  EVER   GIVEN ", "EVER GIVEN"), ("A1", "A1"), ("AA", "AA"), ("大海", "大海")],
)
def test_white_space_is_trimmed_and_collapsed(text: str, trimmed: str) -> None:
    assert normalise_text(text) == trimmed


def test_control_characters_are_rejected() -> None:
    with pytest.raises(ValueError, match="control"):
        normalise_text("EVER\x00GIVEN")


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "NaN",
        "<NA>",
        "NaT",
        "#N/A",
        "none",
        "(null)",
        "unknown",
        " - ",
        "\u2013",
        "#REF!",
        "N.A.",
        "'none'",
        '"None"',
        "none.",
        "\uff2e\uff21",
    ],
)
def test_what_tables_write_for_nothing_is_a_placeholder(text: str) -> None:
    assert is_placeholder(text)
    assert means_unknown(text)
    for normalise in (normalise_text, normalise_fact):
        with pytest.raises(ValueError, match="placeholder"):
            normalise(text)


@pytest.mark.parametrize("text", ["111", "test", "0", "1234567", "S-1"])
def test_a_fact_may_be_any_number_or_word_that_says_something(text: str) -> None:
    assert normalise_fact(f" {text} ") == text


@pytest.mark.parametrize("text", ["n/a", "?", "test", "none of the cranes is there"])
def test_a_note_may_say_anything(text: str) -> None:
    assert normalise_note(f" {text} ") == text


@pytest.mark.parametrize("text", ["", " \t "])
def test_an_empty_note_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        normalise_note(text)


@pytest.mark.parametrize("text", ["NATALIE", "UNKNOWN STAR", "NO NAME II", "INFINITY", "#1", "Ana"])
def test_names_that_only_resemble_them_are_taken(text: str) -> None:
    assert normalise_text(text) == text


def test_texts_are_composed_and_their_blanks_collapsed() -> None:
    assert normalise_text(" Re\u0301my\u00a0\t II ") == "R\u00e9my II"


@pytest.mark.parametrize("text", ["a\x00b", "a\ufffdb", "c\ud800d", "a\u202eb"])
def test_texts_that_are_no_text_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be seen|UTF-8"):
        normalise_text(text)
