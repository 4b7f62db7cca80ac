"""The measured numbers of the README and docs/chips.md are those of the shipped bundle."""

import pytest

from service.contract.bundle import open_bundle
from service.contract.manifest import Metric
from tests.support.paths import ROOT, SHIPPED_BUNDLE

SIMULATED, SCENES, RENDERED = "simulated test ships", "simulated scenes", "simulated ships"
GENUINE = "genuine HOSS sample, zero-shot"
WAYS = {"S2O": "SAR → optical", "O2S": "optical → SAR"}
QUERIES = [
    *("tight, as given", "turned by 180 degrees, as given", "tight, as served"),
    *("turned by 180 degrees, as served", "tight, framed, both ways", "loose, as given"),
    *("loose, framed, one way", "loose, framed, both ways"),
    "loose, framed, both ways, one view",
    "loose, framed, turned as the tight chip",
]
MRR = "MRR (0 to 1)"
ECE_FIRST, ECE_NONE = "ECE first candidate (0 to 1)", "ECE none of them (0 to 1)"
METRICS = {
    (one.dataset, one.protocol, one.name): one
    for one in open_bundle(SHIPPED_BUNDLE).manifest.metrics
    if one.protocol != "open set"
}
README = " ".join((ROOT / "README.md").read_text().split())
CHIPS = " ".join((ROOT / "docs/chips.md").read_text().split())


def with_interval(metric: Metric, digits: int) -> str:
    return f"{metric.value:.{digits}f} [{metric.low:.{digits}f}, {metric.high:.{digits}f}]"


@pytest.mark.parametrize("protocol", WAYS)
@pytest.mark.parametrize("dataset", [SIMULATED, GENUINE])
def test_the_readme_shows_the_retrieval_of_the_bundle(dataset: str, protocol: str) -> None:
    names = ("R1", "R5", "mAP", "mAP size only")
    measured = [METRICS[dataset, protocol, name] for name in names]
    searched = f"{measured[0].queries:,} chips among {measured[0].gallery:,}"
    cells = [WAYS[protocol], searched, *(with_interval(one, 1) for one in measured)]
    assert f"| {' | '.join(cells)} |" in README


def test_the_first_lines_of_the_readme_say_how_good_it_is() -> None:
    simulated, genuine = (METRICS[one, "S2O", "R1"] for one in (SIMULATED, GENUINE))
    assert (
        f"Of {simulated.queries:,} SAR chips of other simulated ships, {simulated.value:.0f} % "
        f"find their ship first among {simulated.gallery:,} optical chips; of the "
        f"{genuine.queries} genuine ones that are public, {genuine.value:.0f} % among "
        f"{genuine.gallery} (95 % interval: {genuine.low:.0f} to {genuine.high:.0f} %)."
    ) in README


@pytest.mark.parametrize("protocol", WAYS)
def test_the_readme_shows_how_look_alikes_are_told_apart(protocol: str) -> None:
    measured = METRICS[SIMULATED, protocol, "look-alikes R1"]
    assert f"{with_interval(measured, 1)} ({WAYS[protocol]})" in README
    assert f"{measured.gallery} ships of one type" in README


@pytest.mark.parametrize("name", [ECE_FIRST, ECE_NONE])
def test_the_readme_shows_the_calibration_error_on_genuine_chips(name: str) -> None:
    measured = METRICS[GENUINE, "each chip asked with its vessel and without", name]
    assert with_interval(measured, 3) in README


@pytest.mark.parametrize("query", QUERIES)
def test_the_page_on_chips_shows_the_effect_of_framing(query: str) -> None:
    columns = [(GENUINE, "S2O"), (GENUINE, "O2S"), (SCENES, "S2O"), (SCENES, "O2S")]
    cells = [with_interval(METRICS[data, f"{way}, {query}", MRR], 2) for data, way in columns]
    assert f"| {query} | {' | '.join(cells)} |" in CHIPS


def test_the_page_on_chips_shows_the_errors_of_framing() -> None:
    def of(name: str, digits: int = 0) -> tuple[str, str]:
        values = [METRICS[SCENES, f"framing, {way}", name].value for way in ("sar", "optical")]
        return f"{values[0]:.{digits}f}", f"{values[1]:.{digits}f}"

    axis, length = of("axis within 3 degrees"), of("length within 8 %")
    assert f"{axis[0]} % of SAR and {axis[1]} % of optical scenes" in CHIPS
    assert f"length within 8 % in {length[0]} and {length[1]} %" in CHIPS
    length, width = of("median error of length", 1), of("median error of width")
    assert f"length was {length[0]} and {length[1]} %" in CHIPS
    assert f"the beam, {width[0]} and {width[1]} %" in CHIPS


@pytest.mark.parametrize("gsd", ["0.5", "1", "2", "3", "5", "10"])
def test_the_page_on_chips_shows_the_retrieval_of_coarse_chips(gsd: str) -> None:
    protocols = [f"{way}, queries at {gsd} m" for way in ("S2O", "O2S")]
    columns = [(data, protocol) for data in (RENDERED, GENUINE) for protocol in protocols]
    measured = [METRICS.get((data, protocol, "mAP")) for data, protocol in columns]
    cells = ["–" if one is None else with_interval(one, 0) for one in measured]
    assert cells.count("–") == (2 if gsd == "0.5" else 0)
    assert f"% | {' | '.join(cells)} |" in CHIPS


@pytest.mark.parametrize("gsd", [2, 3, 5, 10])
def test_the_page_on_chips_shows_the_calibration_errors_of_coarse_chips(gsd: int) -> None:
    protocol = f"calibration, queries at {gsd} m"
    names = (ECE_FIRST, "ECE none (0 to 1)")
    cells = [f"{METRICS[SIMULATED, protocol, name].value:.3f}" for name in names]
    assert f"| {gsd} m | {' | '.join(cells)} |" in CHIPS
