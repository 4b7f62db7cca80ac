"""Read all audit chains and detect changes of their entries.

Detected are entries that were edited, removed, added or reordered, an end that was cut off, missing
segments, and a chain that was removed or restored to an earlier state although another chain, or a
list of heads kept elsewhere, shows that it held more. An attacker who can write every file here
could forge all chains together; heads kept in another place (`AuditReport.heads`) detect that, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.identity.errors import StoreUnavailableError
from service.storage.audit.chain import (
    EMPTY,
    OPENING,
    BrokenLinkError,
    Document,
    Head,
    chains,
    check_link,
    lines,
    parse,
    read_head,
    segments,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A sign of tampering, and where it is: chain, file and line (from 1)."""

    replica: str
    file: str
    line: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of `verify_audit`.

    Attributes:
        heads: the last entry of each chain; keep them elsewhere and pass them to a later check.
    """

    entries: dict[str, int]
    heads: dict[str, Head]
    findings: list[Finding]


@dataclass(slots=True)
class _Chain:
    """What was read of one chain.

    Attributes:
        head: the last entry; None after a line that says nothing.
        hashes: the SHA-256 of each entry by its number.
        witnessed: file, line, replica and head of entries of other chains that this one saw.
    """

    name: str
    head: Head | None = EMPTY
    entries: int = 0
    hashes: dict[int, bytes] = field(default_factory=dict)
    witnessed: list[tuple[str, int, str, Head]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def verify_audit(root: Path, known_heads: Mapping[str, Head] | None = None) -> AuditReport:
    """Check every chain under `root`; services may write at the same time.

    Args:
        root: the folder of all chains.
        known_heads: heads of an earlier check; their entries must still be in their chains.

    Raises:
        StoreUnavailableError: a file cannot be read.
    """
    try:
        by_name = {folder.name: _read_chain(folder) for folder in chains(root)}
    except OSError as error:
        raise StoreUnavailableError(f"the audit log in {root} cannot be read: {error}") from error
    findings = [finding for chain in by_name.values() for finding in chain.findings]
    for chain in by_name.values():
        for file, line, replica, head in chain.witnessed:
            if problem := _contradiction(by_name.get(replica), head):
                proof = f"as line {line} of {chain.name}/{file} shows"
                findings.append(Finding(replica, "", None, f"{problem}, {proof}"))
    for replica, head in (known_heads or {}).items():
        if problem := _contradiction(by_name.get(replica), head):
            findings.append(Finding(replica, "", None, f"{problem}, as an earlier check shows"))
    return AuditReport(
        entries={name: chain.entries for name, chain in by_name.items()},
        heads={name: chain.head for name, chain in by_name.items() if chain.head},
        findings=findings,
    )


def read_entries(root: Path) -> Iterator[tuple[str, Document]]:
    """Yield replica and entry, chain by chain in order; broken lines are left out."""
    for folder in chains(root):
        for segment in segments(folder):
            for _, line in lines(segment):
                try:
                    yield folder.name, parse(line)[0]
                except BrokenLinkError:
                    continue


def _read_chain(folder: Path) -> _Chain:
    """Read one chain to its end; after a broken line, go on from the head that the line claims."""
    chain = _Chain(folder.name)
    recorded = _recorded_head(folder, chain)
    for segment in segments(folder):
        _read_segment(segment, chain, recorded)
    _check_end(chain, recorded)
    return chain


def _read_segment(segment: Path, chain: _Chain, recorded: Head | None) -> None:
    expected = int(segment.stem)
    if chain.head is not None and chain.head.seq + 1 != expected:
        problem = f"entries {chain.head.seq + 1} to {expected - 1} are missing before this segment"
        chain.findings.append(Finding(chain.name, segment.name, None, problem))
        chain.head = None
    for number, line in lines(segment):
        beyond = chain.head is not None and recorded is not None and chain.head.seq >= recorded.seq
        if beyond and not line.endswith(b"\n"):
            return  # incomplete: still being written, or interrupted by a crash; never acknowledged
        try:
            document, head = parse(line)
            if chain.head is not None:
                check_link(document, head, chain.head)
        except BrokenLinkError as error:
            chain.findings.append(Finding(chain.name, segment.name, number, str(error)))
            chain.head = _head_claimed_by(line)
            continue
        chain.head = head
        chain.entries += 1
        chain.hashes[head.seq] = bytes.fromhex(head.hash)
        if document.get("action") == OPENING:
            chain.witnessed += [
                (segment.name, number, replica, Head(seq, digest))
                for replica, (seq, digest) in document["heads"].items()
            ]


def _head_claimed_by(line: bytes) -> Head | None:
    """Return the head of a line that does not continue its chain; None if its hash is wrong."""
    try:
        return parse(line)[1]
    except BrokenLinkError:
        return None


def _recorded_head(folder: Path, chain: _Chain) -> Head | None:
    """Read the head file before the entries, so that it is never ahead while a service writes."""
    try:
        head = read_head(folder)
    except BrokenLinkError as error:
        chain.findings.append(Finding(chain.name, "head.json", None, str(error)))
        return None
    if head is None and segments(folder):
        problem = "the head file is missing, so that nothing shows where the chain ends"
        chain.findings.append(Finding(chain.name, "head.json", None, problem))
    return head


def _check_end(chain: _Chain, recorded: Head | None) -> None:
    if recorded is None or recorded.seq == 0:
        return
    digest = chain.hashes.get(recorded.seq)
    last = max(chain.hashes, default=0)
    if digest is None and last < recorded.seq:
        problem = f"the end was cut off: entry {recorded.seq} was the last, now {last} is"
        chain.findings.append(Finding(chain.name, "head.json", None, problem))
    elif digest is not None and digest.hex() != recorded.hash:
        problem = f"entry {recorded.seq} is not the entry that the head file records"
        chain.findings.append(Finding(chain.name, "head.json", None, problem))


def _contradiction(chain: _Chain | None, head: Head) -> str | None:
    """Return how a chain differs from a head that it is known to have had; None if it does not."""
    if head.seq == 0:
        return None
    if chain is None:
        return f"the whole chain is missing; it had {head.seq} entries"
    digest = chain.hashes.get(head.seq)
    if digest is None:
        return f"entry {head.seq} is missing"
    if digest.hex() != head.hash:
        return f"entry {head.seq} was replaced"
    return None
