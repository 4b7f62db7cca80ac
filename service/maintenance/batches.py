"""Work through many items in batches, and report progress."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[int], None]
"""Receives the number of items that were done since the last call."""


def ignore_progress(count: int) -> None:
    """Ignore the progress: the default `Progress`."""


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` items."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
