"""Open the decoder processes that the settings choose."""

import os

from service.settings import Settings
from service.workers.decoder_pool import DecoderPool, PoolLimits

MOST_WORKERS = 8
"""Enough to keep the models busy; each worker takes memory of its own."""


def open_decoders(settings: Settings) -> DecoderPool:
    """Start the pool; by default one process for each core that this process may use."""
    workers = settings.decode_workers or min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    return DecoderPool(PoolLimits(workers=workers, timeout_s=settings.decode_timeout_s))
