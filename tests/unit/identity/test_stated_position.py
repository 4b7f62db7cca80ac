"""A stated position is compared with the one in the file, and has to be one."""

import pytest
from affine import Affine
from pydantic import ValidationError

from service.contract.chip import Modality
from service.identity.records.sightings import Sighting
from service.identity.uploads import ChipMetadata, ChipUpload
from tests.support.inputs.chip_files import sar_plane, tiff_bytes
from tests.support.use_cases import fake_upload_embedder

SINGAPORE = tiff_bytes(
    sar_plane(), transform=Affine(1, 0, 370_000, 0, -1, 140_000), crs="EPSG:32648"
)


def sighting(lat: float | None, lon: float | None) -> Sighting:
    embedder = fake_upload_embedder()
    metadata = ChipMetadata(modality=Modality.SAR, gsd_m=1.0, lat=lat, lon=lon)
    return embedder.sighting(embedder.embed(ChipUpload(SINGAPORE, metadata)), None).sighting


def test_a_position_far_from_that_of_the_file_is_used_with_a_warning() -> None:
    read = sighting(None, None).position
    assert read is not None
    swapped = sighting(-76.0, read.lat)
    assert swapped.position is not None
    assert swapped.position.lat == -76.0
    assert any("although the GeoTIFF says lat 1.26" in warning for warning in swapped.warnings)


def test_a_position_near_that_of_the_file_needs_no_warning() -> None:
    read = sighting(None, None).position
    assert read is not None
    near = sighting(read.lat + 0.05, read.lon)
    assert not any("GeoTIFF says" in warning for warning in near.warnings)


def test_a_position_at_0_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="where the position is unknown"):
        ChipMetadata(lat=0.0, lon=-0.0)
    assert ChipMetadata(lat=0.0, lon=103.9).position is not None
