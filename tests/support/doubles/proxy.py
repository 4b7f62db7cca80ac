"""A TCP proxy that maltreats what passes: drops, delays, cuts, lies, and heals at a word."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int] | Path
PIECE_BYTES = 65_536
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
QUIET_S = 0.01


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to connections; without arguments, nothing.

    Attributes:
        name: for the names of tests.
        refuse: new connections are reset at once, and so are old ones.
        silent: what is sent is taken and nothing comes back.
        delay_s: answers come this much later.
        answer: sent instead of asking the server, and then the connection is closed.
        again: not closed, but the same sent for whatever comes next.
        cut_after: answers are cut off after so many bytes, by a reset.
    """

    name: str = "well"
    refuse: bool = False
    silent: bool = False
    delay_s: float = 0.0
    answer: bytes | None = None
    again: bool = False
    cut_after: int | None = None


WELL = Fault()


class FaultyProxy:
    """Forwards connections to `target`, as far as the present fault lets it."""

    def __init__(self, target: Address) -> None:
        """Use `running_proxy`."""
        self._target = target
        self._fault = WELL
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0

    def suffer(self, fault: Fault) -> None:
        """Have this fault from now on, on connections that are open too."""
        self._fault = fault
        if fault.refuse:
            asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result(5)

    def heal(self) -> None:
        """Pass everything on again; connections that suffered are closed, as after an outage."""
        self._fault = WELL
        asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result(5)

    def serve(self, ready: threading.Event, stop: threading.Event) -> None:
        """Work until told to stop; for a thread of its own."""
        self._loop.run_until_complete(self._serve(ready, stop))
        self._loop.close()

    async def _serve(self, ready: threading.Event, stop: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        server.close()
        await asyncio.sleep(QUIET_S)  # who was just accepted is known before all are dropped
        await self._drop_all()
        await asyncio.sleep(QUIET_S)  # closing takes a turn of the loop

    async def _drop_all(self) -> None:
        waiting = list(self._connections)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)

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
        await _closed_politely(writer)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        ways = {
            asyncio.create_task(self._requests(reader, far_writer, writer)),
            asyncio.create_task(self._answers(far_reader, writer)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        for way in done:
            way.result()

    async def _requests(
        self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(PIECE_BYTES):
            fault = self._fault
            if fault.silent:
                continue
            if fault.answer is not None:
                if not fault.again:
                    await _drained(reader)
                back.write(fault.answer)
                await back.drain()
                if not fault.again:
                    return
                continue
            there.write(piece)
            await there.drain()

    async def _answers(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        sent = 0
        while piece := await reader.read(PIECE_BYTES):
            fault = self._fault
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.silent:
                continue
            if fault.cut_after is not None:
                back.write(piece[: max(0, fault.cut_after - sent)])
                sent += len(piece)
                if sent > fault.cut_after:
                    await back.drain()
                    raise ConnectionResetError("cut")
                continue
            back.write(piece)
            await back.drain()


async def _drained(reader: asyncio.StreamReader) -> None:
    """Take the rest of a request, until nothing comes for a moment."""
    with suppress(TimeoutError):
        while await asyncio.wait_for(reader.read(PIECE_BYTES), QUIET_S):
            pass


async def _closed_politely(writer: asyncio.StreamWriter) -> None:
    """End the answer with FIN, and give the other side a moment to see it."""
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
    """A proxy on a free port of loopback before a TCP or Unix socket."""
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
