"""Reading all audit chains: has somebody changed them, and what do they say?

Found are entries that were edited, removed, added or reordered, an end that was cut off, missing
segments, and a chain that is gone or was set back although another chain, or a list of heads kept
elsewhere, bears witness to it. Whoever can write every file here could forge all of them together;
heads kept in another place (`AuditReport.heads`) show that too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.identity.errors import StoreUnavailableError
from service.storage.audit.chain import (
    BEGINNING,
    BrokenLinkError,
    Document,
    Head,
    chains,
    follow,
    lines,
    parse,
    read_head,
    segments,
)

OPENING = "open-log"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written, and where: chain, file and line (from 1)."""

    replica: str
    file: str
    line: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `verify` found.

    Attributes:
        entries: how many entries each chain holds.
        heads: the last entry of each chain; keep them elsewhere and pass them to a later check.
        findings: every sign of tampering; empty when all is well.
    """

    entries: dict[str, int]
    heads: dict[str, Head]
    findings: list[Finding]


@dataclass(slots=True)
class _Chain:
    """One chain as far as it was read."""

    name: str
    head: Head | None = BEGINNING
    entries: int = 0
    hashes: dict[int, bytes] = field(default_factory=dict)
    witnessed: list[tuple[str, int, str, Head]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def verify_audit(root: Path, known_heads: Mapping[str, Head] | None = None) -> AuditReport:
    """Check every chain under `root`; a service may be writing meanwhile.

    Args:
        root: the folder of all chains.
        known_heads: heads of an earlier check that must still be in their chains.

    Raises:
        StoreUnavailableError: a file cannot be read.
    """
    try:
        read = {folder.name: _read_chain(folder) for folder in chains(root)}
    except OSError as error:
        raise StoreUnavailableError(f"the audit log in {root} cannot be read: {error}") from error
    findings = [finding for chain in read.values() for finding in chain.findings]
    for chain in read.values():
        for file, line, replica, head in chain.witnessed:
            if problem := _contradiction(read.get(replica), head):
                said = f"{problem}, as line {line} of {chain.name}/{file} bears witness"
                findings.append(Finding(replica, "", None, said))
    for replica, head in (known_heads or {}).items():
        if problem := _contradiction(read.get(replica), head):
            findings.append(Finding(replica, "", None, f"{problem}, as an earlier check saw it"))
    return AuditReport(
        entries={name: chain.entries for name, chain in read.items()},
        heads={name: chain.head for name, chain in read.items() if chain.head},
        findings=findings,
    )


def read_entries(root: Path) -> Iterator[tuple[str, Document]]:
    """Replica and entry of every chain, in the order of each chain; broken lines are left out."""
    for folder in chains(root):
        for segment in segments(folder):
            for _, line in lines(segment):
                try:
                    yield folder.name, parse(line)[0]
                except BrokenLinkError:
                    continue


def _read_chain(folder: Path) -> _Chain:
    """Read one chain to its end; after a broken line it goes on with what that line claims."""
    chain = _Chain(folder.name)
    claimed = _claimed_head(folder, chain)
    for segment in segments(folder):
        _read_segment(segment, chain, claimed)
    _check_end(chain, claimed)
    return chain


def _read_segment(segment: Path, chain: _Chain, claimed: Head | None) -> None:
    expected = int(segment.stem)
    if chain.head is not None and chain.head.seq + 1 != expected:
        problem = f"entries {chain.head.seq + 1} to {expected - 1} are missing before this segment"
        chain.findings.append(Finding(chain.name, segment.name, None, problem))
        chain.head = None
    for number, line in lines(segment):
        beyond = chain.head is not None and claimed is not None and chain.head.seq >= claimed.seq
        if beyond and not line.endswith(b"\n"):
            return  # being written, or torn by a crash: never acknowledged
        try:
            document, found = parse(line)
            if chain.head is not None:
                follow(document, found, chain.head)
        except BrokenLinkError as error:
            chain.findings.append(Finding(chain.name, segment.name, number, str(error)))
            chain.head = _as_claimed_by(line)
            continue
        chain.head = found
        chain.entries += 1
        chain.hashes[found.seq] = bytes.fromhex(found.hash)
        if document.get("action") == OPENING:
            chain.witnessed += [
                (segment.name, number, replica, Head(seq, digest))
                for replica, (seq, digest) in document["heads"].items()
            ]


def _as_claimed_by(line: bytes) -> Head | None:
    """The head that a broken line would make if it were believed; None when it says nothing."""
    try:
        return parse(line)[1]
    except BrokenLinkError:
        return None


def _claimed_head(folder: Path, chain: _Chain) -> Head | None:
    """Read before the entries, so that it is never ahead of them while a service writes."""
    try:
        head = read_head(folder)
    except BrokenLinkError as error:
        chain.findings.append(Finding(chain.name, "head.json", None, str(error)))
        return None
    if head is None and segments(folder):
        problem = "the head file is missing, so that nothing tells where the chain ends"
        chain.findings.append(Finding(chain.name, "head.json", None, problem))
    return head


def _check_end(chain: _Chain, claimed: Head | None) -> None:
    if claimed is None or claimed.seq == 0:
        return
    kept = chain.hashes.get(claimed.seq)
    last = max(chain.hashes, default=0)
    if kept is None and last < claimed.seq:
        problem = f"the end was cut off: entry {claimed.seq} was the last, and {last} is"
        chain.findings.append(Finding(chain.name, "head.json", None, problem))
    elif kept is not None and kept.hex() != claimed.hash:
        problem = f"entry {claimed.seq} is not the one that the head file names"
        chain.findings.append(Finding(chain.name, "head.json", None, problem))


def _contradiction(chain: _Chain | None, head: Head) -> str | None:
    """How a chain fails to hold an entry that it is known to have held."""
    if head.seq == 0:
        return None
    if chain is None:
        return f"the whole chain is gone; it had {head.seq} entries"
    kept = chain.hashes.get(head.seq)
    if kept is None:
        return f"entry {head.seq} is gone"
    if kept.hex() != head.hash:
        return f"entry {head.seq} was replaced"
    return None
