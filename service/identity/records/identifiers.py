"""Checks of IMO and MMSI numbers and of texts; values that mean "unknown"."""

import re
import unicodedata
from collections.abc import Callable

WORDS_FOR_UNKNOWN = frozenset(
    {
        *("na", "nil", "none", "null", "unknown", "not known", "not available", "undefined"),
        *("n/a", "n.a.", "n.a", "nan", "-nan", "nat", "tbd", "tba", "unspecified", "not specified"),
        *("undetermined", "missing", "no data"),
        *("#n/a", "#n/a n/a", "#na", "#null!", "#value!", "#ref!", "#name?", "#num!", "#div/0!"),
    }
)
"""What people and programs write where they know nothing."""

FILLERS = frozenset(
    {
        *("0", "0.0", "-1", "-1.0", "1234567", "123456789", "xxx", "xxxx", "test"),
        *("unnamed", "no name", "noname", "unknown vessel", "unknown ship", "object object"),
    }
)
"""What is entered as a name or number because a form insists on one."""


def means_unknown(text: str) -> bool:
    """Return whether a text says nothing: a word for "unknown", also in brackets or quotes.

    A text without any letter or digit, such as `-`, says nothing either.
    """
    bare = unicodedata.normalize("NFKC", normalise_line(text)).casefold()
    if bare in WORDS_FOR_UNKNOWN or bare.strip("<>()[]{}\"'`.,;:!? ") in WORDS_FOR_UNKNOWN:
        return True
    return not re.sub(r"[\W_]+", "", bare)


def is_placeholder(text: str) -> bool:
    """Return whether a text stands for a name or number that is not known.

    That is one that `means_unknown`, a filler such as `test`, or one character repeated.
    """
    bare = normalise_line(text).casefold()
    compact = re.sub(r"[\W_]+", "", bare)
    return (
        means_unknown(text)
        or bare.strip("<>()[]{}") in FILLERS
        or (len(compact) >= 3 and len(set(compact)) == 1)
    )


def normalise_imo(text: str) -> str:
    """Check an IMO number and reduce it to its seven digits.

    The last digit equals the last digit of the sum of the first six weighted 7 to 2
    (IMO resolution A.1117(30)).

    Raises:
        ValueError: not seven digits, a placeholder, or the check digit is wrong.
    """
    digits = _digits("IMO", text)
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
    """Check the shape of a ship's MMSI, nine digits from 2 to 7 on (ITU-R M.585), and return it.

    Raises:
        ValueError: not nine digits, a placeholder, or not a ship's number.
    """
    digits = _digits("MMSI", text)
    if not re.fullmatch(r"[0-9]{9}", digits):
        raise ValueError(f"an MMSI has nine digits, e.g. 244660000; got {text!r}")
    if is_placeholder(digits):
        raise ValueError(f"{text!r} is a placeholder, not an MMSI; leave the field out")
    if digits[0] not in "234567":
        raise ValueError(f"a ship's MMSI begins with 2 to 7 (its country code); got {text!r}")
    return digits


def _digits(name: str, text: str) -> str:
    """Take off the name of a number, such as `MMSI:`, the blanks in it, and decimals of zero.

    Tables with an empty cell write whole numbers as `9074729.0`.
    """
    return re.sub(rf"^\s*({name})?[\s:#]*|\s+|\.0+\s*$", "", text, flags=re.IGNORECASE)


def normalise_line(text: str) -> str:
    """Trim a text, collapse inner white space, and compose its characters (Unicode NFC).

    Raises:
        ValueError: not printable, or made of invalid bytes.
    """
    trimmed = unicodedata.normalize("NFC", " ".join(text.split()))
    if unseen := next((c for c in trimmed if not c.isprintable()), None):
        name = unicodedata.name(unseen, "a control character")
        raise ValueError(f"holds U+{ord(unseen):04X} ({name}), which cannot be seen; remove it")
    if "\ufffd" in trimmed:  # what the framework makes of invalid bytes in a query string
        raise ValueError("the text is not valid UTF-8")
    return trimmed


def normalise_text(text: str) -> str:
    """Normalise a name, callsign, flag or type, see `normalise_line`.

    Raises:
        ValueError: a placeholder, or not printable.
    """
    return _without(is_placeholder, text)


def normalise_fact(text: str) -> str:
    """Normalise a sensor, source, licence or case, see `normalise_line`; it may be any number.

    Raises:
        ValueError: a text that means "unknown", or not printable.
    """
    return _without(means_unknown, text)


def normalise_note(text: str) -> str:
    """Normalise a remark, see `normalise_line`; it may say anything.

    Raises:
        ValueError: empty, or not printable.
    """
    trimmed = normalise_line(text)
    if not trimmed:
        raise ValueError("the text is empty; leave the field out")
    return trimmed


def _without(refused: Callable[[str], bool], text: str) -> str:
    trimmed = normalise_line(text)
    if refused(trimmed):
        raise ValueError(f"{text!r} is a placeholder; leave the field out when it is unknown")
    return trimmed
