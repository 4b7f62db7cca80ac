"""The claim that one change holds on a name, such as an IMO number."""

from uuid import UUID

from service.contract.utc_time import UtcTime
from service.identity.records.base import Record


class NameClaim(Record):
    """A claim on a name on behalf of a vessel, made or renewed at `made_at`.

    `token` is random, so that two claims on behalf of the same vessel differ.
    """

    token: UUID
    vessel_id: UUID
    made_at: UtcTime
