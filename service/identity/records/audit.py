"""The place of an entry in the audit log."""

from pydantic import Field

from service.identity.records.base import Record


class AuditPosition(Record):
    """Where an entry stands: its chain, its number in the chain (from 1), and its SHA-256."""

    chain: str
    number: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
