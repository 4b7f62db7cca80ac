"""The use cases with fakes for their stores."""

import pytest

from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import UseCases, build_use_cases


@pytest.fixture
def use_cases() -> UseCases:
    return build_use_cases(FakeGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore())
