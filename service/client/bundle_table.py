"""Print a bundle in a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.client.tables import plain_table, right
from service.contract.bundle import Bundle
from service.contract.manifest import Manifest, Metric
from service.contract.weighing.specs import CalibrationSpec


def show_bundle(on: Console, bundle: Bundle) -> None:
    """Print models, training, licences and measured metrics."""
    manifest = bundle.manifest
    facts = plain_table(show_header=False)
    for name, value in _facts(bundle).items():
        facts.add_row(f"[dim]{name}[/]", escape(value))
    on.print(f"[bold]{escape(manifest.name)}[/]")
    on.print(facts)
    if manifest.metrics:
        on.print(_metrics(manifest.metrics))
    else:
        on.print("[yellow]no measured metrics[/]")


def _facts(bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    megabytes = sum(spec.size_bytes for spec in manifest.files.values()) / 1e6
    calibration = manifest.calibration
    return {
        "bundle id": bundle.bundle_id,
        "method": manifest.method,
        "made": f"{manifest.created_at:%Y-%m-%d %H:%M} UTC",
        "taught on": f"{manifest.training.domain}: {manifest.training.description}",
        "input": f"{manifest.preprocess.height} x {manifest.preprocess.width} px",
        "embedding": f"{manifest.encoder.embedding_width} dimensions",
        "fusion": _fusion(manifest),
        "verdicts": (
            f"{_confident(calibration)}, rates of {len(calibration.verdicts)} verdicts and gallery "
            f"sizes; fitted on {calibration.fitted_on}"
        ),
        "files": f"{len(manifest.files)}, {megabytes:.1f} MB, all hashes right",
        "licences": "; ".join(f"{what}: {text}" for what, text in manifest.licences.items()),
    }


def _confident(calibration: CalibrationSpec) -> str:
    if not calibration.confident:
        return "never confident"
    points = ", ".join(
        f"{point.threshold:.0%} up to {point.gallery_vessels} vessels"
        for point in calibration.confident
    )
    return f"confident from {points}"


def _fusion(manifest: Manifest) -> str:
    if manifest.translator is None or not manifest.fusion.samples:
        return "none"
    return (
        f"{manifest.fusion.samples} pseudo-SAR pictures with weight {manifest.fusion.alpha:g}, "
        f"{len(manifest.translator.steps)} steps each"
    )


def _metrics(metrics: tuple[Metric, ...]) -> Table:
    numbers = (right(heading) for heading in ("value", "95 % interval", "queries", "gallery"))
    table = plain_table("data", "protocol", "metric", *numbers)
    for metric in metrics:
        known = metric.low is not None and metric.high is not None
        interval = f"{metric.low:.3g} to {metric.high:.3g}" if known else ""
        counts = ("" if n is None else str(n) for n in (metric.queries, metric.gallery))
        table.add_row(
            escape(metric.dataset),
            escape(metric.protocol),
            escape(metric.name),
            f"{metric.value:.3g}",
            interval,
            *counts,
        )
    return table
