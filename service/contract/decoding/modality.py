"""Decide whether a file is optical or SAR: by samples and bands, by the caller, by its text."""

import re

import numpy as np

from service.contract.chip import Modality
from service.contract.decoding.raster import Raster
from service.contract.errors import ModalityError, PixelTypeError

SAR_WORDS = re.compile(
    r"\bSAR\b|Sentinel-?1|TerraSAR|TanDEM|PAZ-1|RADARSAT|COSMO-?SkyMed|\bICEYE|\bCapella|\bUmbra\b"
    r"|Gaofen-?3|\bGF-?3|ALOS-?2|\bPALSAR|\bNISAR",
    re.IGNORECASE,
)
OPTICAL_WORDS = re.compile(
    r"\boptical\b|WorldView|GeoEye|Pl[eé]iades|\bSPOT-?[4-7]|QuickBird|IKONOS|KOMPSAT-?[23]|SkySat"
    r"|PlanetScope|SuperDove|Sentinel-?2|Landsat|Gaofen-?[12]\b|\bGF-?[12]\b|Jilin-?1|RapidEye",
    re.IGNORECASE,
)
_FLOAT = "it has one or two bands of float"
_ASK = "say which it is with modality: sar or optical"


def resolve_modality(raster: Raster, claimed: Modality | None) -> tuple[Modality, list[str]]:
    """Return the modality to read a raster with, and a note where it was a guess.

    Hard facts decide, and may contradict the caller: complex samples, one or two bands of float
    (unless text speaks of an optical sensor),
    and band names that are exactly a polarisation are SAR; bands marked red, green and blue that
    differ from each other are optical. Without such facts the caller decides; without a caller,
    three or four differing integer bands are optical unless free text in the file suggests SAR, and
    else the text suggests.

    Raises:
        ModalityError: nothing decides, or the caller contradicts the facts.
        PixelTypeError: the caller names a modality that these samples cannot show.
    """
    certain, fact = _certain(raster)
    if claimed is not None:
        if certain is not None and certain is not claimed:
            raise _contradiction(raster, claimed, certain, fact)
        return claimed, []
    if fact == _FLOAT and raster.suggestion is Modality.OPTICAL:
        raise ModalityError(
            f"{raster.layout.bit_depth} is read as SAR, but the file's text speaks of an optical "
            "picture; send modality sar, or scale an optical picture to uint8 or uint16"
        )
    if certain is not None:
        return certain, []
    integer = raster.layout.kinds in "ui"
    if integer and len(raster.picture_bands) in (3, 4) and not has_equal_bands(raster):
        if raster.suggestion is Modality.SAR:
            raise ModalityError(
                f"{len(raster.picture_bands)} unmarked bands look optical, but the file's text "
                f"speaks of SAR; {_ASK}"
            )
        return Modality.OPTICAL, []
    if raster.suggestion is not None:
        return raster.suggestion, [
            f"taken for {raster.suggestion.value} because the file's text says so; send modality "
            "if that is wrong"
        ]
    raise ModalityError(
        f"{len(raster.layout.picture_bands)} band(s) of {raster.layout.bit_depth} in a "
        f"{raster.container} may be optical or SAR; {_ASK}"
    )


def sensor_warnings(sensor: str | None, modality: Modality) -> tuple[str, ...]:
    """Return a warning if the stated sensor is known to take pictures of the other modality."""
    said = modality_in(sensor or "")
    if said is None or said is modality:
        return ()
    return (
        f"the sensor {sensor!r} takes {said.value} pictures, but the chip was read as "
        f"{modality.value}; check sensor and modality",
    )


def modality_in(text: str) -> Modality | None:
    """Return the modality whose sensors a text names; None for none, or both."""
    words = {Modality.SAR: SAR_WORDS, Modality.OPTICAL: OPTICAL_WORDS}
    found = [modality for modality, pattern in words.items() if pattern.search(text)]
    return found[0] if len(found) == 1 else None


def has_equal_bands(raster: Raster) -> bool:
    """Return whether a picture of several bands is grey: all its bands are the same."""
    bands = [raster.band(i) for i in raster.picture_bands]
    return len(bands) > 1 and all(np.array_equal(bands[0], band) for band in bands[1:])


def _certain(raster: Raster) -> tuple[Modality | None, str]:
    """Return the modality that the file leaves no doubt about, and the fact that decides it."""
    layout = raster.layout
    if layout.kinds == "c":
        return Modality.SAR, f"its samples are complex ({layout.bit_depth})"
    if layout.has_polarisations:
        return Modality.SAR, "a band is named after a polarisation"
    if layout.kinds == "f" and len(layout.picture_bands) <= 2:
        return Modality.SAR, _FLOAT
    if layout.kinds in "ui" and layout.is_rgb and not has_equal_bands(raster):
        return Modality.OPTICAL, "its bands are marked red, green and blue and differ"
    return None, ""


def _contradiction(
    raster: Raster, claimed: Modality, certain: Modality, fact: str
) -> ModalityError | PixelTypeError:
    if claimed is Modality.OPTICAL and raster.layout.kinds == "f":
        return PixelTypeError(
            f"an optical chip has 8 or 16 bits per band, this one has {raster.layout.bit_depth}; "
            "scale it to uint8 or uint16"
        )
    if claimed is Modality.SAR and certain is Modality.OPTICAL:
        return ModalityError(
            "the chip was said to be sar, but its bands are marked red, green and blue and differ: "
            "a false-colour composite of several polarisations or dates is no SAR chip; send one "
            "polarisation as a file of one band, or modality optical if it is an optical chip"
        )
    return ModalityError(
        f"the chip was said to be {claimed.value}, but {fact}, so it is {certain.value}; send "
        f"modality {certain.value} or another file"
    )
