"""Session tokens: bound to a key, limited in time, of no use for anything else."""

from datetime import UTC, datetime, timedelta

from service.access.keys import KeyRing, make_key
from service.access.roles import Principal, Role
from service.access.sessions import identify_session, open_session

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RECORD, KEY = make_key("desk", Role.CURATOR, NOW)
RING = KeyRing([RECORD])
DESK = Principal("desk", Role.CURATOR, RECORD.id)


def token_of(key: str = KEY, ring: KeyRing = RING) -> str:
    opened = open_session(ring, key, NOW, DAY)
    assert opened is not None
    return opened[1]


def test_a_token_stands_for_its_key_until_it_expires() -> None:
    opened = open_session(RING, KEY, NOW, DAY)
    assert opened is not None
    principal, token, expires_at = opened
    assert (principal, expires_at) == (DESK, NOW + DAY)
    assert identify_session(RING, token, NOW + timedelta(hours=23)) == DESK
    assert identify_session(RING, token, NOW + DAY) is None


def test_a_token_ends_with_its_key() -> None:
    token = token_of()
    revoked = KeyRing([RECORD.model_copy(update={"revoked_at": NOW})])
    expired = KeyRing([RECORD.model_copy(update={"expires_at": NOW})])
    assert identify_session(revoked, token, NOW) is None
    assert identify_session(expired, token, NOW) is None
    assert identify_session(KeyRing([]), token, NOW) is None
    assert open_session(revoked, KEY, NOW, DAY) is None


def test_only_a_whole_key_opens_a_session() -> None:
    _, other = make_key("desk", Role.ADMIN, NOW)
    for wrong in ("", KEY[:-1], f"{KEY}0", other, f"cfx_{RECORD.id}_{other[-64:]}", token_of()):
        assert open_session(RING, wrong, NOW, DAY) is None


def test_a_token_shows_nothing_of_the_key_and_differs_each_time() -> None:
    secret = KEY.rpartition("_")[2]
    first, second = token_of(), token_of()
    assert first.rpartition(".")[2] != second.rpartition(".")[2]
    assert secret not in first
    assert RING.identify(first, NOW) is None
    assert RING.identify(f"cfx_{RECORD.id}_{first.rpartition('.')[2]}", NOW) is None


def test_a_changed_token_is_refused() -> None:
    key_id, expiry, nonce, hidden = token_of().split(".")
    later = str(int(expiry) + 1_000_000)
    flipped = hidden[:-1] + ("0" if hidden[-1] != "0" else "1")
    other, _ = make_key("desk", Role.ADMIN, NOW)
    ring = KeyRing([RECORD, other])
    for parts in (
        (key_id, later, nonce, hidden),
        (key_id, expiry, nonce, flipped),
        (key_id, expiry, "0" * 32, hidden),
        (other.id, expiry, nonce, hidden),
        (key_id, "9" * 11, nonce, hidden),
        (key_id, expiry, nonce),
        ("", "", "", ""),
    ):
        assert identify_session(ring, ".".join(parts), NOW) is None, parts
