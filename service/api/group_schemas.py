"""Bodies of `/sightings/open`: groups of open sightings that may show one ship."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.api.chip_schemas import ResponseBody, SightingOut
from service.api.schemas import Ids
from service.identity.enrol import NewVessel
from service.identity.matching.groups import MAX_TOGETHER, GroupPage, SightingGroup
from service.identity.records.match_records import AnsweringModel

PROBABILITY_HELP = (
    "probability, 0 to 1, that the sighting shows the ship of the group and not another ship that "
    "waits or none of them; calibrated as that of a match, for as many ships as sightings waited "
    "when it joined; null for a chip that was sent with the others as chips of one ship"
)


class GroupMemberOut(ResponseBody):
    """A sighting in a group, and its newest match."""

    match_id: UUID
    probability: float | None = Field(description=PROBABILITY_HELP)
    sighting: SightingOut


class GroupOut(ResponseBody):
    """Open sightings that may show one unknown ship, in order of recording."""

    group_id: UUID
    chips: int = Field(description="number of different chips, at least two")
    probability: float | None = Field(
        description="the lowest of the sightings' probabilities; null if all were sent as chips "
        "of one ship"
    )
    sightings: tuple[GroupMemberOut, ...]

    @classmethod
    def of(cls, group: SightingGroup) -> "GroupOut":
        """Build the response body of a group."""
        members = [
            GroupMemberOut(
                match_id=one.match_id,
                probability=one.place.probability,
                sighting=SightingOut.of(one.sighting),
            )
            for one in group.members
        ]
        return cls.made_of(group, group_id=group.id, sightings=members)


class GroupListing(ResponseBody):
    """One page of groups; pass `next_cursor` as `cursor` to get the next page."""

    groups: tuple[GroupOut, ...]
    total: int = Field(description="number of groups on all pages")
    threshold: float = Field(description="the probability from which a sighting joins a group")
    model: AnsweringModel
    next_cursor: str | None

    @classmethod
    def of(cls, page: GroupPage, threshold: float, model: AnsweringModel) -> "GroupListing":
        """Build the listing of a page."""
        groups = [GroupOut.of(group) for group in page.groups]
        return cls.made_of(page, groups=groups, threshold=threshold, model=model)


class EnrolSightingsIn(BaseModel):
    """The open sightings that become a vessel, and what is known of it."""

    model_config = ConfigDict(extra="forbid")

    sightings: Ids = Field(min_length=1, max_length=MAX_TOGETHER)
    vessel: NewVessel = NewVessel()


class DifferentSightingsIn(BaseModel):
    """Open sightings that show different ships."""

    model_config = ConfigDict(extra="forbid")

    sightings: Ids = Field(
        min_length=1,
        max_length=MAX_TOGETHER,
        description="each shows another ship than all others of the request",
    )
    others: Ids = Field(
        default=[],
        max_length=MAX_TOGETHER,
        description="sightings that may show one ship among themselves",
    )
    different: bool = Field(True, description="false withdraws an earlier request")
