"""Match ids are ordered by time; a judgement names a vessel exactly when it is confirmed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from service.identity.records.match_records import Decision, Judgement, NewJudgement, new_match_id

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def test_later_matches_have_greater_ids() -> None:
    ids = [new_match_id(NOON + timedelta(milliseconds=i)) for i in range(50)]

    assert ids == sorted(ids)
    assert len({new_match_id(NOON) for _ in range(1000)}) == 1000


def test_an_id_is_a_uuid_of_version_7_with_its_time() -> None:
    made = new_match_id(NOON)

    assert (made.version, made.variant) == (7, UUID(int=uuid4().int).variant)
    assert made.int >> 80 == int(NOON.timestamp() * 1000)


@pytest.mark.parametrize(
    ("decision", "vessel_id"),
    [(Decision.CONFIRMED, None), (Decision.REJECTED, uuid4()), (Decision.WITHDRAWN, uuid4())],
)
def test_a_judgement_names_a_vessel_only_to_confirm_it(
    decision: Decision, vessel_id: UUID | None
) -> None:
    with pytest.raises(ValidationError, match="vessel_id is needed"):
        Judgement(decision=decision, vessel_id=vessel_id, by="desk", at=NOON)


def test_true_is_no_number_of_judgements() -> None:
    with pytest.raises(ValidationError, match="got true or false"):
        NewJudgement.model_validate({"decision": "rejected", "seen": True})
    assert NewJudgement.model_validate({"decision": "rejected", "seen": 1}).seen == 1
