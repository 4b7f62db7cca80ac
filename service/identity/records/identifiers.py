"""Checks of IMO and MMSI numbers and of texts; values that mean "unknown"."""

import re
import unicodedata

PLACEHOLDERS = frozenset(
    {
        *("", "-", "--", "---", ".", "?", "0", "n/a", "na", "nil", "none", "null", "unknown"),
        *("unnamed", "no name", "not available", "undefined", "tbd", "tba", "xxx", "xxxx", "test"),
        *("nan", "-nan", "nat", "n.a.", "n.a", "not known", "unspecified", "not specified"),
        *("undetermined", "missing", "no data", "1234567", "123456789"),
        *("#n/a", "#n/a n/a", "#na", "#null!", "#value!", "#ref!", "#name?", "#num!", "#div/0!"),
    }
)


def is_placeholder(text: str) -> bool:
    """Return whether a text means "unknown".

    That is a listed word, also in brackets such as `<NA>`, or one character repeated.
    """
    bare = normalise_line(text).casefold()
    if bare in PLACEHOLDERS or bare.strip("<>()[]{}") in PLACEHOLDERS:
        return True
    compact = re.sub(r"[\W_]+", "", bare)
    return not compact or (len(compact) >= 3 and len(set(compact)) == 1)


def normalise_imo(text: str) -> str:
    """Check an IMO number and reduce it to its seven digits.

    The last digit equals the last digit of the sum of the first six weighted 7 to 2
    (IMO resolution A.1117(30)).

    Raises:
        ValueError: not seven digits, a placeholder, or the check digit is wrong.
    """
    digits = re.sub(r"^\s*(IMO)?[\s:#]*", "", text, flags=re.IGNORECASE).strip()
    if not re.fullmatch(r"[0-9]{7}", digits):
        raise ValueError(f"an IMO number has seven digits, e.g. 9074729; got {text!r}")
    if is_placeholder(digits):
        raise ValueError(f"{text!r} is a placeholder, not an IMO number; leave the field out")
    expected = sum(int(d) * w for d, w in zip(digits[:6], range(7, 1, -1), strict=True)) % 10
    if int(digits[6]) != expected:
        raise ValueError(
            f"{text!r} is not an IMO number: its check digit should be {expected}, not {digits[6]}"
        )
    return digits


def normalise_mmsi(text: str) -> str:
    """Check the shape of a ship's MMSI: nine digits that begin with 2 to 7 (ITU-R M.585).

    Raises:
        ValueError: not nine digits, a placeholder, or not a ship's number.
    """
    digits = text.strip()
    if not re.fullmatch(r"[0-9]{9}", digits):
        raise ValueError(f"an MMSI has nine digits, e.g. 244660000; got {text!r}")
    if is_placeholder(digits):
        raise ValueError(f"{text!r} is a placeholder, not an MMSI; leave the field out")
    if digits[0] not in "234567":
        raise ValueError(f"a ship's MMSI begins with 2 to 7 (its country code); got {text!r}")
    return digits


def normalise_line(text: str) -> str:
    """Trim a text, collapse inner white space, and compose its characters (Unicode NFC).

    Raises:
        ValueError: not printable, or made of invalid bytes.
    """
    trimmed = unicodedata.normalize("NFC", " ".join(text.split()))
    if not trimmed.isprintable():
        raise ValueError("control characters are not allowed")
    if "\ufffd" in trimmed:  # what the framework makes of invalid bytes in a query string
        raise ValueError("the text is not valid UTF-8")
    return trimmed


def normalise_text(text: str) -> str:
    """Normalise a name, callsign, flag, type or note, see `normalise_line`.

    Raises:
        ValueError: a placeholder, or not printable.
    """
    trimmed = normalise_line(text)
    if is_placeholder(trimmed):
        raise ValueError(f"{text!r} is a placeholder; leave the field out when it is unknown")
    return trimmed
