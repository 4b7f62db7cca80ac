"""Wait for a function only so long, and let it end in its own time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait


class LimitedWait:
    """Runs a function in a thread of its own, one run at a time. Safe to use from many threads."""

    def __init__(self, name: str, function: Callable[[], None], limit_s: float) -> None:
        """Wait at most `limit_s` for a run of the function; `name` is that of the thread."""
        self._name = name
        self._function = function
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._run: Future[None] | None = None

    def __call__(self) -> None:
        """Run the function, or wait for the run that is under way; raise its errors.

        After the limit the run goes on, and nobody is told how it ends.
        """
        with self._lock:
            if self._run is None or self._run.done():
                self._run = Future()
                thread = threading.Thread(
                    target=self._execute, args=(self._run,), name=self._name, daemon=True
                )
                thread.start()
            run = self._run
        wait([run], self._limit_s)
        if run.done():
            run.result()

    def _execute(self, run: Future[None]) -> None:
        try:
            self._function()
        except Exception as error:
            run.set_exception(error)
        else:
            run.set_result(None)
