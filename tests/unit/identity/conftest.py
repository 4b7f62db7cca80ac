"""A set of use cases around fakes."""

import pytest

from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import House, build_house


@pytest.fixture
def house() -> House:
    return build_house(FakeGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore())
