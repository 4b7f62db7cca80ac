"""Every error has a status and a kind of its own."""

import pytest

from service.api import transport_errors
from service.api.errors import STATUS, status_of
from service.contract import errors as contract_errors
from service.contract.errors import BundleError, CrossfixError
from service.identity import errors as identity_errors


def all_errors() -> list[type[CrossfixError]]:
    found = [
        value
        for module in (contract_errors, identity_errors, transport_errors)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, CrossfixError)
    ]
    return sorted(set(found) - {CrossfixError}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_has_a_status_and_a_kind_of_its_own(kind: type[CrossfixError]) -> None:
    assert any(base in STATUS for base in kind.__mro__), "no row in the table"
    assert [other for other in all_errors() if other.kind == kind.kind] == [kind]


@pytest.mark.parametrize("kind", all_errors())
def test_only_errors_of_the_service_are_5xx(kind: type[CrossfixError]) -> None:
    service_errors: dict[type[CrossfixError], int] = {
        BundleError: 500,
        identity_errors.StoreUnavailableError: 503,
        identity_errors.StoreDamagedError: 503,
        identity_errors.StoreFullError: 507,
        transport_errors.RequestTimeoutError: 503,
    }
    status = status_of(kind.__new__(kind))  # some are made with more than a message
    if kind in service_errors:
        assert status == service_errors[kind]
    else:
        assert 400 <= status < 500
