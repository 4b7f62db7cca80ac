"""The limits that the pages name are those of the code."""

from datetime import timedelta

import pytest

from service.access.idempotency import CLAIM_LIFETIME_S
from service.access.keys import SECRET_BYTES
from service.contract.chip import DEFAULT_GSD_M, Modality
from service.contract.decoding.control_points import MAX_RESIDUAL_PIXELS
from service.contract.decoding.decode import MAX_SKEW_DEG
from service.contract.decoding.optical_rgb import STRETCH_PERCENTILE
from service.contract.decoding.raster import ChipLimits
from service.contract.decoding.sar_amplitude import DB_RANGE, DECIBEL_STEP
from service.contract.utc_time import MAX_CLIENT_SKEW
from service.identity.evidence.copies import COPY_SIMILARITY
from service.identity.leases import MAX_CLOCK_SKEW, lease_lifetime
from service.observability.otlp import CLOSING_TIMEOUT_S, MAX_QUEUED_SPANS
from service.server.run import CLOSING_S
from service.settings import S3_TRIES, Settings
from service.storage.audit.log import RESERVE_BYTES
from service.storage.local.disk_space import DEFAULT_MIN_FREE_BYTES
from service.storage.local.idempotency import MAX_BYTES
from service.storage.local.keys import CHECK_EVERY_S
from service.storage.local.outbox import MOST_BYTES, MOST_MATCHES
from service.storage.s3.bucket import PROBE_TIMEOUT_S
from service.storage.server.connection import KEPT_CONNECTIONS
from service.storage.server.counts import COUNTS_MAX_AGE_S, LARGE, LARGE_MAX_AGE_S
from service.storage.server.repeating import BUDGET_TIMEOUTS, QUICK_S
from service.wiring.background import RETENTION_INTERVAL_S
from service.wiring.stores import longest_step
from service.workers.decoder_pool import MEMORY_BYTES
from tests.support.paths import ROOT

SETTINGS, CHIP = Settings(), ChipLimits()
BUDGET_S = BUDGET_TIMEOUTS * SETTINGS.qdrant_timeout_s
WORDS = {1: "one", 2: "two", 3: "three", 5: "five", 7: "seven", 10: "ten"}
OPTICAL_M, SAR_M = DEFAULT_GSD_M[Modality.OPTICAL], DEFAULT_GSD_M[Modality.SAR]


def lease_minutes() -> int:
    step = longest_step(Settings(qdrant_url="http://qdrant:6333"))
    assert step is not None
    return int(lease_lifetime(step) / timedelta(minutes=1))


SAYINGS = {
    "chips": [
        f"sides under {CHIP.min_side_px} or over {CHIP.max_side_px} pixels",
        f"within {SETTINGS.decode_timeout_s:g} s (`CROSSFIX_DECODE_TIMEOUT_S`) and "
        f"{MEMORY_BYTES >> 20} MiB",
        f"values from {DB_RANGE[0]:g} to {DB_RANGE[1]:g} with",
        f"rounded to {DECIBEL_STEP:g} dB",
        f"{OPTICAL_M:g} m (optical) or {SAR_M:g} m (SAR) is assumed",
        f"0 to the {STRETCH_PERCENTILE:g}th percentile",
        f"miss a right angle by more than {MAX_SKEW_DEG:g} degrees",
        f"contradict each other by more than {MAX_RESIDUAL_PIXELS:g} pixels warn",
        f"more than {WORDS[MAX_CLIENT_SKEW.seconds // 60]} minutes in the future",
        f"a cosine of {COPY_SIMILARITY:g} or more",
    ],
    "access": [
        f"with {8 * SECRET_BYTES} random bits",
        "reads the new file within a second" if CHECK_EVERY_S == 1.0 else "?",
        f"up to {MAX_BYTES // 10**6} MB; the oldest are removed first",
        "used again after a minute" if CLAIM_LIFETIME_S == 60.0 else "?",
    ],
    "operations": [
        f"At most {MAX_QUEUED_SPANS} spans wait in memory",
        f"for up to {WORDS[int(CLOSING_TIMEOUT_S)]} seconds",
        f"up to {KEPT_CONNECTIONS} to each Qdrant address",
        f"tries {WORDS[S3_TRIES]} times at most",
        f"a timeout of {WORDS[int(PROBE_TIMEOUT_S)]} seconds at most",
        f"the process ends at most {CLOSING_S:g} s later",
        f"the lease expires after {WORDS[lease_minutes()]} minutes",
        "clocks that differ by less than a minute"
        if timedelta(minutes=1) == MAX_CLOCK_SKEW
        else "?",
        f"at most {MOST_MATCHES} matches or {MOST_BYTES >> 20} MiB",
        f"while less than {DEFAULT_MIN_FREE_BYTES >> 20} MiB are free",
        "beyond the limits every hour" if RETENTION_INTERVAL_S == 3600.0 else "?",
    ],
    "shared-gallery": [
        f"A request has {WORDS[int(BUDGET_S)]} seconds for this",
        f"no call has succeeded for {WORDS[int(BUDGET_S)]} seconds",
        "after an attempt of a second or more" if QUICK_S == 1.0 else "?",
        f"With fewer than {LARGE:,} sightings the changes",
        f"at most {WORDS[int(COUNTS_MAX_AGE_S)]} seconds old while there are requests",
        "one of up to a minute ago" if LARGE_MAX_AGE_S == 60.0 else "?",
    ],
    "upkeep": [
        f"reserves {RESERVE_BYTES >> 10} KiB",
        f"for `CROSSFIX_RESTORE_DAYS` ({SETTINGS.restore_days:g})",
    ],
}


@pytest.mark.parametrize("page", SAYINGS)
def test_a_page_names_the_limits_of_the_code(page: str) -> None:
    text = " ".join((ROOT / f"docs/{page}.md").read_text().split())
    assert [said for said in SAYINGS[page] if said not in text] == []
