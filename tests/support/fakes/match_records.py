"""Match records for tests of stores; all values are made up."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from service.identity.records.audit import AuditPosition
from service.identity.records.match_records import (
    AnsweringModel,
    Decision,
    Judgement,
    MatchRecord,
    new_match_id,
)
from service.identity.records.matches import (
    Candidate,
    Checks,
    EvidenceTerm,
    Explanation,
    KinematicsCheck,
    LengthCheck,
    Match,
    Verdict,
)
from service.identity.records.sightings import GalleryCounts, Sighting
from service.identity.records.vessels import Vessel
from tests.support.fakes.records import BUNDLE, START, make_sighting

_serial = itertools.count(1)


def make_candidate(vessel: Vessel, rank: int) -> Candidate:
    return Candidate(
        rank=rank,
        probability=0.1 + 0.2,
        similarity=0.8,
        evidence={"similarity": 2.5, "length": -0.25},
        terms=(EvidenceTerm(name="similarity", subject="pixels", factor=12.2, words="pixels ×12"),),
        vessel=vessel,
        sighting=make_sighting(vessel),
        checks=Checks(
            length=LengthCheck(query_m=183.0, vessel_m=190.0, ok=True, tolerance=0.2),
            kinematics=KinematicsCheck(
                distance_nm=210,
                hours=19,
                required_kn=None,
                feasible=True,
                max_speed_kn=30,
                usual_kn=12,
                slack_nm=1,
            ),
        ),
    )


def make_match_record(
    candidates: Sequence[Vessel] = (),
    query: Sighting | None = None,
    verdict: Verdict = Verdict.AMBIGUOUS,
    **fields: Any,
) -> MatchRecord:
    """Make a record, asked a second after the last one made, unless `asked_at` is given."""
    known: dict[str, Any] = {
        "asked_at": START + timedelta(seconds=next(_serial)),
        "asked_by": "an analyst",
        "options": {"top_k": 5, "max_speed_kn": 22.5, "vessel_type": "Cargo"},
        "model": AnsweringModel(bundle_id=BUNDLE, name="compact", training_domain="simulated"),
        "audit": AuditPosition(chain="replica", number=7, sha256="0" * 64),
    }
    values = known | fields
    match = Match(
        id=new_match_id(values["asked_at"]),
        verdict=verdict,
        candidates=tuple(make_candidate(one, n) for n, one in enumerate(candidates, 1)),
        none_probability=0.25,
        explanation=Explanation(text="Compare these.", compared=12),
        query=query or make_sighting(modality="sar"),
        gallery=GalleryCounts(12, 34),
        stored=True,
    )
    return MatchRecord.model_validate({"match": match} | values)


def with_judgement(
    record: MatchRecord, decision: Decision, vessel: Vessel | None = None
) -> MatchRecord:
    """Return the record with one more judgement."""
    judgement = Judgement(
        decision=decision,
        vessel_id=vessel.id if vessel else None,
        by="a reviewer",
        at=record.asked_at + timedelta(hours=1, microseconds=len(record.judgements)),
        note=f"as seen in Ærø, {uuid4()}",
    )
    return record.model_copy(update={"judgements": (*record.judgements, judgement)})
