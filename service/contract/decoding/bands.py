"""Choose the bands of a file that make the picture."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from service.contract.chip import Modality
from service.contract.errors import GeometryError, PixelTypeError

Colour = Literal["red", "green", "blue", "alpha", "grey", "unknown"]
RGB: tuple[Colour, Colour, Colour] = ("red", "green", "blue")

_POLARISATIONS = "HH|HV|VH|VV|RH|RV|LH|LV"
_EXACTLY_A_POLARISATION = re.compile(_POLARISATIONS, re.IGNORECASE)
_NO_AMPLITUDE = re.compile(
    r"angle|incidence|mask|phase|shadow|layover|ratio|coherence|elevation|entropy|anisotropy"
    # Also the two halves of complex samples, as SNAP names them.
    r"|(?<![a-z])(?:i|q|re(?!-)|im|real|imag|imaginary|coh|degrees?|deg|rad|radians?|pha"
    r"|std|stddev|variance|count|nesz|lia|dem|height|slope|weights?|flags?|date)(?![a-z])",
    re.IGNORECASE,
)
_HALVES = tuple(
    re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE)
    for words in ("i|re|real", "q|im|imag|imaginary")
)
_BETWEEN_CHANNELS = re.compile(r"(?<![a-z])[ct](?!([1-4])\1)[1-4][1-4](?![0-9])", re.IGNORECASE)
"""Beside the diagonal of covariance and coherency matrices."""
_COLOUR_WORD = re.compile(r"(?<![a-z])(red|green|blue)(?![a-z])(?!\W*edge)", re.IGNORECASE)
_NAMES_A_POLARISATION = re.compile(rf"(?<![a-z])(?:{_POLARISATIONS})(?![a-z])", re.IGNORECASE)
_POWER = re.compile(
    r"intensity|power|sigma|gamma|beta|nrcs|span|\^2|²"
    # The diagonal of covariance and coherency matrices.
    r"|(?<![a-z])[ct]([1-4])\1(?![0-9])",
    re.IGNORECASE,
)
_DECIBELS = re.compile(r"(?<![a-z])db(?![a-z])|decibel", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BandLayout:
    """The bands of a file, before any of them is decoded.

    Attributes:
        kinds: NumPy's kind of the samples, `u`, `i`, `f` or `c`; one letter for all bands.
        bit_depth: the sample type of the first band, e.g. `uint16`.
        names: the description of each band, empty where there is none.
        units: of the samples of each band, empty where the file does not say; or of none.
    """

    kinds: str
    bit_depth: str
    colours: tuple[Colour, ...]
    names: tuple[str, ...]
    units: tuple[str, ...] = ()

    def described(self, index: int) -> str:
        """Return the name of a band with its unit: `VV [dB]`."""
        unit = self.units[index] if self.units else ""
        return f"{self.names[index]} [{unit}]".strip() if unit else self.names[index]

    @property
    def picture_bands(self) -> tuple[int, ...]:
        """Indices of the bands that are not alpha."""
        return tuple(i for i, colour in enumerate(self.colours) if colour != "alpha")

    @property
    def is_rgb(self) -> bool:
        """Whether the file itself marks or describes three bands as red, green and blue."""
        return set(RGB) <= set(self.colours)

    @property
    def has_polarisations(self) -> bool:
        """Whether a band's name is exactly a polarisation, such as `VV`."""
        return any(_EXACTLY_A_POLARISATION.fullmatch(name.strip()) for name in self.names)

    @property
    def mentions_polarisations(self) -> bool:
        """Whether a band's name holds a polarisation, such as `Amplitude_VV`."""
        return any(map(_NAMES_A_POLARISATION.search, self.names))


def bands_to_read(
    layout: BandLayout, modality: Modality | None, band: int | None
) -> tuple[int, ...]:
    """Return the indices of the bands that have to be decoded.

    One band and the alpha band where the file can only be SAR, so that a product of many bands
    costs no more than a chip of one; all bands where the pixels decide what they are.

    Raises:
        GeometryError: there is no band of that number.
        PixelTypeError: more than four bands, of which none are chosen by number or name.
    """
    everything = tuple(range(len(layout.colours)))
    certainly_sar = layout.kinds in "fc" or layout.has_polarisations
    if (certainly_sar or modality is Modality.SAR) and not layout.is_rgb:
        alpha = [i for i, colour in enumerate(layout.colours) if colour == "alpha"]
        halves = complex_halves(layout) if band is None else ()
        return (*(halves or choose_sar_band(layout, band)[:1]), *alpha[:1])
    if len(everything) <= len(RGB) + 1:
        return everything
    if layout.is_rgb:
        chosen = [layout.colours.index(colour) for colour in RGB]
        alpha = [i for i, colour in enumerate(layout.colours) if colour == "alpha"]
        return (*chosen, *alpha[:1])
    raise PixelTypeError(
        f"an optical chip has 1, 3 or 4 bands, this one has {len(layout.picture_bands)}; send red, "
        f"green and blue, or mark them as such; for SAR, send modality sar and the number in band"
    )


def choose_sar_band(layout: BandLayout, band: int | None) -> tuple[int, list[str]]:
    """Return the index of the SAR band to use, and a note where the choice was a guess.

    Without a number the first band whose name is exactly a polarisation is taken, else the first
    whose name holds one and no word such as angle, mask or phase, else the first: products put
    incidence angles and masks before or after the radar bands. A band whose name speaks of power,
    or of no amplitude, comes last among its equals.

    Raises:
        GeometryError: there is no band of that number.
    """
    bands = layout.picture_bands
    if band is not None:
        if not 1 <= band <= len(bands):
            raise GeometryError(
                f"band {band} was asked for, but the file has {len(bands)} band(s); "
                f"send band 1 to {len(bands)}"
            )
        return bands[band - 1], _doubts(layout.described(bands[band - 1]))
    if len(bands) == 1:
        return bands[0], _doubts(layout.described(bands[0]))
    exact = [i for i in bands if _EXACTLY_A_POLARISATION.fullmatch(layout.names[i].strip())]
    polarised = [
        i
        for i in bands
        if len(_NAMES_A_POLARISATION.findall(layout.names[i])) == 1
        and not _NO_AMPLITUDE.search(layout.names[i])
    ]
    chosen = min(exact or polarised or bands, key=lambda i: bool(_doubts(layout.described(i))))
    names = [layout.names[i] or f"band {n}" for n, i in enumerate(bands, start=1)]
    used = names[bands.index(chosen)]
    return chosen, [
        f"{len(bands)} bands ({', '.join(names)}): {used} was used; choose another with band",
        *_doubts(layout.described(chosen)),
    ]


def complex_halves(layout: BandLayout) -> tuple[int, ...]:
    """Return the bands that may hold the real and the imaginary half of complex samples.

    The first two neighbours that are named so, unless another band is an amplitude; or two unnamed
    bands of signed whole numbers, as products of RADARSAT-2 and Gaofen-3 have; none in other files.
    """
    bands = layout.picture_bands
    if layout.kinds not in "if" or len(bands) < len(_HALVES):
        return ()
    if len(bands) == len(_HALVES) and layout.kinds == "i" and not any(layout.names):
        return bands
    if not _doubts(layout.described(choose_sar_band(layout, None)[0])):
        return ()
    return next((pair for pair in pairwise(bands) if are_named_halves(layout, pair)), ())


def are_named_halves(layout: BandLayout, pair: tuple[int, ...]) -> bool:
    """Return whether two bands are named real and imaginary, or I and Q."""
    return all(
        half.search(layout.names[i]) and not _BETWEEN_CHANNELS.search(layout.names[i])
        for half, i in zip(_HALVES, pair, strict=True)
    )


def is_named_decibels(name: str) -> bool:
    """Return whether the description of a band says that its samples are decibels."""
    return _DECIBELS.search(name) is not None


def _doubts(name: str) -> list[str]:
    """Warn where the description of a band says that it holds something else than amplitude."""
    if _NO_AMPLITUDE.search(name) or len(_NAMES_A_POLARISATION.findall(name)) > 1:
        return [f"the band's name {name!r} speaks of no amplitude; it was used as amplitude"]
    if _POWER.search(name) and not is_named_decibels(name):
        return [
            f"the band's name {name!r} speaks of power; it was used as amplitude: send its square "
            "root if it is power"
        ]
    return []


def marked_as_named(layout: BandLayout) -> BandLayout:
    """Mark the bands that are described as red, green and blue as such, and polarisations as none.

    Descriptions say more than marks: writers mark three bands as red, green and blue, and a fourth
    as alpha, unasked.
    """
    if layout.mentions_polarisations:
        marks = zip(layout.colours, layout.names, strict=True)
        return replace(
            layout,
            colours=tuple(
                "unknown" if _NAMES_A_POLARISATION.search(name) else mark for mark, name in marks
            ),
        )
    names = [name.strip().lower() for name in layout.names]
    for words in (RGB, ("r", "g", "b"), tuple(_named_colours(names))):
        if len(words) == len(RGB) and set(words) <= set(names):
            colours: list[Colour] = [
                colour if colour == "alpha" and name in ("", "a", "alpha", "mask") else "unknown"
                for colour, name in zip(layout.colours, names, strict=True)
            ]
            for colour, word in zip(RGB, words, strict=True):
                colours[names.index(word)] = colour
            return replace(layout, colours=tuple(colours))
    return layout


def _named_colours(names: list[str]) -> list[str]:
    """Return the names that hold the word red, green and blue, such as `b4 (red)`."""
    words = [_COLOUR_WORD.findall(name) for name in names]
    return [names[words.index([colour])] for colour in RGB if words.count([colour]) == 1]
