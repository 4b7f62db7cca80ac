"""The tiny bundle of `tests.support.training.tiny_bundle` as a fixture."""

import functools
from pathlib import Path

import pytest

from tests.support.training.tiny_bundle import MakeBundle, write_tiny_bundle


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    return functools.partial(write_tiny_bundle, tmp_path)
