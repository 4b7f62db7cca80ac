"""The methods that both clients have: one for each request that `calls` describes."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from service.client.remote import calls
from service.client.remote.call import Call
from service.client.remote.models import Page

P = ParamSpec("P")
T = TypeVar("T")


class _Waits(Protocol):
    """A client whose methods return results."""

    def items(self, listing: Call[Page[T]]) -> Iterator[T]: ...


class _Awaits(Protocol):
    """A client whose methods return coroutines."""

    def items(self, listing: Call[Page[T]]) -> AsyncIterator[T]: ...


class _Sends(Generic[P, T]):
    """A method that sends the request which a function describes."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: _Waits, owner: object = None) -> Callable[P, T]: ...

    @overload
    def __get__(
        self, client: _Awaits, owner: object = None
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: object = None) -> Callable[P, Any]:
        @wraps(self._describe)
        def send(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send_described(partial(self._describe, *args, **kwargs))

        return send


class _Iterates(Generic[P, T]):
    """A method that iterates over the list which a function describes."""

    def __init__(self, describe: Callable[P, Call[Page[T]]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: _Waits, owner: object = None) -> Callable[P, Iterator[T]]: ...

    @overload
    def __get__(self, client: _Awaits, owner: object = None) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: Any, owner: object = None) -> Callable[P, Any]:
        @wraps(self._describe)
        def iterate(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.items(self._describe(*args, **kwargs))

        return iterate


class Methods:
    """Sends requests: a client returns results, an asynchronous one coroutines of them."""

    match = _Sends(calls.match)
    match_scene = _Sends(calls.match_scene)
    verify = _Sends(calls.verify)
    matches = _Iterates(calls.matches)
    get_match = _Sends(calls.get_match)
    judge = _Sends(calls.judge)
    report = _Sends(calls.report)
    groups = _Iterates(calls.groups)
    enrol_sightings = _Sends(calls.enrol_sightings)
    mark_different = _Sends(calls.mark_different)
    vessels = _Iterates(calls.vessels)
    get_vessel = _Sends(calls.get_vessel)
    track = _Sends(calls.track)
    enrol = _Sends(calls.enrol)
    add_chips = _Sends(calls.add_chips)
    remove_chip = _Sends(calls.remove_chip)
    update_vessel = _Sends(calls.update_vessel)
    delete_vessel = _Sends(calls.delete_vessel)
    restore_vessel = _Sends(calls.restore_vessel)
    merge = _Sends(calls.merge)
    split = _Sends(calls.split)
    export_matches = _Sends(calls.export_matches)
    export_vessels = _Sends(calls.export_vessels)
    export_track = _Sends(calls.export_track)
    chip = _Sends(calls.chip)
    preview = _Sends(calls.preview)
    pseudo_sar = _Sends(calls.pseudo_sar)
    picture = _Sends(calls.picture)
    bundle = _Sends(calls.bundle)
