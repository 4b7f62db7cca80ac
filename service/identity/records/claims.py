"""The claim that one change holds on a name, such as an IMO number."""

from uuid import UUID

from service.contract.utc_time import UtcTime
from service.identity.records.base import Record


class NameClaim(Record):
    """Somebody is about to give a name that only one vessel may have to this one.

    `token` is drawn anew each time, so that two claims for one vessel can be told apart.
    """

    token: UUID
    vessel_id: UUID
    made_at: UtcTime
