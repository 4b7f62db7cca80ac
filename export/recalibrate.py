"""Give a bundle another calibration and other measured metrics; graphs and vectors stay."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from export.build_bundle import CARD_FILE
from export.bundle_folder import write_bundle
from export.model_card import CardFacts, model_card
from service.contract.bundle import Bundle
from service.contract.manifest import Metric
from service.contract.weighing.specs import CalibrationSpec
from service.inference.embedder import build_embedder


def recalibrate_bundle(
    older: Bundle,
    calibration: CalibrationSpec,
    metrics: Sequence[Metric],
    out: Path,
    *,
    notes: Sequence[str] = (),
    replace_existing: bool = False,
) -> Bundle:
    """Write a bundle with the models of `older`, and verify it.

    Args:
        older: the bundle whose graphs and golden vectors are taken over.
        calibration: replaces the one of `older`.
        metrics: replace those of `older` about the same data set and protocol; the others stay.
        out: folder of the new bundle; may be that of `older` with `replace_existing`.
        notes: remarks for the model card; those of `older` are not kept.
        replace_existing: replace an older bundle in `out`.

    Raises:
        BundleError: `out` exists already, or the parts are inconsistent.
    """
    manifest = older.manifest
    renewed = {(metric.dataset, metric.protocol) for metric in metrics}
    kept = [m for m in manifest.metrics if (m.dataset, m.protocol) not in renewed]
    facts = CardFacts(
        name=manifest.name,
        method=manifest.method,
        preprocess=manifest.preprocess,
        encoder=manifest.encoder,
        translator=manifest.translator,
        fusion=manifest.fusion,
        calibration=calibration,
        training=manifest.training,
        metrics=(*kept, *metrics),
        licences=dict(manifest.licences),
        notes=notes,
    )
    fields = {name: getattr(manifest, name) for name in type(manifest).model_fields}
    del fields["files"]
    fields |= {
        "created_at": datetime.now(UTC).replace(microsecond=0),
        "calibration": calibration,
        "metrics": facts.metrics,
        "model_card": CARD_FILE,
    }
    files: dict[str, bytes | Path] = {name: older.path / name for name in manifest.files}
    del files[manifest.model_card]
    files[CARD_FILE] = model_card(facts).encode()
    bundle = write_bundle(out, fields, files, replace=replace_existing)
    build_embedder(bundle, "cpu", threads=1).verify_golden()
    return bundle
