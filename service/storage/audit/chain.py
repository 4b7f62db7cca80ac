"""The files of an audit chain: hash-chained entries in segments, and the head beside them.

A chain is a folder `<root>/<replica>/` of segments `<first sequence number>.jsonl`. Each line is
one entry as canonical JSON: `seq` counts from 1, `prev` is the hash of the previous entry, and
`hash` is the SHA-256 of the entry without `hash`. The lines alone do not show how many there should
be: `head.json` holds number and hash of the last entry, so that a removed end is detected.
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
CHAIN_FIELDS = ("seq", "prev", "hash")
OPENING = "open-log"
"""The action of the entry that a replica appends when it opens its chain."""

Document = dict[str, Any]


class BrokenLinkError(ValueError):
    """A line is not the next entry of its chain; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain: its sequence number, and its SHA-256 in hexadecimal."""

    seq: int
    hash: str


EMPTY = Head(0, "0" * 64)


def seal(document: Mapping[str, object], head: Head) -> tuple[bytes, Head]:
    """Return the line that continues the chain after `head`, and the new head.

    Raises:
        ValueError: the document cannot be written as JSON, or has a field named like the chain's.
    """
    if reserved := [name for name in CHAIN_FIELDS if name in document]:
        raise ValueError(f"an audit entry must not use the names {reserved}")
    body = {**document, "seq": head.seq + 1, "prev": head.hash}
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return canonical({**body, "hash": digest}) + b"\n", Head(head.seq + 1, digest)


def parse(line: bytes) -> tuple[Document, Head]:
    """Parse a complete line and verify its own hash; return the document and its head.

    Raises:
        BrokenLinkError: the line is not an entry, or was edited.
    """
    try:
        document = json.loads(line)
        head = Head(int(document["seq"]), str(document["hash"]))
        body = {name: value for name, value in document.items() if name != "hash"}
        unchanged = canonical(document) + b"\n" == line
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenLinkError("the line is not an audit entry") from error
    if not unchanged or hashlib.sha256(canonical(body)).hexdigest() != head.hash:
        raise BrokenLinkError(f"entry {head.seq} was edited: its hash does not hold")
    return document, head


def check_link(document: Document, head: Head, previous: Head) -> None:
    """Check that an entry directly follows the previous entry.

    Raises:
        BrokenLinkError: entries were removed, added or reordered between them.
    """
    if head.seq != previous.seq + 1:
        raise BrokenLinkError(
            f"entry {previous.seq + 1} was expected, but entry {head.seq} was found: entries were "
            "removed, added or reordered"
        )
    if document["prev"] != previous.hash:
        raise BrokenLinkError(
            f"entry {head.seq} does not continue entry {previous.seq}: one of them was replaced"
        )


def canonical(document: Mapping[str, object]) -> bytes:
    """Return the canonical JSON of a document: sorted names, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def head_record(head: Head) -> bytes:
    """Return the content of the head file; its size is constant, so one write replaces it."""
    return canonical({"seq": head.seq, "hash": head.hash}).ljust(HEAD_BYTES - 1) + b"\n"


def read_head(folder: Path) -> Head | None:
    """Return the head that the head file of a chain records; None without a head file.

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
    """List the segments of a chain, oldest first."""
    return sorted(path for path in folder.iterdir() if SEGMENT.fullmatch(path.name))


def segment_name(first_seq: int) -> str:
    """Return the name of the segment that begins with this entry."""
    return f"{first_seq:020d}.jsonl"


def chains(root: Path) -> list[Path]:
    """List the folders of all chains under `root` by name; none if `root` does not exist."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir())


def lines(segment: Path) -> Iterator[tuple[int, bytes]]:
    """Yield line numbers from 1 and lines; an interrupted write leaves the last incomplete."""
    with segment.open("rb") as file:
        yield from enumerate(file, start=1)
