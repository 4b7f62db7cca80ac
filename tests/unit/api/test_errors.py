"""Every error of ours has a status, and the table has no room for accidents."""

import pytest

from service.api.errors import STATUS, status_of
from service.contract import errors as contract_errors
from service.contract.errors import BundleError, CrossfixError
from service.identity import errors as identity_errors


def all_errors() -> list[type[CrossfixError]]:
    found = [
        value
        for module in (contract_errors, identity_errors)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, CrossfixError)
    ]
    return sorted(set(found) - {CrossfixError}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_has_a_status_and_a_kind_of_its_own(kind: type[CrossfixError]) -> None:
    assert any(base in STATUS for base in kind.__mro__), "no row in the table"
    assert [other for other in all_errors() if other.kind == kind.kind] == [kind]


@pytest.mark.parametrize("kind", all_errors())
def test_what_a_sender_did_wrong_is_4xx(kind: type[CrossfixError]) -> None:
    ours = {"StoreUnavailableError": 503, "StoreFullError": 507, "TookTooLongError": 503}
    status = status_of(kind("said"))
    if kind is BundleError:
        assert status == 500
    else:
        assert status == ours.get(kind.__name__, status)
        assert 400 <= status < 500 or kind.__name__ in ours
