"""The collections on a Qdrant server, their indexes, and the alias of the active bundle.

`<prefix>-vessels`, `<prefix>-claims` and `<prefix>-matches` have no vectors;
`<prefix>-sightings-<bundle>` holds the sightings of one bundle, and the alias `<prefix>-sightings`
names the bundle that is served. A sighting has the same id in every bundle.
"""

from dataclasses import dataclass

from qdrant_client import QdrantClient, models

from service.storage.points import match_payloads, payloads
from service.storage.points.search_words import STARTS, WORDS

DEFAULT_PREFIX = "crossfix"
KEYWORD = models.PayloadSchemaType.KEYWORD
ORPHANED = "orphaned"
"""Field of a sighting whose vessel was deleted."""
TOKEN = "token"
IndexSchema = (
    models.PayloadSchemaType
    | models.KeywordIndexParams
    | models.UuidIndexParams
    | models.FloatIndexParams
    | models.DatetimeIndexParams
)
VESSEL_INDEXES: dict[str, IndexSchema] = {
    payloads.STATE: KEYWORD,
    payloads.IMO: KEYWORD,
    payloads.MMSI: KEYWORD,
    payloads.TYPE: KEYWORD,
    WORDS: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True),
    STARTS: KEYWORD,
    payloads.FENCE: KEYWORD,
}
CLAIM_INDEXES = {TOKEN: KEYWORD}
MATCH_INDEXES: dict[str, IndexSchema] = {
    **dict.fromkeys(
        match_payloads.KEYWORDS,
        models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, on_disk=True),
    ),
    **dict.fromkeys(
        match_payloads.IDS, models.UuidIndexParams(type=models.UuidIndexType.UUID, on_disk=True)
    ),
    **dict.fromkeys(
        match_payloads.NUMBERS,
        models.FloatIndexParams(type=models.FloatIndexType.FLOAT, on_disk=True),
    ),
    match_payloads.ASKED_AT: models.DatetimeIndexParams(
        type=models.DatetimeIndexType.DATETIME, on_disk=True
    ),
}
"""On disk, because they grow with each stored match and are read when matches are listed alone."""

SIGHTING_INDEXES = {
    payloads.VESSEL_ID: KEYWORD,
    payloads.VESSEL_TYPE: KEYWORD,
    payloads.VESSEL_LENGTH_M: models.PayloadSchemaType.FLOAT,
    payloads.MODALITY: KEYWORD,
    payloads.CHIP: KEYWORD,
    payloads.UNCOMPARED: KEYWORD,
    payloads.GROUP: KEYWORD,
    ORPHANED: models.PayloadSchemaType.BOOL,
    payloads.TENTATIVE: models.PayloadSchemaType.BOOL,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of the collections, which all begin with one prefix."""

    prefix: str = DEFAULT_PREFIX

    @property
    def vessels(self) -> str:
        return f"{self.prefix}-vessels"

    @property
    def claims(self) -> str:
        return f"{self.prefix}-claims"

    @property
    def matches(self) -> str:
        return f"{self.prefix}-matches"

    @property
    def alias(self) -> str:
        return f"{self.prefix}-sightings"

    def sightings(self, bundle_id: str) -> str:
        return f"{self.alias}-{payloads.bundle_slug(bundle_id)}"

    def collections(self, client: QdrantClient) -> list[str]:
        """List the collections of this gallery that exist, by name."""
        names = sorted(one.name for one in client.get_collections().collections)
        own = (self.vessels, self.claims, self.matches)
        return [name for name in names if name in own or name.startswith(f"{self.alias}-")]

    def bundles(self, client: QdrantClient) -> list[str]:
        """List the bundles that have a collection, by name."""
        names = [one.name for one in client.get_collections().collections]
        start = f"{self.alias}-"
        return sorted(name.removeprefix(start) for name in names if name.startswith(start))

    def active(self, client: QdrantClient) -> str | None:
        """Return the bundle that the alias names; None before the gallery was first used."""
        for one in client.get_aliases().aliases:
            if one.alias_name == self.alias:
                return one.collection_name.removeprefix(f"{self.alias}-")
        return None

    def activate(self, client: QdrantClient, bundle_id: str, replace: bool = True) -> None:
        """Point the alias to this bundle's collection, in one step.

        Args:
            replace: False leaves an alias that exists as it is.
        """
        create = models.CreateAlias(
            collection_name=self.sightings(bundle_id), alias_name=self.alias
        )
        steps: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=create)]
        if self.active(client) is not None:
            if not replace:
                return
            delete = models.DeleteAlias(alias_name=self.alias)
            steps.insert(0, models.DeleteAliasOperation(delete_alias=delete))
        client.update_collection_aliases(steps)
