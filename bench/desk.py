"""Measure the desk with many vessels: searching while typing, and the first paint of the page.

`python -m bench.desk` prints both for 50,000 vessels: milliseconds of `GET /gallery?search=` for
beginnings of one to eight letters; milliseconds in headless Chromium from a typed text to the list
of what was found; and the first paint with the number of requests: of a first visit, and of a next
one, when the browser has the files of the page.
"""

import tempfile
import time
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np

from bench.filled_gallery import NOW
from service.contract.bundle import open_bundle
from service.identity.records.vessels import Vessel
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.folder import GalleryFolder
from service.storage.edge.shard import upsert
from service.storage.points.payloads import vessel_point
from tests.support.browser.chromium import desk_page, running_chromium
from tests.support.processes.service_process import running_service

VESSELS = 50_000
BATCH = 1000
SYLLABLES = ("KA", "RO", "MI", "SE", "TA", "LU", "NO", "VE", "DA", "PI", "OR", "AN")
TYPED = ("s", "se", "ser", "sero", "seromi", "sim k", "sim ka ro", "20000", "200000037", "k 2")
ROUNDS = 5
LISTED = 100
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
TYPE = """text => new Promise((done) => {
  const field = document.querySelector("input.search");
  const began = performance.now();
  const look = () => (document.querySelector(".list").dataset.searched === text
    ? done(performance.now() - began) : requestAnimationFrame(look));
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  look();
})"""
REQUESTS = "1 + performance.getEntriesByType('resource').filter(one => one.transferSize).length"


def vessel(number: int, rng: np.random.Generator) -> Vessel:
    """Return a vessel whose name has three words and whose MMSI is its number."""
    words = ("".join(rng.choice(SYLLABLES, 3)) for _ in range(2))
    return Vessel(
        id=UUID(int=number + 1),
        name=" ".join(("SIM", *words)),
        mmsi=f"{200_000_000 + number}",
        type="tanker",
        created_at=NOW,
        updated_at=NOW,
    )


def fill(data: Path) -> None:
    """Write the vessels into the folder of an embedded gallery that is not open."""
    rng = np.random.default_rng(0)
    bundle = open_bundle(SHIPPED_BUNDLE)
    folder = GalleryFolder(data / "gallery")
    folder.sightings(bundle.bundle_id, bundle.manifest.encoder.embedding_width)
    folder.activate(bundle.bundle_id)
    for start in range(0, VESSELS, BATCH):
        points = [vessel_point(vessel(start + one, rng)) for one in range(BATCH)]
        folder.vessels.apply(upsert(points))
    folder.close()


def search_ms(client: httpx.Client, text: str) -> float:
    """Return the median milliseconds of one search."""
    durations = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        client.get("/gallery", params={"search": text, "limit": LISTED}).raise_for_status()
        durations.append((time.perf_counter() - started) * 1000)
    return float(np.median(durations))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "data")
        with running_service(Path(folder)) as service, service.client() as client:
            for text in TYPED:
                print(f"search {text!r}: {search_ms(client, text):.1f} ms")
            with running_chromium() as browser:
                for _ in range(ROUNDS):
                    with desk_page(browser, service.url) as desk:
                        for visit in ("first", "next"):
                            page = desk.open("#/gallery")
                            page.wait_for_selector(".side .list .row")
                            paint, requests = page.evaluate(PAINT), page.evaluate(REQUESTS)
                            print(f"{visit} visit: painted at {paint:.0f} ms, {requests} requests")
                            typed = [page.evaluate(TYPE, text) for text in TYPED]
                            print(f"typed: listed after {np.median(typed):.0f} ms")
                            page.goto("about:blank")


if __name__ == "__main__":
    main()
