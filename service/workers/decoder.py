"""The loop of one decoder process: chip bytes in, decoded and framed chip or error out."""

import ctypes
import resource
import signal
import time
import traceback
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError, DecodeLimitError
from service.contract.framing.apply import FramedChip, frame, frame_again
from service.contract.framing.records import Framing, FramingMode

TRIM_FROM_BYTES = 8 * 2**20
"""After a file or picture of this size, freed memory is given back to the system."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What `decode_chip` is called with, and how the chip is framed.

    `framing` is what the client wants, or what was recorded of the chip before.
    """

    data: bytes
    modality: Modality | None
    gsd_m: float | None
    band: int | None
    framing: FramingMode | Framing


@dataclass(frozen=True, slots=True)
class DecoderDefect:
    """An exception that no file should raise; `trace` is its traceback, for the log."""

    trace: str


DecodeAnswer = FramedChip | ChipError | DecoderDefect


def serve_decoder(connection: Connection, memory_bytes: int) -> None:
    """Answer decode requests until the parent closes the connection.

    Args:
        connection: receives `DecodeRequest`s, sends a `DecodeAnswer` for each.
        memory_bytes: how much more memory than at its start this process may use.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which closes the pipe
    _limit_memory(memory_bytes)
    while True:
        try:
            request: DecodeRequest = connection.recv()
        except (EOFError, MemoryError):
            return  # the pool replaces a worker that cannot even read the file
        answer = _decode(request)
        connection.send(answer)
        size = len(request.data)
        if isinstance(answer, FramedChip):
            size += answer.chip.pixels.nbytes
        del request, answer
        if size >= TRIM_FROM_BYTES:
            _trim()


def _decode(request: DecodeRequest) -> DecodeAnswer:
    try:
        chip = decode_chip(
            request.data, modality=request.modality, gsd_m=request.gsd_m, band=request.band
        )
        start = time.perf_counter()
        framed = _framed(chip, request.framing)
        return replace(framed, frame_ms=(time.perf_counter() - start) * 1000.0)
    except ChipError as error:
        return error
    except MemoryError:
        return DecodeLimitError(
            "decoding the chip needs more memory than a chip may take; send it uncompressed or "
            "cut out more tightly"
        )
    except Exception:
        return DecoderDefect(traceback.format_exc())


def _framed(chip: Chip, framing: FramingMode | Framing) -> FramedChip:
    if isinstance(framing, FramingMode):
        return frame(chip, framing)
    return FramedChip(frame_again(chip, framing), framing)


def _limit_memory(more_bytes: int) -> None:
    """Refuse allocations beyond the present private memory plus `more_bytes`.

    RLIMIT_DATA counts private writable memory since Linux 4.7, and not mapped libraries.
    """
    with open("/proc/self/status") as status:
        used_kb = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
    limit = used_kb * 1024 + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _trim() -> None:
    """Give freed memory back; glibc alone offers this, and elsewhere nothing is lost."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
