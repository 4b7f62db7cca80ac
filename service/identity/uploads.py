"""Turn an uploaded chip into a sighting: decode, frame, embed, describe."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from service.contract.chip import Chip, Modality
from service.contract.decoding.modality import sensor_warnings
from service.contract.embedding import EmbeddedChip
from service.contract.errors import ChipError
from service.contract.framing.apply import FramedChip
from service.contract.framing.half_turn import half_turn
from service.contract.framing.records import Framing, FramingMode
from service.contract.utc_time import Clock, StatedTime, time_span, time_warnings
from service.identity.errors import InvalidRequestError
from service.identity.evidence.kinematics import distance_nm
from service.identity.ports.cache import EmbeddingCache
from service.identity.ports.decoder import ChipDecoder
from service.identity.ports.embedder import ChipEmbedder
from service.identity.records.base import Fact, GeoPoint, Note, StatedFacts
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.stage_timing import Measure, ignore_timings, timed

OTHER_FACTS = ("modality", "gsd_m", "band", "sensor", "source", "licence", "case", "note")
POSITION_DISAGREEMENT_NM = 5.0
"""Azimuth shifts and old AIS positions are nearer than this; swapped coordinates are not."""
SIGHTING_NAMESPACE = UUID("6f0c9a52-8f0e-5d0c-9a0e-4d5f1c2b7a11")
HALF_TURN = ":half-turn"
"""The end of the cache key of a chip that is turned by 180 degrees."""


EmbedAll = Callable[[Sequence[Chip]], list[EmbeddedChip]]
"""See `ChipEmbedder.embed_all`."""


class QueryFacts(StatedFacts):
    """What a client may state about a query chip; missing values are read from the file."""

    modality: Modality | None = Field(None, description="required when the file does not tell")
    gsd_m: float | None = Field(None, description="metres per pixel", examples=[1.0])
    band: int | None = Field(None, ge=1, description="band of a multi-polarisation SAR chip")
    framing: FramingMode | None = Field(None, description="`auto` unless it is given")
    captured_at: StatedTime | None = Field(
        None,
        description="ISO 8601; a day without a time is taken as the whole day, UTC",
        examples=["2026-03-05T17:20:00Z"],
    )
    lat: float | None = Field(None, ge=-90, le=90, examples=[1.24])
    lon: float | None = Field(None, ge=-180, le=180, examples=[103.9])
    sensor: Fact | None = Field(None, max_length=200)
    case: Fact | None = Field(None, max_length=200, description="the case that the chip belongs to")
    note: Note | None = Field(None, description="a remark, kept with the match")


class ChipMetadata(QueryFacts):
    """What the client states about a chip; missing values are read from the file or assumed."""

    source: Fact | None = None
    licence: Fact | None = None

    @model_validator(mode="after")
    def _lat_and_lon_belong_together(self) -> "ChipMetadata":
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon belong together: give both or neither")
        if self.lat == 0 and self.lon == 0:
            raise ValueError(
                "lat 0, lon 0 is what programs write where the position is unknown; leave both out"
            )
        return self

    @property
    def position(self) -> GeoPoint | None:
        """The stated position, if there is one."""
        if self.lat is None or self.lon is None:
            return None
        return GeoPoint(lat=self.lat, lon=self.lon)


@dataclass(frozen=True)
class ChipUpload:
    """A chip as it was uploaded; `name` is the name of the file."""

    data: bytes
    metadata: ChipMetadata = field(default_factory=ChipMetadata)
    name: str | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def framing(self) -> FramingMode:
        """How the chip is to be framed."""
        return self.metadata.framing or FramingMode.AUTO

    def with_framing(self, framing: FramingMode | None) -> "ChipUpload":
        """Return the upload framed like this, unless its metadata says how."""
        if framing is None or self.metadata.framing is not None:
            return self
        return replace(self, metadata=self.metadata.model_copy(update={"framing": framing}))

    def sighting_id(self, vessel_id: UUID | None) -> UUID:
        """Derive the id from the content, so that a repeated request changes nothing in any bundle.

        The id of a query, which has no vessel, depends on the stated facts too: a question with
        other facts does not change the sighting of an earlier one.
        """
        facts = self.metadata.model_dump(mode="json", exclude_none=True)
        if self.framing is FramingMode.AUTO:
            facts.pop("framing", None)  # stated or not, it is the same
        if self.name is not None:
            facts["file_name"] = self.name
        stated = f"/{json.dumps(facts, sort_keys=True)}" if facts else ""
        return uuid5(
            SIGHTING_NAMESPACE,
            f"{self.digest}/open{stated}" if vessel_id is None else f"{self.digest}/{vessel_id}",
        )


class HalfTurns(Enum):
    """Which chips are embedded turned by 180 degrees, too.

    `OPEN`: those whose bow may be at either end, because framing has turned or cut them out.
    `FRAMED`: all that framing was asked for, tight ones among them.
    """

    NONE = "none"
    OPEN = "open"
    FRAMED = "framed"

    def include(self, framing: Framing) -> bool:
        """Return whether a chip that was framed so is embedded turned, too."""
        if self is HalfTurns.NONE:
            return False
        return framing.bow_is_open or (
            self is HalfTurns.FRAMED and framing.mode is FramingMode.AUTO
        )


@dataclass(frozen=True, slots=True)
class EmbeddedUpload:
    """A decoded, framed and embedded chip.

    Attributes:
        vector: float32 `[D]`, unit length.
        half_turned: embedding of the chip turned by 180 degrees; None unless it was asked for.
        timings_ms: milliseconds per stage in their order: `decode`, `frame`, `recall` (the look-up
            in the cache); if the cache missed also `wait`, the stages of embedding, and
            `remember`.
    """

    upload: ChipUpload
    chip: Chip
    framing: Framing
    vector: NDArray[np.float32]
    half_turned: NDArray[np.float32] | None
    timings_ms: dict[str, float]


class UploadEmbedder:
    """Decodes and embeds uploaded chips, and describes them as sightings."""

    def __init__(
        self,
        embedder: ChipEmbedder,
        cache: EmbeddingCache,
        decoder: ChipDecoder,
        now: Clock,
        measure: Measure = ignore_timings,
        count: Callable[[Framing], None] = lambda _: None,
    ) -> None:
        """`measure` receives the milliseconds of each upload's stages, `count` its framing."""
        self._embedder = embedder
        self._cache = cache
        self._decoder = decoder
        self._now = now
        self._measure = measure
        self._count = count

    @property
    def bundle_id(self) -> str:
        """The bundle whose models embed."""
        return self._embedder.bundle_id

    @property
    def embedder(self) -> ChipEmbedder:
        """The models."""
        return self._embedder

    def embed(
        self,
        upload: ChipUpload,
        half_turns: HalfTurns = HalfTurns.NONE,
        embed_all: EmbedAll | None = None,
    ) -> EmbeddedUpload:
        """Decode, frame and embed one chip.

        Args:
            embed_all: used instead of the method of the models.

        Raises:
            ChipError: the bytes cannot be used, or show no ship.
            OverloadedError: too many chips are waiting.
        """
        timings: dict[str, float] = {}
        with timed("decode", timings):
            framed = self._frame(upload)
        timings["decode"] -= framed.frame_ms
        timings["frame"] = framed.frame_ms
        chip, framing = framed.chip, framed.framing
        stated = upload.metadata.band, upload.framing
        key = self._cache_key(chip.digest, chip.modality, chip.gsd_m, *stated)
        ways = {key: chip}
        if half_turns.include(framing):
            ways[key + HALF_TURN] = replace(chip, pixels=half_turn(chip.pixels))
        with timed("recall", timings):
            found = {key: vector for key in ways if (vector := self._cache.get(key)) is not None}
        if missing := [key for key in ways if key not in found]:
            vectors = _embed(
                embed_all or self._embedder.embed_all, [ways[key] for key in missing], timings
            )
            with timed("remember", timings):
                for key, vector in zip(missing, vectors, strict=True):
                    self._cache.put(key, vector)
                    found[key] = vector
        self._measure(timings)
        straight, *turned_by_half = (found[key] for key in ways)
        back = turned_by_half[0] if turned_by_half else None
        return EmbeddedUpload(upload, chip, framing, straight, back, timings)

    def embed_half_turn(
        self, sighting: Sighting, read: Callable[[], bytes]
    ) -> NDArray[np.float32] | None:
        """Return the embedding of a stored chip's half turn; None if framing leaves it alone.

        Reads, decodes and embeds the chip only if the cache misses. Raises: see `embed`.
        """
        digest, stated = sighting.chip_sha256, (sighting.band, sighting.framing.mode)
        key = self._cache_key(digest, sighting.modality, sighting.gsd_m, *stated)
        turned = self._cache.get(key + HALF_TURN)
        if turned is not None:
            return turned
        return self.embed(stored_upload(sighting, read()), HalfTurns.FRAMED).half_turned

    def _frame(self, upload: ChipUpload) -> FramedChip:
        """Decode and frame a chip; raise ChipError, with the file's name, when that fails."""
        metadata = upload.metadata
        try:
            framed = self._decoder.frame(
                upload.data,
                upload.framing,
                modality=metadata.modality,
                gsd_m=metadata.gsd_m,
                band=metadata.band,
            )
        except ChipError as error:
            if upload.name is None:
                raise
            raise type(error)(f"{upload.name}: {error}") from error
        self._count(framed.framing)
        return framed

    def sighting(self, embedded: EmbeddedUpload, vessel_id: UUID | None) -> EmbeddedSighting:
        """Return the sighting of this chip."""
        chip, metadata = embedded.chip, embedded.upload.metadata
        stated = metadata.captured_at
        first, last = (None, None) if stated is None else time_span(stated)
        read = None
        if chip.position is not None:
            read = GeoPoint(lat=chip.position.lat, lon=chip.position.lon)
        position = metadata.position or read
        return EmbeddedSighting(
            Sighting(
                id=embedded.upload.sighting_id(vessel_id),
                vessel_id=vessel_id,
                modality=chip.modality,
                captured_at=first,
                captured_until=last if last != first else None,
                position=position,
                sensor=metadata.sensor,
                gsd_m=chip.gsd_m,
                gsd_source=chip.gsd_source,
                length_m=chip.length_m,
                width_m=chip.width_m,
                bit_depth=chip.bit_depth,
                framing=embedded.framing,
                band=metadata.band,
                source=metadata.source,
                licence=metadata.licence,
                file_name=embedded.upload.name,
                case=metadata.case,
                note=metadata.note,
                chip_sha256=chip.digest,
                bundle_id=self.bundle_id,
                recorded_at=self._now(),
                warnings=(
                    *chip.warnings,
                    *sensor_warnings(metadata.sensor, chip.modality),
                    *_position_warnings(metadata.position, read),
                    *time_warnings("captured_at", stated),
                ),
            ),
            embedded.vector,
        )

    def _cache_key(
        self, digest: str, modality: Modality, gsd_m: float, band: int | None, framing: FramingMode
    ) -> str:
        return f"{self.bundle_id}:{modality}:{gsd_m!r}:{band or 0}:{framing}:{digest}"


def _embed(
    embed_all: EmbedAll, chips: Sequence[Chip], timings: dict[str, float]
) -> list[NDArray[np.float32]]:
    """Embed, and separate the time in the queue (`wait`) from the time of computing."""
    total: dict[str, float] = {}
    with timed("embed", total):
        embedded = embed_all(chips)
    stages = embedded[0].timings_ms
    timings["wait"] = max(0.0, total["embed"] - sum(stages.values()))
    timings |= stages
    return [one.vector for one in embedded]


def _position_warnings(stated: GeoPoint | None, read: GeoPoint | None) -> tuple[str, ...]:
    """Return a warning if a stated position is far from where the file says that the chip lies."""
    if stated is None or read is None:
        return ()
    apart = distance_nm(stated, read)
    if apart <= POSITION_DISAGREEMENT_NM:
        return ()
    return (
        f"lat {stated.lat:g}, lon {stated.lon:g} was used although the GeoTIFF says lat "
        f"{read.lat:.4f}, lon {read.lon:.4f}, {apart:.0f} nautical miles away",
    )


def sum_of_timings(chips: Sequence[EmbeddedUpload]) -> dict[str, float]:
    """Return the milliseconds of each stage of several chips, in the order of the stages."""
    stages = dict.fromkeys(stage for chip in chips for stage in chip.timings_ms)
    return {stage: sum(chip.timings_ms.get(stage, 0.0) for chip in chips) for stage in stages}


def stored_upload(sighting: Sighting, data: bytes) -> ChipUpload:
    """Return the upload that decodes and frames a stored chip as it was done for its sighting."""
    metadata = ChipMetadata(
        modality=sighting.modality,
        gsd_m=sighting.gsd_m,
        band=sighting.band,
        framing=sighting.framing.mode,
    )
    return ChipUpload(data, metadata, sighting.file_name)


def facts_not_changed(upload: ChipUpload, sent: Sighting, kept: Sighting) -> tuple[str, ...]:
    """Return a warning that names the stated facts which the sighting of a known chip keeps.

    Args:
        upload: the chip, as it was sent again.
        sent: the sighting that it would make.
        kept: the sighting that it made before.
    """
    facts = {"captured_at", "captured_until"} if upload.metadata.captured_at else set[str]()
    facts |= {"position"} if upload.metadata.position else set()
    facts |= {n for n in OTHER_FACTS if getattr(upload.metadata, n) is not None}
    was, said = (one.model_dump(mode="json", include=facts) for one in (kept, sent))
    changed = [
        f"{name} stays {was[name]}, not {said[name]}" for name in was if was[name] != said[name]
    ]
    if upload.metadata.framing is not None and upload.framing is not kept.framing.mode:
        changed.append(f"framing stays {kept.framing.mode}, not {upload.framing}")
    if not changed:
        return ()
    name = upload.name or f"chip {upload.digest[:12]}"
    return (
        f"{name} is enrolled already and was not changed: {'; '.join(changed)}; to change it, "
        "delete the chip and add it again",
    )


def require_distinct_chips(uploads: Sequence[ChipUpload]) -> None:
    """Raise InvalidRequestError when there is no chip, or the same chip twice."""
    if not uploads:
        raise InvalidRequestError("at least one chip is needed")
    if len({upload.digest for upload in uploads}) < len(uploads):
        raise InvalidRequestError("the same chip was sent twice in one request")
