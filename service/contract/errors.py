"""Errors of chips, bundles and inference, independent of HTTP.

Every message says what was wrong and what would be right. `kind` is a short, stable name for
metrics and problem types.
"""


class CrossfixError(Exception):
    """Base of all errors that the project raises on purpose."""

    kind = "error"


class ChipError(CrossfixError):
    """The uploaded bytes cannot be used as a chip."""

    kind = "chip"


class EmptyChipError(ChipError):
    """No bytes, or no pixels, were given."""

    kind = "chip-empty"


class UnsupportedFormatError(ChipError):
    """The image format is not supported."""

    kind = "chip-format"


class CorruptChipError(ChipError):
    """The format is known, but the file is truncated or damaged."""

    kind = "chip-corrupt"


class ChipSizeError(ChipError):
    """The chip has too few or too many pixels or bytes."""

    kind = "chip-size"


class ChipContentError(ChipError):
    """The pixels carry no usable picture: constant, NaN, infinite, or all no-data."""

    kind = "chip-content"


class PixelTypeError(ChipError):
    """The number of bands or the data type does not fit the modality."""

    kind = "chip-pixel-type"


class ModalityError(ChipError):
    """The modality cannot be read from the file and was not given, or contradicts the file."""

    kind = "chip-modality"


class GeometryError(ChipError):
    """A ground sampling distance, position or band number is out of range."""

    kind = "chip-geometry"


class DecodeLimitError(ChipError):
    """Decoding the chip takes more time or memory than a chip may take."""

    kind = "chip-decode-limit"


class NoShipError(ChipError):
    """No ship was found in the chip, and the client did not ask to use it as it is."""

    kind = "no-ship"


class BundleError(CrossfixError):
    """The bundle is incomplete, tampered with, or not usable by this version."""

    kind = "bundle"


class TranslationError(ChipError):
    """No pseudo-SAR picture can be made: the chip is SAR, or the bundle has no translator."""

    kind = "chip-translation"


class OverloadedError(CrossfixError):
    """The queue is full, closing, or took too long; trying again later may succeed."""

    kind = "overloaded"
