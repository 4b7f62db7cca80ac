"""The scale of the fault tests: short in the ordinary suite, long as proof.

`CROSSFIX_TEST_FAULTS=long` chooses the long scale. It changes counts and durations only, never what
is asserted.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

SWITCH = "CROSSFIX_TEST_FAULTS"


@dataclass(frozen=True)
class Scale:
    """Counts and durations of the fault tests.

    Attributes:
        kills: kills during concurrent enrolment.
        kills_of_changes: kills during deletions, merges and splits.
        kills_of_judgements: kills while analysts judge matches.
        kills_of_commands: kills of each command that works on the data folder.
        disk_fillings: how many times the disk is filled up and emptied again.
        stops: graceful stops under load.
        claim_rounds: how many names two replicas claim at the same time while nodes die.
        node_losses: how many times each node of the cluster dies and returns.
        noticed_after_s: how long a cluster writes nothing after the death of a node.
        duels: how many times two replicas register the same ship at the same time.
        bombs: how many small files that are costly to decode arrive at once.
        malformed_uploads: the number of generated uploads.
        schema_examples: requests per operation, generated from the OpenAPI document.
        load_s: seconds of load beyond capacity.
        outage_s: seconds in which a store repeatedly fails and recovers.
        breakdown_stride: the store fails at every n-th step of a change.
        slow_clients: simultaneous clients that never finish their request.
    """

    kills: int
    kills_of_changes: int
    kills_of_judgements: int
    kills_of_commands: int
    disk_fillings: int
    stops: int
    claim_rounds: int
    node_losses: int
    noticed_after_s: float
    duels: int
    bombs: int
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
    claim_rounds=60,
    node_losses=1,
    noticed_after_s=1.5,
    duels=10,
    bombs=40,
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
    claim_rounds=1000,
    node_losses=10,
    noticed_after_s=8.0,
    duels=300,
    bombs=200,
    malformed_uploads=10_000,
    schema_examples=50,
    load_s=150.0,
    # The double answers more slowly the more ships are registered meanwhile.
    outage_s=20.0,
    breakdown_stride=1,
    slow_clients=64,
)


def chosen_scale(environment: Mapping[str, str] = os.environ) -> Scale:
    """Return the scale that the environment chooses.

    Raises:
        ValueError: the variable has another value than `long`.
    """
    wanted = environment.get(SWITCH, "")
    if wanted not in ("", "long"):
        raise ValueError(f"{SWITCH}: expected 'long' or nothing, got {wanted!r}")
    return LONG if wanted else SHORT
