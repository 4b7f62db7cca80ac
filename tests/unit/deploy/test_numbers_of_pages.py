"""The limits that the pages name are those of the code."""

import math
from datetime import timedelta

import pytest

from model_training.calibration.both_ways import SAME_END_SHARE
from model_training.calibration.searches import MAX_QUERIES
from model_training.calibration.verdicts import MIN_RIGHT
from service.access.idempotency import CLAIM_LIFETIME_S, RESPONSE_LIFETIME_S
from service.access.keys import SECRET_BYTES
from service.api.match_forms import MAX_SCENE_CHIPS
from service.api.middleware.idempotency import MAX_KEY_LENGTH, MAX_RESPONSE_BYTES
from service.api.report.page import SHOWN_CANDIDATES
from service.contract.chip import DEFAULT_GSD_M, Modality
from service.contract.decoding import limits
from service.contract.decoding.control_points import MAX_RESIDUAL_PIXELS
from service.contract.decoding.decode import MAX_SKEW_DEG
from service.contract.decoding.optical_rgb import STRETCH_PERCENTILE
from service.contract.decoding.sar_amplitude import DB_RANGE, DECIBEL_STEP
from service.contract.framing import quality
from service.contract.utc_time import MAX_CLIENT_SKEW
from service.contract.weighing.context import CHIP_OVER_SHIP, IMPOSSIBLE, MAX_SPEED_KN
from service.contract.weighing.verdicts import MAX_NAMED
from service.identity.evidence.copies import COPY_SIMILARITY
from service.identity.evidence.several_chips import MAX_CHIPS
from service.identity.leases import MAX_CLOCK_SKEW, lease_lifetime
from service.identity.matching import announcing, asking_again, grouping
from service.observability.otlp import CLOSING_TIMEOUT_S, MAX_QUEUED_SPANS
from service.observability.webhook import TIMEOUT_S as WEBHOOK_TIMEOUT_S
from service.server.run import CLOSING_S
from service.settings import S3_TRIES, Settings
from service.storage.audit.log import RESERVE_BYTES
from service.storage.local.disk_space import MIN_FREE_BYTES
from service.storage.local.idempotency import MAX_BYTES
from service.storage.local.keys import CHECK_EVERY_S
from service.storage.local.outbox import MOST_BYTES, MOST_MATCHES
from service.storage.s3.bucket import PROBE_TIMEOUT_S
from service.storage.server.counts import COUNTS_MAX_AGE_S, LARGE, LARGE_MAX_AGE_S
from service.storage.server.repeating import BUDGET_TIMEOUTS, QUICK_S
from service.wiring.background import (
    LONGEST_POSTPONEMENT_S,
    QUIET_S,
    RETENTION_INTERVAL_S,
    WORK_WITHOUT_QUIET_S,
)
from service.wiring.stores import longest_step
from service.workers.decoder_pool import MEMORY_BYTES
from tests.support.faults.scale import LONG
from tests.support.paths import ROOT

SETTINGS = Settings()
BUDGET_S = BUDGET_TIMEOUTS * SETTINGS.qdrant_timeout_s
WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 7: "seven", 8: "eight", 10: "ten"}
OPTICAL_M, SAR_M = DEFAULT_GSD_M[Modality.OPTICAL], DEFAULT_GSD_M[Modality.SAR]


def lease_minutes() -> int:
    step = longest_step(Settings(qdrant_url="http://qdrant:6333"))
    assert step is not None
    return int(lease_lifetime(step) / timedelta(minutes=1))


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


NO_SHIP_OPTICAL, NO_SHIP_SAR = (quality.NO_SHIP_FROM[one] for one in Modality)
COARSE_PX = quality.COARSE_BELOW_PX
(USUAL_LOW, USUAL_HIGH), (LOWEST, HIGHEST) = quality.SHAPES
(LENGTH_RATIO, OPTICAL_WIDTH), (_, SAR_WIDTH) = (CHIP_OVER_SHIP[one] for one in Modality)

SAYINGS = {
    "api": [
        f"up to {WORDS[MAX_CHIPS]} chips of one ship",
        f"up to {MAX_SCENE_CHIPS} chips of one image",
        f"undoes the deletion for {SETTINGS.restore_days:g} days",
        f"(1 to {MAX_KEY_LENGTH} printable characters",
        f"up to {MAX_BYTES // 10**6} MB; the oldest are removed first",
        "used again after a minute" if CLAIM_LIFETIME_S == 60.0 else "?",
        "stores responses for a day" if RESPONSE_LIFETIME_S == 86_400.0 else "?",
        f"larger than {MAX_RESPONSE_BYTES // 10**6} MB",
    ],
    "chips": [
        f"| {NO_SHIP_SAR[0]:g} and below | {NO_SHIP_OPTICAL[1]:g} (optical), {NO_SHIP_SAR[1]:g} "
        "(SAR) and below |",
        f"| {quality.CUT_OFF_FROM[0]:g} | {quality.CUT_OFF_FROM[1]:g}, unless",
        f"no water | {quality.LAND_FROM[0]:g} | {quality.LAND_FROM[1]:g} |",
        f"one way, 0 to 1 | {quality.SMEARED_FROM[0]:g} | {quality.SMEARED_FROM[1]:g} |",
        f"share of the hull | {quality.SATURATED_FROM[0]:g} | {quality.SATURATED_FROM[1]:g} |",
        f"along the hull | below {COARSE_PX[0]} | below {COARSE_PX[1]} |",
        f"outside {USUAL_LOW:g} to {USUAL_HIGH:g} | outside {LOWEST:g} to {HIGHEST:g} |",
        f"within {percent(quality.NEAR_LIMIT)} of the limits | below {quality.SHORTEST_M:g} m, "
        f"above {quality.LONGEST_M:g} m, or wider than {quality.WIDEST_M:g} m |",
        f"files over {limits.MAX_BYTES / 1e6:g} MB, sides under {limits.MIN_SIDE_PX} or over "
        f"{limits.MAX_SIDE_PX} pixels",
        f"within {SETTINGS.decode_timeout_s:g} s (`CROSSFIX_DECODE_TIMEOUT_S`) and "
        f"{MEMORY_BYTES >> 20} MiB",
        f"values from {DB_RANGE[0]:g} to {DB_RANGE[1]:g} with",
        f"rounded to {DECIBEL_STEP:g} dB",
        f"{OPTICAL_M:g} m (optical) or {SAR_M:g} m (SAR) is assumed",
        f"0 to the {STRETCH_PERCENTILE:g}th percentile",
        f"miss a right angle by more than {MAX_SKEW_DEG:g} degrees",
        f"(by more than {MAX_RESIDUAL_PIXELS:g} pixels, a warning)",
        f"more than {WORDS[MAX_CLIENT_SKEW.seconds // 60]} minutes in the future",
        f"a cosine of {COPY_SIMILARITY:g} or more",
    ],
    "access": [
        f"with {8 * SECRET_BYTES} random bits",
        "reads the new file within a second" if CHECK_EVERY_S == 1.0 else "?",
    ],
    "bundle": [
        f"from which {percent(MIN_RIGHT['likely'])} (`likely`), {percent(MIN_RIGHT['no_match'])} "
        f"(`no_match`) or {percent(MIN_RIGHT['ambiguous'])} (`ambiguous`)",
        f"at most {WORDS[MAX_NAMED]} outcomes",
        f"if {percent(SAME_END_SHARE)} of the queries show the bow at the usual end",
        f"({LENGTH_RATIO:g} of the length; {OPTICAL_WIDTH:g} of the beam in optical and "
        f"{SAR_WIDTH:g} in SAR chips;",
        f"multiplies the odds by {math.exp(IMPOSSIBLE):.0e}",
    ],
    "training": [f"turns of up to {MAX_QUERIES} chips of each sensor"],
    "exports": [f"of the first {WORDS[SHOWN_CANDIDATES]} candidates"],
    "desk": [
        f"up to {MAX_CHIPS} chips with one answer",
        f"`CROSSFIX_SESSION_HOURS` ({SETTINGS.session_hours:g} by default)",
    ],
    "open-sightings": [
        f"among the {asking_again.SIMILAR} most similar of its sensor type",
        f"a probability of {percent(math.exp(asking_again.MIN_LOG_ODDS))} against",
        "half a second; a service that is never idle so long spends one second of every minute"
        if (QUIET_S, WORK_WITHOUT_QUIET_S, LONGEST_POSTPONEMENT_S) == (0.5, 1.0, 60.0)
        else "?",
        f"a probability of {percent(grouping.THRESHOLD)} or more (`threshold`)",
        f"(at {MAX_SPEED_KN:g} kn, see `checks`)",
        f"200 to 299 within {WEBHOOK_TIMEOUT_S:g} s",
        f"after about {announcing.FIRST_PAUSE_S:g} s, 10 s, 20 s and so on up to "
        f"{announcing.LONGEST_PAUSE_S / 3600:g} h",
        f"more than {announcing.GIVE_UP_AFTER.days} days old or the answer is 410",
    ],
    "operations": [
        f"during concurrent enrolment, {LONG.kills} times",
        f"At most {MAX_QUEUED_SPANS} spans wait in memory",
        f"for up to {WORDS[int(CLOSING_TIMEOUT_S)]} seconds",
        f"tries {WORDS[S3_TRIES]} times at most",
        f"a timeout of {WORDS[int(PROBE_TIMEOUT_S)]} seconds at most",
        f"the process ends at most {CLOSING_S:g} s later",
        f"the lease expires after {WORDS[lease_minutes()]} minutes",
        "clocks that differ by less than a minute"
        if timedelta(minutes=1) == MAX_CLOCK_SKEW
        else "?",
    ],
    "shared-gallery": [
        f"A request has {WORDS[int(BUDGET_S)]} seconds for this",
        f"A cluster takes up to {WORDS[int(LONG.noticed_after_s)]} seconds until it writes again",
        f"no call has succeeded for {WORDS[int(BUDGET_S)]} seconds",
        "after an attempt of a second or more" if QUICK_S == 1.0 else "?",
        f"With fewer than {LARGE:,} sightings the changes",
        f"at most {WORDS[int(COUNTS_MAX_AGE_S)]} seconds old while there are requests",
        "one of up to a minute ago" if LARGE_MAX_AGE_S == 60.0 else "?",
    ],
    "alerts": [
        f"at most {MOST_MATCHES} matches or {MOST_BYTES >> 20} MiB",
        f"while less than {MIN_FREE_BYTES >> 20} MiB are free",
        f"for more than {announcing.GIVE_UP_AFTER.days} days",
    ],
    "upkeep": [
        "beyond the limits every hour" if RETENTION_INTERVAL_S == 3600.0 else "?",
        f"reserves {RESERVE_BYTES >> 10} KiB",
        f"for `CROSSFIX_RESTORE_DAYS` ({SETTINGS.restore_days:g})",
    ],
}


@pytest.mark.parametrize("page", SAYINGS)
def test_a_page_names_the_limits_of_the_code(page: str) -> None:
    text = " ".join((ROOT / f"docs/{page}.md").read_text().split())
    assert [said for said in SAYINGS[page] if said not in text] == []
