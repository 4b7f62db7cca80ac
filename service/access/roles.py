"""Roles, and the principal that a request is made by."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key allows; each role may do what those before it may."""

    READER = "reader"
    """Match, verify, and read."""

    CURATOR = "curator"
    """Change the gallery."""

    ADMIN = "admin"
    """Administer keys and bundles."""

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who asks.

    Attributes:
        name: as given when the key was made.
        role: what may be done.
        key_id: the public part of the key; None when no key had to be shown.
    """

    name: str
    role: Role
    key_id: str | None


ANYBODY = Principal("anybody", Role.ADMIN, None)
"""Who asks where no keys have been made."""
