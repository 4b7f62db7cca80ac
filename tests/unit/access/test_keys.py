"""Roles and keys."""

from datetime import UTC, datetime, timedelta

import pytest

from service.access.keys import KEY_FORM, KeyRing, make_key
from service.access.roles import Principal, Role

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_each_role_includes_the_lower_roles() -> None:
    assert [[role.covers(needed) for needed in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_key_is_identified_and_only_its_hash_is_recorded() -> None:
    record, key = make_key("desk", Role.CURATOR, NOW)
    assert KEY_FORM.fullmatch(key)
    assert KeyRing([record]).identify(key, NOW) == Principal("desk", Role.CURATOR, record.id)
    assert key.rpartition("_")[2] not in record.model_dump_json()
    assert record.sha256 not in repr(record)


def test_secrets_are_unique() -> None:
    keys = {make_key("desk", Role.READER, NOW)[1] for _ in range(200)}
    assert len({key.rpartition("_")[2] for key in keys}) == 200


def test_anything_but_the_exact_key_is_not_identified() -> None:
    record, key = make_key("desk", Role.READER, NOW)
    _, other = make_key("desk", Role.READER, NOW)
    ring = KeyRing([record])
    last = "0" if key[-1] != "0" else "1"
    wrong = ["", key[:-1], key[:-1] + last, key + "0", key.upper(), f" {key}", record.sha256, other]
    wrong += [f"cfx_{record.id}_{other.rpartition('_')[2]}", "ключ", "cfx_" + "0" * 12 + "_"]
    assert [ring.identify(one, NOW) for one in wrong] == [None] * len(wrong)
    assert KeyRing([]).identify(key, NOW) is None


def test_a_revoked_or_expired_key_is_not_identified() -> None:
    record, key = make_key("desk", Role.READER, NOW, NOW + timedelta(days=1))
    ring = KeyRing([record])
    assert ring.identify(key, NOW + timedelta(hours=23)) is not None
    assert ring.identify(key, NOW + timedelta(days=1)) is None
    revoked = KeyRing([record.model_copy(update={"revoked_at": NOW})])
    assert revoked.identify(key, NOW) is None


def test_keys_are_required_once_a_key_was_made() -> None:
    record, _ = make_key("desk", Role.READER, NOW)
    assert not KeyRing([]).requires_key
    assert KeyRing([record]).requires_key
    assert KeyRing([record.model_copy(update={"revoked_at": NOW})]).requires_key


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_a_key_without_a_valid_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        make_key(name, Role.READER, NOW)
