"""How an audit chain is laid out: sealed lines, the head beside them, and reading them back.

A chain is a folder `<root>/<replica>/` of segments `<first sequence number>.jsonl`. Each line is
one entry as canonical JSON; `seq` counts from 1, `prev` is the hash of the entry before, and `hash`
is the SHA-256 of the entry without it. Nothing inside the lines tells how many there ought to be:
`head.json` keeps number and hash of the last one, so that cutting off the end shows.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD_NAME = "head.json"
HEAD_BYTES = 128
LOCK_NAME = "chain.lock"
SEGMENT = re.compile(r"\d{20}\.jsonl")
SEALED = ("seq", "prev", "hash")

Document = dict[str, Any]


class BrokenLinkError(ValueError):
    """A line is not the next entry of its chain; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain: its sequence number, and its SHA-256 in hexadecimal."""

    seq: int
    hash: str


BEGINNING = Head(0, "0" * 64)


def seal(document: Mapping[str, object], head: Head) -> tuple[bytes, Head]:
    """The line that continues the chain after `head`, and the new head.

    Raises:
        ValueError: the document cannot be JSON, or uses a name of the chain's own.
    """
    if taken := [name for name in SEALED if name in document]:
        raise ValueError(f"an audit entry must not use the names {taken}")
    body = {**document, "seq": head.seq + 1, "prev": head.hash}
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return canonical({**body, "hash": digest}) + b"\n", Head(head.seq + 1, digest)


def parse(line: bytes) -> tuple[Document, Head]:
    """A complete line as a document and the head that it makes; its own hash holds.

    Raises:
        BrokenLinkError: it is not an entry, or was changed.
    """
    try:
        document = json.loads(line)
        head = Head(int(document["seq"]), str(document["hash"]))
        body = {name: value for name, value in document.items() if name != "hash"}
        whole = canonical(document) + b"\n" == line
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenLinkError("the line is not an audit entry") from error
    if not whole or hashlib.sha256(canonical(body)).hexdigest() != head.hash:
        raise BrokenLinkError(f"entry {head.seq} was edited: its hash does not hold")
    return document, head


def follow(document: Document, found: Head, before: Head) -> None:
    """Check that an entry comes right after another.

    Raises:
        BrokenLinkError: entries were removed, added or reordered between them.
    """
    if found.seq != before.seq + 1:
        raise BrokenLinkError(
            f"entry {before.seq + 1} was expected, and here is {found.seq}: entries were removed, "
            "added or reordered"
        )
    if document["prev"] != before.hash:
        raise BrokenLinkError(
            f"entry {found.seq} does not continue entry {before.seq}: one of them was replaced"
        )


def canonical(document: Mapping[str, object]) -> bytes:
    """The one JSON text of a document: sorted names, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def head_record(head: Head) -> bytes:
    """The content of the head file; its size never changes, so that it is overwritten at once."""
    return canonical({"seq": head.seq, "hash": head.hash}).ljust(HEAD_BYTES - 1) + b"\n"


def read_head(folder: Path) -> Head | None:
    """The head that the chain in `folder` claims; None where there is none.

    Raises:
        BrokenLinkError: the head file is damaged.
    """
    try:
        document = json.loads((folder / HEAD_NAME).read_bytes())
        return Head(int(document["seq"]), str(document["hash"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenLinkError("the head file is damaged") from error


def segments(folder: Path) -> list[Path]:
    """The chain's segments, oldest first."""
    return sorted(path for path in folder.iterdir() if SEGMENT.fullmatch(path.name))


def segment_name(first_seq: int) -> str:
    return f"{first_seq:020d}.jsonl"


def chains(root: Path) -> list[Path]:
    """The folders of all chains under `root`, by name; none where there is no audit yet."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir())


def lines(segment: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and lines; the last may lack its end where a write was interrupted."""
    with segment.open("rb") as file:
        yield from enumerate(file, start=1)
