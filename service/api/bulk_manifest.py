"""Parse the manifest of `POST /gallery/bulk`: one line of JSON for each chip."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import UploadFile

from service.api.uploads import file_name, json_value, parse_id, plain_name
from service.api.validation_messages import validated
from service.identity.bulk import BulkChip
from service.identity.enrol import NewVessel
from service.identity.errors import InvalidRequestError
from service.identity.uploads import ChipMetadata, ChipUpload

CHIP, VESSEL, VESSEL_ID = "chip", "vessel", "vessel_id"
MOST_CHIPS = 500
"""Chips of one request; the largest body bounds their bytes."""


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """A line of the manifest with its chip.

    Attributes:
        number: of the line, from 1 on.
        name: of the chip's file.
        fields: what else the line says.
    """

    number: int
    name: str
    fields: dict[str, Any]
    file: UploadFile

    def chip(self) -> BulkChip:
        """Return the chip to enrol.

        Raises:
            InvalidRequestError: a field is wrong; the message names it.
        """
        facts = {name: self.fields[name] for name in self.fields.keys() - {VESSEL, VESSEL_ID}}
        if len(self.fields) - len(facts) != 1:
            raise InvalidRequestError(
                f"name the vessel of the chip once: by {VESSEL}, an object as for POST /gallery, "
                f"or by {VESSEL_ID}, the id of a registered vessel"
            )
        vessel = (
            validated(NewVessel, self.fields[VESSEL], VESSEL)
            if VESSEL in self.fields
            else parse_id("vessel", str(self.fields[VESSEL_ID]))
        )
        metadata = validated(ChipMetadata, facts)
        return BulkChip(self.number, vessel, ChipUpload(self.file.file.read(), metadata, self.name))


def parse_manifest(text: str, files: Sequence[UploadFile]) -> list[ManifestLine]:
    """Read the manifest, and find the file of each line by its name.

    Args:
        text: lines of JSON objects; empty lines are left out.
        files: the chips, in any order.

    Raises:
        InvalidRequestError: too many chips; a line is no JSON object with a `chip`; two files, or
            two lines, have one name; or a line has no file, or a file no line.
    """
    if len(files) > MOST_CHIPS:
        raise InvalidRequestError(
            f"{len(files)} chips were sent; send at most {MOST_CHIPS} in one request"
        )
    named = [(file_name(file) or "", file) for file in files]
    _require_unique("files", [name for name, _ in named])
    objects = list(_objects(text))
    _require_unique("lines of the manifest", [name for _, name, _ in objects])
    by_name = dict(named)
    if unknown := [one for one in objects if one[1] not in by_name]:
        number, name, _ = unknown[0]
        raise InvalidRequestError(f"manifest, line {number}: no file is named {name[:80]!r}")
    if left := by_name.keys() - {name for _, name, _ in objects}:
        raise InvalidRequestError(f"the manifest has no line for the file {min(left)[:80]!r}")
    return [ManifestLine(number, name, said, by_name[name]) for number, name, said in objects]


def _objects(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield the number of each line, the name of its chip, and what else it says."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        where = f"manifest, line {number}"
        said = json_value(where, line)
        if not isinstance(said, dict) or not isinstance(said.get(CHIP), str):
            raise InvalidRequestError(
                f'{where}: expected a JSON object with the file name of a chip, e.g. {{"{CHIP}": '
                f'"0001_RGB.tif", "{VESSEL}": {{"name": "EXAMPLE STAR"}}}}'
            )
        yield number, plain_name(said.pop(CHIP))[-255:], said


def _require_unique(what: str, names: Sequence[str]) -> None:
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise InvalidRequestError(
            f"two {what} have the name {twice[0][:80]!r}; give each chip a name of its own"
        )
