"""The base of all parts of a bundle's manifest."""

from pydantic import BaseModel, ConfigDict


class ManifestPart(BaseModel):
    """Base of the manifest's parts: immutable; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
