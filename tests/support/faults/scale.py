"""How much of the same tests runs: a moment of each in the ordinary suite, all of it for proof.

`CROSSFIX_TEST_FAULTS=long` chooses the long form. It changes counts and durations only, never what
is asserted.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

SWITCH = "CROSSFIX_TEST_FAULTS"


@dataclass(frozen=True)
class Scale:
    """Counts and durations of one form.

    Attributes:
        kills: kills during concurrent enrolment.
        kills_of_changes: kills during deletions, merges and splits.
        kills_of_judgements: kills while analysts judge matches.
        kills_of_commands: kills of each command that works on the data folder.
        disk_fillings: times that the disk fills up and is emptied again.
        stops: graceful stops under load.
        duels: times that two replicas register the same ship at the same instant.
        malformed_uploads: generated uploads that are sent.
        schema_examples: requests per operation that are made from the OpenAPI document.
        load_s: seconds of load beyond the capacity.
        outage_s: seconds of a store that comes and goes.
        breakdown_stride: of the steps of a change, a store breaks down at each so manieth.
        slow_clients: senders that never finish, at once.
    """

    kills: int
    kills_of_changes: int
    kills_of_judgements: int
    kills_of_commands: int
    disk_fillings: int
    stops: int
    duels: int
    malformed_uploads: int
    schema_examples: int
    load_s: float
    outage_s: float
    breakdown_stride: int
    slow_clients: int


SHORT = Scale(
    kills=2,
    kills_of_changes=1,
    kills_of_judgements=1,
    kills_of_commands=1,
    disk_fillings=1,
    stops=1,
    duels=10,
    malformed_uploads=150,
    schema_examples=3,
    load_s=3.0,
    outage_s=2.5,
    breakdown_stride=4,
    slow_clients=8,
)
LONG = Scale(
    kills=100,
    kills_of_changes=40,
    kills_of_judgements=40,
    kills_of_commands=10,
    disk_fillings=10,
    stops=10,
    duels=300,
    malformed_uploads=10_000,
    schema_examples=50,
    load_s=150.0,
    outage_s=60.0,
    breakdown_stride=1,
    slow_clients=64,
)


def chosen_scale(environment: Mapping[str, str] = os.environ) -> Scale:
    """The form that the environment asks for.

    Raises:
        ValueError: the switch has another value than `long`.
    """
    wanted = environment.get(SWITCH, "")
    if wanted not in ("", "long"):
        raise ValueError(f"{SWITCH}: expected 'long' or nothing, got {wanted!r}")
    return LONG if wanted else SHORT
