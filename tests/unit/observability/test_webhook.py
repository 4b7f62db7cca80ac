"""Messages to a webhook are signed, sent once, and never waited for without end."""

import time
from collections.abc import Iterator

import pytest

from service.observability import webhook
from service.observability.webhook import Webhook, signatures
from tests.support.doubles.webhook_receiver import KEY, Receiver, running_receiver
from tests.support.processes.service_process import free_port

BODY = b'{"type":"match.new","timestamp":"2026-01-02T03:04:05+00:00","data":{"match_id":"1"}}'
OTHER_KEY, WRONG_KEY = b"\x07" * 24, b"\x08" * 24


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as one:
        yield one


def hook(url: str) -> Webhook:
    return Webhook(url, (KEY, OTHER_KEY), trust_env=False)


def never() -> bool:
    return False


def test_signature_is_that_of_the_specification() -> None:
    # printf '%s' "match_1.1767323045.$BODY" |
    #   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1e1f -binary | base64
    expected = "v1,xAIV1Gc+cRKxq8sP1Ixj/qEKX425jmhnJ8I5e/vFjZQ="
    assert signatures((KEY,), "match_1", 1767323045, BODY) == expected
    both = signatures((OTHER_KEY, KEY), "match_1", 1767323045, BODY)
    assert both.split(" ")[1] == expected


def test_a_message_is_sent_with_id_time_and_a_signature_of_each_key(receiver: Receiver) -> None:
    reply = hook(receiver.url).send("match_1", BODY, never)
    assert reply is not None
    assert reply.accepted
    (got,) = receiver.requests
    assert (got.path, got.id, got.body) == ("/new?from=crossfix", "match_1", BODY)
    assert got.headers["content-type"] == "application/json"
    assert got.is_signed_with(KEY)
    assert got.is_signed_with(OTHER_KEY)
    assert not got.is_signed_with(WRONG_KEY)


@pytest.mark.parametrize("status", [302, 400, 410, 429, 500, 503])
def test_only_2xx_is_accepted_and_redirects_are_not_followed(
    receiver: Receiver, status: int
) -> None:
    receiver.status = status
    receiver.headers = {"Location": "/elsewhere", "Retry-After": "7"}
    reply = hook(receiver.url).send("match_1", BODY, never)
    assert reply is not None
    assert not reply.accepted
    assert reply.text.endswith(f"answered {status}")
    assert reply.final is (status == 410)
    assert reply.wait_s == 7.0
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("value", ["soon", "-1", "Fri, 31 Dec 2027 23:59:59 GMT", "²"])
def test_other_forms_of_retry_after_are_ignored(receiver: Receiver, value: str) -> None:
    receiver.status = 503
    receiver.headers = {"Retry-After": value.encode().decode("latin-1")}
    reply = hook(receiver.url).send("match_1", BODY, never)
    assert reply is not None
    assert reply.wait_s == 0.0


def test_a_body_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.endless = True
    began = time.monotonic()
    reply = hook(receiver.url).send("match_1", BODY, never)
    assert reply is not None
    assert reply.accepted
    assert time.monotonic() - began < 5.0


def test_a_slow_receiver_is_not_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.5)
    receiver.delay_s = 60.0
    reply = hook(receiver.url).send("match_1", BODY, never)
    assert reply is not None
    assert not reply.accepted


def test_the_end_of_the_service_ends_an_attempt(receiver: Receiver) -> None:
    receiver.delay_s = 60.0
    began = time.monotonic()
    assert hook(receiver.url).send("match_1", BODY, lambda: bool(receiver.requests)) is None
    assert time.monotonic() - began < 5.0


def test_the_log_does_not_show_the_path_of_a_receiver_that_is_away() -> None:
    reply = hook(f"http://127.0.0.1:{free_port()}/token").send("match_1", BODY, never)
    assert reply is not None
    assert not reply.accepted
    assert "127.0.0.1" in reply.text
    assert "token" not in reply.text


def test_the_log_says_why_a_connection_failed(receiver: Receiver) -> None:
    reply = hook(receiver.url.replace("http://", "https://")).send("match_1", BODY, never)
    assert reply is not None
    assert not reply.accepted
    assert "SSL" in reply.text
    assert "from=crossfix" not in reply.text


@pytest.mark.parametrize("host", ["999.1.1.1", "xn--a.example", "\u202e.example"])
def test_a_name_that_no_host_has_is_no_answer(host: str) -> None:
    reply = hook(f"https://{host}/").send("match_1", BODY, never)
    assert reply is not None
    assert reply.text.startswith(f"no answer from {host}: I")
