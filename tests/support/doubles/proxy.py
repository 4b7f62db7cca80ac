"""A TCP proxy with faults that a test switches on and off."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int] | Path
BLOCK_BYTES = 65_536
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
QUIET_S = 0.01


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of connections; without arguments there is none.

    Attributes:
        name: a part of the names of tests.
        refuse: new and open connections are reset.
        silent: requests are read and never answered.
        delay_s: responses arrive this many seconds later.
        answer: sent instead of the response of the server; then the connection is closed.
        again: the connection stays open, and `answer` is sent for every request.
        once: the fault ends with the first `answer`.
        cut_after: responses are cut off by a reset after this many bytes.
    """

    name: str = "none"
    refuse: bool = False
    silent: bool = False
    delay_s: float = 0.0
    answer: bytes | None = None
    again: bool = False
    once: bool = False
    cut_after: int | None = None


NO_FAULT = Fault()


class FaultyProxy:
    """A proxy to `target` that forwards as far as the current fault permits."""

    def __init__(self, target: Address) -> None:
        """Use `running_proxy` instead."""
        self._target = target
        self._fault = NO_FAULT
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0

    def inject(self, fault: Fault) -> None:
        """Apply a fault from now on, to open connections too."""
        self._fault = fault
        if fault.refuse:
            asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result(5)

    def heal(self) -> None:
        """Forward everything again; open connections are closed, as after an outage."""
        self._fault = NO_FAULT
        asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result(5)

    def serve(self, ready: threading.Event, stop: threading.Event) -> None:
        """Run in a thread until `stop` is set."""
        self._loop.run_until_complete(self._serve(ready, stop))
        self._loop.close()

    async def _serve(self, ready: threading.Event, stop: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        server.close()
        await asyncio.sleep(QUIET_S)  # a connection just accepted is registered first
        await self._drop_all()
        await asyncio.sleep(QUIET_S)  # closing takes another iteration of the loop

    async def _drop_all(self) -> None:
        waiting = list(self._connections)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)
            await asyncio.sleep(QUIET_S)  # the loop closes an aborted connection in a later turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if not self._fault.refuse:
                await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            _reset(writer)
            self._connections.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, Path):
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        else:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        try:
            await self._forward(reader, writer, far_reader, far_writer)
        finally:
            far_writer.close()
        await _close_gracefully(writer)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        directions = {
            asyncio.create_task(self._requests(reader, far_writer, writer)),
            asyncio.create_task(self._answers(far_reader, writer)),
        }
        try:
            done, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        for direction in done:
            direction.result()

    async def _requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while block := await reader.read(BLOCK_BYTES):
            fault = self._fault
            if fault.silent:
                continue
            if fault.answer is not None:
                if not fault.again:
                    await _drained(reader)
                if fault.once:
                    self._fault = NO_FAULT
                back.write(fault.answer)
                await back.drain()
                if not fault.again:
                    return
                continue
            server.write(block)
            await server.drain()

    async def _answers(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        sent = 0
        while block := await reader.read(BLOCK_BYTES):
            fault = self._fault
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.silent:
                continue
            if fault.cut_after is not None:
                back.write(block[: max(0, fault.cut_after - sent)])
                sent += len(block)
                if sent > fault.cut_after:
                    await back.drain()
                    raise ConnectionResetError("cut")
                continue
            back.write(block)
            await back.drain()


async def _drained(reader: asyncio.StreamReader) -> None:
    """Read the rest of a request, until nothing arrives for `QUIET_S`."""
    with suppress(TimeoutError):
        while await asyncio.wait_for(reader.read(BLOCK_BYTES), QUIET_S):
            pass


async def _close_gracefully(writer: asyncio.StreamWriter) -> None:
    """End the response with FIN, and wait until the client has seen it."""
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
        await asyncio.sleep(QUIET_S)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    writer.transport.abort()


@contextmanager
def running_proxy(target: Address) -> Iterator[FaultyProxy]:
    """Run a proxy to a TCP or Unix socket on a free port until the end of the block."""
    proxy = FaultyProxy(target)
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=proxy.serve, args=(ready, stop), name="proxy")
    thread.start()
    try:
        assert ready.wait(10)
        yield proxy
    finally:
        stop.set()
        thread.join()
