"""Roles, and the principal that a request is made by."""

from dataclasses import dataclass

from service.contract.choice import Choice


class Role(Choice):
    """What a key allows; each role includes the roles listed before it."""

    READER = "reader"
    """Match, verify, and read."""

    CURATOR = "curator"
    """Change the gallery."""

    ADMIN = "admin"
    """Administer keys and bundles."""

    def covers(self, needed: "Role") -> bool:
        """Return whether this role includes `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of the key that a request carries.

    Attributes:
        name: as given when the key was made.
        key_id: the public part of the key; None when no key is required.
    """

    name: str
    role: Role
    key_id: str | None


ANONYMOUS = Principal("anybody", Role.ADMIN, None)
"""The principal of every request while no key has been made."""
