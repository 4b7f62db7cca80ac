"""What registers, types and voyages add to a candidate's log odds."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from service.contract.weighing.context import (
    IMPOSSIBLE,
    Facts,
    Voyage,
    context_terms,
    look_up,
    usual_speed_kn,
)
from service.contract.weighing.specs import ContextSpec, RatioTable, VoyageTable

SIZE = RatioTable(at=(0.0, 0.1, 0.3), log_ratio=(1.0, 0.0, -2.0))
SPEED = RatioTable(at=(0.5, 1.0, 2.0), log_ratio=(0.5, 0.0, -4.0))
SPEC = ContextSpec(
    register_length=SIZE,
    register_width=SIZE,
    type_agrees=0.7,
    type_differs=-0.9,
    voyage=(
        VoyageTable(max_hours=10.0, table=SPEED),
        VoyageTable(max_hours=100.0, table=RatioTable(at=(0.0,), log_ratio=(0.25,))),
    ),
    fitted_on="invented",
)


def test_each_known_fact_adds_its_own_term() -> None:
    facts = Facts(
        register_length_ratio=math.exp(-0.2),
        register_width_ratio=1.0,
        type_agrees=False,
        voyage=Voyage(required_kn=18.0, hours=5.0, usual_kn=12.0, possible=True),
    )
    nothing = Facts()
    before, terms, after = context_terms([nothing, facts, nothing], SPEC)
    assert before == after == {}
    assert terms == pytest.approx(
        {"register_length": -1.0, "register_width": 1.0, "type": -0.9, "voyage": -2.0}
    )


@pytest.mark.parametrize(("hours", "expected"), [(10.0, -4.0), (11.0, 0.25), (101.0, None)])
def test_the_table_of_a_voyage_is_that_of_its_hours(hours: float, expected: float | None) -> None:
    voyage = Voyage(required_kn=26.0, hours=hours, usual_kn=13.0, possible=True)
    [terms] = context_terms([Facts(voyage=voyage)], SPEC)
    assert terms.get("voyage") == expected


@pytest.mark.parametrize("spec", [SPEC, None])
def test_an_impossible_voyage_counts_in_every_bundle(spec: ContextSpec | None) -> None:
    voyage = Voyage(required_kn=math.inf, hours=0.0, usual_kn=13.0, possible=False)
    facts = Facts(register_length_ratio=1.0, voyage=voyage)
    [terms] = context_terms([facts], spec)
    assert terms["voyage"] == IMPOSSIBLE
    assert ("register_length" in terms) == (spec is not None)


def test_a_table_is_linear_between_its_knots_and_constant_beyond() -> None:
    values = look_up(SIZE, np.array([0.0, 0.05, 0.1, 0.2, 5.0]))
    np.testing.assert_allclose(values, [1.0, 0.5, 0.0, -1.0, -2.0])


@pytest.mark.parametrize(
    "table", [{"at": (0.1, 0.1), "log_ratio": (0, 0)}, {"at": (0, 1), "log_ratio": (0,)}]
)
def test_a_malformed_table_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RatioTable.model_validate(table)


@pytest.mark.parametrize(
    ("vessel_type", "speed"),
    [("Container ship", 17.0), ("product tanker", 12.5), ("yacht", 13.0), (None, 13.0)],
)
def test_the_usual_speed_follows_from_the_type(vessel_type: str | None, speed: float) -> None:
    assert usual_speed_kn(vessel_type) == speed
