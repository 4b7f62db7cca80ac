"""The markers of a whole gallery that every replica sees, and the check that needs one."""

from functools import partial

from service.identity.errors import StoreUnavailableError
from service.settings import Settings
from service.storage.local.gallery_marker import GalleryMarker
from service.wiring.stores import is_embedded, open_claims, place_of_gallery


def keys_made(settings: Settings) -> GalleryMarker:
    """Return the marker that API keys were made, which the service never removes."""
    text = "API keys were made: every request needs one"
    return _marker(settings, "keys-required", text)


def unfinished_restore(settings: Settings) -> GalleryMarker:
    """Return the marker that a restore began and has not ended."""
    text = "a restore began and has not ended: what is here is not complete"
    return _marker(settings, "restore-unfinished", text)


def require_complete(settings: Settings) -> None:
    """Check that the gallery is not what an interrupted restore left behind.

    Raises:
        StoreUnavailableError: it is, or that cannot be read.
    """
    if unfinished_restore(settings).is_set():
        raise StoreUnavailableError(
            "a restore into this gallery was interrupted, so vessels, sightings or chips are "
            f"missing; empty {place_of_gallery(settings)} and run `crossfix restore` again"
        )


def _marker(settings: Settings, name: str, text: str) -> GalleryMarker:
    shared = None if is_embedded(settings) else partial(open_claims, settings)
    return GalleryMarker(settings.data_dir / name, text, shared)
