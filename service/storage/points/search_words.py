"""The words by whose beginnings vessels are found while an analyst types.

Each vessel has two fields beside its record: `words` holds the words of its name, its numbers and
its call sign, `starts` their first letters. One to three letters begin very many words, so they are
looked up in `starts` as a whole; longer ones as the beginning of one of `words`. Both fields follow
from the record and are not part of its digest.
"""

import re
import unicodedata
from uuid import UUID

WORDS, STARTS = "words", "starts"
SHORT = 3
"""The longest beginning that `starts` holds."""

ID_DIGITS = 8
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case and without accents, in their order."""
    decomposed = unicodedata.normalize("NFKD", text)
    return _WORD.findall("".join(s for s in decomposed if not unicodedata.combining(s)).casefold())


def search_fields(vessel_id: UUID, *texts: str | None) -> dict[str, list[str]]:
    """Return the two fields of a vessel; the beginning of its id is one of its words.

    Args:
        vessel_id: the vessel's id, so that each vessel has a word.
        texts: name, numbers and call sign; None where unknown.
    """
    known = [text for text in texts if text]
    words = {word for text in (*known, str(vessel_id)[:ID_DIGITS]) for word in words_of(text)}
    starts = {word[:length] for word in words for length in range(1, SHORT + 1)}
    return {WORDS: sorted(words), STARTS: sorted(starts)}
