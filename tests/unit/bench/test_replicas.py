"""Replicas that share one gallery are measured, and what their limits are follows from it."""

import os
import time
from dataclasses import replace

import pytest

from bench.capacity import replicas_section
from bench.replicas import ReplicaLoad, measure_replicas
from bench.results import RESULTS, Results
from tests.support.processes.service_process import processor_s


def test_each_number_of_replicas_answers_all_matches() -> None:
    loads = measure_replicas((1, 2), requests=16, rounds=1)
    assert [one.replicas for one in loads] == [1, 2]
    for one in loads:
        assert min(one.per_s, one.replica_ms, one.stand_in_ms, one.redis_ms, one.clients_ms) > 0
        taken_ms = one.replica_ms + one.stand_in_ms + one.redis_ms + one.clients_ms
        cores = one.per_s * taken_ms / 1000 + one.other_cores
        assert -0.2 < one.other_cores < cores < (os.cpu_count() or 1) + 0.2


def test_the_processor_time_of_a_process_is_that_of_its_threads() -> None:
    before = time.process_time()
    found = processor_s(os.getpid())
    assert before <= found <= time.process_time()


def test_each_shared_process_limits_the_replicas() -> None:
    load = ReplicaLoad(1, 20.0, 0.0, 40.0, 5.0, 0.5, 4.5)
    results = replace(Results.load(RESULTS), cores=2, replicas=(load, replace(load, replicas=2)))
    section = replicas_section(results)
    assert "2 cores answer at most 40 a second" in section
    assert "the stand-in for\n200 matches a second, or 8.0 replicas" in section
    assert "Redis for 2,000, or 80.0" in section


def test_a_wrong_answer_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.replicas.fill_gallery", lambda *_: None)
    with pytest.raises(RuntimeError, match='"vessels":0'):
        measure_replicas((1,), requests=1, rounds=1)
