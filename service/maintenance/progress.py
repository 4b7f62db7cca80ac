"""Report how far the work on a gallery is."""

from collections.abc import Callable

Progress = Callable[[int], None]
"""Receives the number of items that were done since the last call."""


def ignore_progress(count: int) -> None:
    """Ignore the progress: the default `Progress`."""
