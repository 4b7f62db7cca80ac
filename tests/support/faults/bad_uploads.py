"""Generate malformed uploads; the same number makes the same upload."""

import functools
import io
import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.support.inputs.chip_builders import good_jpeg
from tests.support.inputs.chip_files import rgb_planes, sar_plane, tiff_bytes
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.inputs.malformed import MALFORMED

BOUNDARY = "sea-and-sky"
Damage = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class BadUpload:
    """A request whose chips, form or framing may be broken.

    Attributes:
        about: the damage, for messages.
        path: the path of the POST request.
        body: the body of the request.
        media: its Content-Type; None sends none.
        announced: its Content-Length; None sends the length of the body.
    """

    about: str
    path: str
    body: bytes
    media: str | None
    announced: str | None = None


def bad_upload(number: int) -> BadUpload:
    """Return the upload of this number."""
    rng = random.Random(number)
    about, chip = _chip(rng)
    path = rng.choice(("/match", "/match", "/match", "/gallery", "/verify"))
    parts, form = _parts(rng, path, chip)
    upload = BadUpload(f"{about}; {form}", path, multipart(parts), media_type(BOUNDARY))
    return _framed(rng, upload) if rng.random() < 0.2 else upload


def media_type(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"


Part = tuple[str, str | None, bytes]
"""Field, file name or None, content."""


def multipart(parts: Sequence[Part]) -> bytes:
    """Return a multipart body as curl would send it."""
    body = io.BytesIO()
    for name, file, content in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
        body.write(f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode())
        body.write(content + b"\r\n")
    body.write(f"--{BOUNDARY}--\r\n".encode())
    return body.getvalue()


@functools.cache
def good_files() -> tuple[tuple[str, bytes], ...]:
    """Return (kind, bytes) of intact chip files, which are then damaged."""
    numbers = io.BytesIO()
    np.save(numbers, sar_plane())
    colours = rgb_planes()
    return (
        ("sar tiff", sar_tiff(1)),
        (
            "sar geotiff",
            tiff_bytes(
                sar_plane(64, 24), compress="deflate", tiled=True, blockxsize=16, blockysize=16
            ),
        ),
        ("rgb tiff", tiff_bytes(colours, compress="lzw")),
        (
            "uint16 tiff",
            tiff_bytes(colours.astype(np.uint16) * 200, predictor=2, compress="deflate"),
        ),
        ("complex tiff", tiff_bytes(sar_plane().astype(np.complex64))),
        ("png", optical_png(2)),
        ("jpeg", good_jpeg()),
        ("npy", numbers.getvalue()),
    )


def _truncated(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64, 512))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _head_flipped(rng: random.Random, data: bytes) -> bytes:
    """Change bytes at the beginning, where sizes are stored."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 2, 4))):
        damaged[rng.randrange(min(200, len(damaged)))] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
    return bytes(damaged)


def _tail_flipped(rng: random.Random, data: bytes) -> bytes:
    """Change bytes at the end, where GDAL and Pillow write the directory of a TIFF."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 2, 4))):
        place = len(damaged) - 1 - rng.randrange(min(260, len(damaged)))
        damaged[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
    return bytes(damaged)


def _spliced(rng: random.Random, data: bytes) -> bytes:
    _, other = rng.choice(good_files())
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _stretched(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 100, 10_000))) + data[place:]


def _holed(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.choice((1, 7, 200)) :]


def _padded(rng: random.Random, data: bytes) -> bytes:
    return data + bytes(rng.choice((1, 5000, 300_000)))


def _packed(_: random.Random, data: bytes) -> bytes:
    return zlib.compress(data * 50)


DAMAGES: tuple[Damage, ...] = (
    _truncated,
    _flipped,
    _head_flipped,
    _tail_flipped,
    _spliced,
    _stretched,
    _holed,
    _padded,
    _packed,
)


@functools.cache
def _case(index: int) -> bytes:
    return MALFORMED[index].data


def _chip(rng: random.Random) -> tuple[str, bytes]:
    if rng.random() < 0.15:
        index = rng.randrange(len(MALFORMED))
        return MALFORMED[index].name, _case(index)
    kind, data = rng.choice(good_files())
    if rng.random() < 0.25:
        return kind, data
    damage = rng.choice(DAMAGES)
    return f"{damage.__name__} {kind}", damage(rng, data)


NUMBERS = (
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "1e999",
    "-0",
    "1e-320",
    "9" * 400,
    "0x10",
    "1_0",
    "１",
    "",
    " ",
    "-1",
    "0",
    "1.0",
    "31",
    "null",
    "true",
    "2e0",
)
TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud7ff",
    "\U0010ffff",
    "\u202e\u0000",
    "ＳＨＩＰ",
    "😀" * 300,
    "x" * 5000,
    "'; DROP TABLE",
    "../../etc/passwd",
    "\r\nX: y",
    "%s%n",
    "{}",
    "[]",
    "nul",
    "tanker",
)
TIMES = (
    "",
    "yesterday",
    "2026-13-45T99:99:99Z",
    "0000-00-00",
    "9999-12-31T23:59:59.999999+14:00",
    "0001-01-01T00:00:00-14:00",
    "1e18",
    "-1",
    "NaN",
    "2026-03-05",
    "2026-03-05T17:20:00Z",
    "253402300800",
)
FORM: dict[str, Sequence[str]] = {
    "modality": (*TEXTS, "sar", "optical", "SAR"),
    "gsd_m": NUMBERS,
    "band": NUMBERS,
    "captured_at": TIMES,
    "lat": NUMBERS,
    "lon": NUMBERS,
    "sensor": TEXTS,
    "top_k": NUMBERS,
    "max_speed_kn": NUMBERS,
    "vessel_type": TEXTS,
    "length_tolerance": NUMBERS,
    "store": ("", "false", "maybe", "2", "False"),
}
RAW_JSON = (
    "",
    "{",
    "[]",
    "null",
    "NaN",
    "1",
    '"ship"',
    "[" * 5000,
    "{" * 3000,
    '{"a":' * 3000,
    '{"name": "\\ud800"}',
    '{"name": "\\u0000"}',
    '{"name": 1e999}',
    '{"length_m": NaN}',
    '{"length_m": Infinity}',
    '{"length_m": 1e999}',
    '{"length_m": ' + "9" * 5000 + "}",
    '{"imo": 9074729}',
    '{"imo": "９０７４７２９"}',
    '{"name": "a", "name": "b"}',
    '{"id": "not-a-uuid"}',
    '{"as_of": "9999-99-99"}',
    '{"as_of": 1e300}',
    '{"mmsi": "\\ud83d\\ude00"}',
    '{"type": "\\ud800"}',
    '{"callsign": "\\udfff"}',
    '{"source": "\\ud912"}',
    '\ufeff{"name": "bom"}',
)


def _value(rng: random.Random) -> object:
    """Return any JSON value."""
    return rng.choice(
        (
            None,
            True,
            -1,
            10**400,
            1.5,
            float("nan"),
            float("inf"),
            rng.choice(TEXTS),
            [],
            {},
            [[]],
            {"a": {}},
        )
    )


def _document(rng: random.Random, fields: Sequence[str]) -> str:
    if rng.random() < 0.4:
        return rng.choice(RAW_JSON)
    chosen = rng.sample(fields, rng.randrange(1, 4))
    return json.dumps({name: _value(rng) for name in chosen})


VESSEL = (
    "name",
    "imo",
    "mmsi",
    "callsign",
    "flag",
    "type",
    "length_m",
    "beam_m",
    "source",
    "as_of",
    "id",
    "colour",
)
METADATA = (
    "modality",
    "gsd_m",
    "band",
    "captured_at",
    "lat",
    "lon",
    "sensor",
    "source",
    "licence",
    "colour",
)


def _parts(rng: random.Random, path: str, chip: bytes) -> tuple[list[Part], str]:
    """Return the parts of a form for this path, and a summary of its fields."""
    fields: dict[str, str] = {}
    if path == "/match":
        names = rng.sample(sorted(FORM), rng.choice((0, 0, 1, 2, 3)))
        fields = {name: rng.choice(FORM[name]) for name in names}
        files: list[Part] = [("chip", _file_name(rng), chip)]
    else:
        files = [
            ("chips", _file_name(rng), chip),
            ("chips", "good.tif", sar_tiff(rng.randrange(50))),
        ]
        if path == "/gallery":
            fields["vessel"] = _document(rng, VESSEL)
        if rng.random() < 0.5:
            described = [_document(rng, METADATA) for _ in range(rng.choice((1, 2, 2, 3)))]
            fields["chip_metadata"] = "[" + ",".join(described) + "]"
    parts: list[Part] = [(name, None, _bytes(text)) for name, text in fields.items()]
    if rng.random() < 0.1:
        parts.append((rng.choice(("", "chip", "chips", "colour", "\u2603")), None, b"?"))
    return [*parts, *files], str({name: text[:60] for name, text in fields.items()})


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _file_name(rng: random.Random) -> str | None:
    return rng.choice(
        ("a.tif", "a.png", None, "", "../../../a", "\u2603.tif", "x" * 3000, "a\tb", "CON")
    )


def _framed(rng: random.Random, upload: BadUpload) -> BadUpload:
    """Return the upload with a fault in its framing or headers."""
    body, end = upload.body, f"--{BOUNDARY}--\r\n".encode()
    variants: dict[str, tuple[bytes, str | None, str | None]] = {
        "no end": (body.removesuffix(end), upload.media, None),
        "half an end": (body[: -len(end) // 2], upload.media, None),
        "cut": (body[: rng.randrange(len(body))], upload.media, None),
        "other boundary": (body, media_type("river"), None),
        "no boundary": (body, "multipart/form-data", None),
        "long boundary": (body, media_type("b" * 5000), None),
        "empty boundary": (body, media_type('""'), None),
        "media type": (
            body,
            rng.choice(("", "text/plain", "application/json", "/", "multipart/mixed")),
            None,
        ),
        "no media type": (body, None, None),
        "empty": (b"", upload.media, None),
        "noise": (rng.randbytes(3000), upload.media, None),
        "bare newlines": (body.replace(b"\r\n", b"\n"), upload.media, None),
        "many parts": (multipart([("top_k", None, b"1")] * 1200), upload.media, None),
        "long header": (
            body.replace(b"form-data", b"form-data; x=" + b"y" * 9000, 1),
            upload.media,
            None,
        ),
        "too much announced": (body, upload.media, str(len(body) + 1000)),
        "too little announced": (body, upload.media, str(len(body) // 2)),
        "endless announced": (body, upload.media, str(10**12)),
        "odd announced": (body, upload.media, rng.choice(("-1", "abc", "1e3", "٣", "", "9" * 400))),
    }
    fault = rng.choice(sorted(variants))
    body, media, announced = variants[fault]
    return BadUpload(f"{fault}; {upload.about}", upload.path, body, media, announced)
