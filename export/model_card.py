"""Write the model card: the manifest's facts in words for users of the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_training.calibration.report import OPEN_SET, open_set_names
from service.contract.manifest import (
    EncoderRunSpec,
    EncoderSpec,
    FusionSpec,
    Metric,
    PreprocessSpec,
    TrainingSpec,
    TranslatorSpec,
    learnt_from_simulation_alone,
)
from service.contract.weighing.specs import CalibrationSpec

UNCALIBRATED = "nothing"  # `fitted_on` of a bundle without calibration


@dataclass(frozen=True, slots=True)
class CardFacts:
    """The fields of a manifest that its card describes, and remarks; see `Manifest`."""

    name: str
    method: str
    preprocess: PreprocessSpec
    encoder: EncoderSpec
    translator: TranslatorSpec | None
    fusion: FusionSpec
    calibration: CalibrationSpec
    training: TrainingSpec
    metrics: Sequence[Metric]
    licences: dict[str, str]
    notes: Sequence[str] = ()


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    sections = [
        f"# {facts.name}",
        facts.method,
        "## Training data",
        _training(facts.training),
        "## What it was measured to do",
        _metrics(_outside_open_set(facts)),
        *([change] if (change := _fusion_change(facts.metrics)) else []),
        "## What it is good for",
        _good_for(facts),
        "## What it is not good for",
        _not_good_for(facts),
        "## Probabilities and verdicts",
        _calibration(facts),
        "## How a chip becomes a vector",
        _pipeline(facts),
        *(["## Remarks", _bullets(list(facts.notes))] if facts.notes else []),
        "## Licences",
        _bullets([f"{part}: {licence}" for part, licence in sorted(facts.licences.items())]),
    ]
    return "\n\n".join(sections) + "\n"


def _training(training: TrainingSpec) -> str:
    lines = [f"Domain: **{training.domain}**", f"Datasets: {', '.join(training.datasets) or '-'}"]
    if training.seeds:
        lines.append(f"Seeds: {', '.join(map(str, training.seeds))}")
    if len(training.encoders) > 1:
        lines += [_run(run) for run in training.encoders]
    if training.commit:
        lines.append(f"Code: commit `{training.commit}`")
    if training.data_digest:
        lines.append(f"Data: digest `{training.data_digest}`")
    return f"{training.description}\n\n{_bullets(lines)}"


def _run(run: EncoderRunSpec) -> str:
    code = f"commit `{run.commit}`" if run.commit else "code of no known commit"
    return (
        f"Encoder `{run.run}`: {run.dataset}, {run.steps} steps, seed {run.seed}, {code}, "
        f"data digest `{run.data_digest}`"
    )


def _metrics(metrics: Sequence[Metric]) -> str:
    if not metrics:
        return "Nothing was measured for this bundle: do not rely on its answers."
    rows = [
        "| dataset | protocol | measure | value | 95 % interval | queries | gallery |",
        "|---|---|---|---|---|---|---|",
    ]
    for metric in metrics:
        digits = 3 if metric.name.endswith("(0 to 1)") else 1
        interval = _interval(metric, digits)
        counts = (str(n) if n is not None else "-" for n in (metric.queries, metric.gallery))
        rows.append(
            f"| {metric.dataset} | {metric.protocol} | {metric.name} | {metric.value:.{digits}f} "
            f"| {interval} | {' | '.join(counts)} |"
        )
    return "\n".join(rows)


def _interval(metric: Metric, digits: int, unit: str = "") -> str:
    """Return `low to high`, or a dash if there is no interval."""
    if metric.low is None or metric.high is None:
        return "-"
    return f"{metric.low:.{digits}f}{unit} to {metric.high:.{digits}f}{unit}"


def _fusion_change(metrics: Sequence[Metric]) -> str:
    """Describe the change of mAP by fusion and its significance; empty if it was not measured.

    The interval is that of mAP without fusion. That of the gain itself, over the same ships, is
    narrower: `crossfix-train fusion-study` measures it.
    """
    plain = {
        (metric.dataset, metric.protocol): metric
        for metric in metrics
        if metric.name == "mAP without fusion"
    }
    fused = {
        (metric.dataset, metric.protocol): metric
        for metric in metrics
        if metric.name == "mAP" and (metric.dataset, metric.protocol) in plain
    }
    if all(metric.value == plain[key].value for key, metric in fused.items()):
        return ""
    changes, beyond = [], []
    for key, metric in fused.items():
        change = f"{metric.value - plain[key].value:+.1f} ({key[0]}, {key[1]})"
        changes.append(change)
        low, high = plain[key].low, plain[key].high
        if low is not None and high is not None and not low <= metric.value <= high:
            beyond.append(change)
    verdict = (
        f"Beyond the 95 % interval of mAP without fusion lies: {'; '.join(beyond)}."
        if beyond
        else "None of this lies beyond the 95 % interval of mAP without fusion: do not count on it."
    )
    return f"Fusion with pseudo-SAR changed mAP by {'; '.join(changes)}. {verdict}"


def _good_for(facts: CardFacts) -> str:
    lines = [
        "Ranking the known vessels that a chip of one ship may show, for an analyst to decide.",
        "Chips cut tightly around one ship, upright or lying, of about the sampling distances "
        "that it was trained on.",
    ]
    if facts.metrics:
        lines.append("Galleries of about the sizes in the table above.")
    return _bullets(lines)


def _not_good_for(facts: CardFacts) -> str:
    lines = [
        "Deciding on its own that a ship is or is not a certain vessel.",
        "Chips with several ships, parts of a ship, or no ship: it answers for any picture.",
        "Telling sister ships apart where nothing on deck differs.",
    ]
    if learnt_from_simulation_alone(facts.training.domain):
        lines.append(
            "Accuracy on genuine chips beyond what the table shows for genuine data: it has "
            "learnt from simulated ships alone."
        )
    if _uncalibrated(facts.calibration):
        lines.append("Probabilities: it has none to give, see below.")
    return _bullets(lines)


def _calibration(facts: CardFacts) -> str:
    calibration = facts.calibration
    if _uncalibrated(calibration):
        return (
            "This bundle is **not calibrated**. All vessels found are equally probable, because "
            "nothing better is known, and verdicts mean nothing; the order of candidates still "
            "holds."
        )
    parts = [f"Fitted on: {calibration.fitted_on}.", *_verdicts(calibration)]
    if calibration.operating_points:
        parts += _open_set(facts)
    return "\n\n".join(parts)


def _verdicts(calibration: CalibrationSpec) -> list[str]:
    """Describe the threshold and the measured rate of each verdict."""
    if not calibration.verdicts:
        return [
            f"A top probability of at least {calibration.confident_from:.3f} is `confident`. The "
            "thresholds of the other verdicts are those of the service, and their rates were not "
            "measured."
        ]
    rows = ["| verdict | vessels enrolled | from | right | 95 % interval | answers | measured on |"]
    rows += ["|---|---|---|---|---|---|---|"]
    rows += _verdict_rows(calibration)
    text = (
        "How often answers are right: the first vessel is the ship (`confident`, `likely`, "
        "`unclear`), the ship is among those named (`ambiguous`), the ship is not enrolled "
        "(`no_match`). Half of the ships asked for are enrolled. `confident` and `likely` are "
        "probabilities of the first vessel, `no_match` that of none, `ambiguous` the sum of those "
        "named."
    )
    parts = [text, "\n".join(rows)]
    if calibration.both_ways is not None:
        other = calibration.both_ways.calibration
        parts += [
            "For queries that are compared both ways round, because their bow may be at either "
            f"end, `confident` begins at {other.confident_from:.3f} and the rates are:",
            "\n".join([*rows[:2], *_verdict_rows(other)]),
        ]
    return parts


def _verdict_rows(calibration: CalibrationSpec) -> list[str]:
    return [
        f"| `{p.verdict}` | {p.gallery_vessels} | {p.threshold:.2f} | {p.right:.1%} "
        f"| {p.right_low:.1%} to {p.right_high:.1%} | {p.answers} | {p.measured_on} |"
        for p in calibration.verdicts
    ]


def _open_set(facts: CardFacts) -> list[str]:
    """Describe the rates on the ships that set the thresholds, and on others if measured."""
    fitted_on = facts.calibration.fitted_on
    rows = [
        "| vessels enrolled | false identification | identification | 95 % interval |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {p.gallery_vessels} | {p.false_identification_rate:.1%} "
        f"| {p.identification_rate:.1%} "
        f"| {p.identification_low:.1%} to {p.identification_high:.1%} |"
        for p in facts.calibration.operating_points
    ]
    parts = [
        f"Ships that are not enrolled, against ships that are. Thresholds were set on {fitted_on}, "
        "and these rates measured on the same ships, so that they flatter:",
        "\n".join(rows),
    ]
    placed = _open_set_metrics(facts)
    datasets = dict.fromkeys(metric.dataset for metric in placed.values())
    for dataset in datasets:
        parts += [f"The same thresholds on {dataset}, which had no part in setting them:"]
        parts += [_achieved(facts.calibration, dataset, placed)]
    if not datasets:
        parts += ["No other ships were measured: expect less on ships that set no threshold."]
    return parts


PlacedMetrics = dict[tuple[str, int | None, str], Metric]


def _achieved(calibration: CalibrationSpec, dataset: str, placed: PlacedMetrics) -> str:
    """Format one data set's rates at the stored thresholds, a row per operating point."""
    rows = [
        "| vessels enrolled | false identification intended | found | 95 % interval "
        "| identification | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for p in calibration.operating_points:
        found, false = open_set_names(p.false_identification_rate)
        both = [placed.get((dataset, p.gallery_vessels, name)) for name in (false, found)]
        cells = [
            f"{m.value:.1f}% | {_interval(m, 1, '%')}" if m is not None else "- | -" for m in both
        ]
        rows.append(
            f"| {p.gallery_vessels} | {p.false_identification_rate:.1%} | {' | '.join(cells)} |"
        )
    return "\n".join(rows)


def _open_set_metrics(facts: CardFacts) -> PlacedMetrics:
    """Return the metrics of operating points, by data set, gallery size and name."""
    points = {
        (p.gallery_vessels, name)
        for p in facts.calibration.operating_points
        for name in open_set_names(p.false_identification_rate)
    }
    return {
        (metric.dataset, metric.gallery, metric.name): metric
        for metric in facts.metrics
        if metric.protocol == OPEN_SET and (metric.gallery, metric.name) in points
    }


def _outside_open_set(facts: CardFacts) -> list[Metric]:
    """Return the metrics that are not shown with the operating points."""
    placed = list(_open_set_metrics(facts).values())
    return [metric for metric in facts.metrics if metric not in placed]


def _pipeline(facts: CardFacts) -> str:
    spec, encoder = facts.preprocess, facts.encoder
    percentile = spec.denoise_percentile
    darkest = "0 stays 0" if percentile is None else f"the {percentile:g}th percentile becomes 0"
    lines = [
        f"SAR: {darkest}, the chip's maximum 255, raised to {spec.sar_exponent:g} after resizing.",
        f"Every chip is resized to {spec.height} x {spec.width} pixels (rows x columns), "
        f"normalised {'per chip' if spec.normalisation == 'per_chip' else 'by fixed statistics'}, "
        f"and encoded together with its size in metres.",
        f"Embedding: {encoder.embedding_width} numbers, weights as {encoder.graph.precision}.",
        *(
            f"On {rounded.device} the encoder computes in {rounded.precision}, "
            f"{rounded.times_faster:g} times faster; mAP changes by "
            + ", ".join(f"{gain:+.2f} ({name})" for name, gain in rounded.map_change.items())
            + f" points on {rounded.measured_on}."
            for rounded in encoder.rounded
        ),
    ]
    if (members := len(facts.training.encoders)) > 1:
        lines.append(
            f"It holds the embeddings of {members} encoders side by side, each of unit length "
            f"before fusion: the similarity of two chips is the mean of {members} opinions."
        )
    if facts.translator is None:
        lines.append("No translator: optical chips are not turned into pseudo-SAR.")
    else:
        steps = len(facts.translator.steps)
        lines.append(
            f"Translator: a Brownian bridge of {facts.translator.height} x "
            f"{facts.translator.width} pixels in {steps} step{'' if steps == 1 else 's'}."
        )
    if facts.fusion.samples:
        count = facts.fusion.samples
        pseudo = "one pseudo-SAR" if count == 1 else f"the mean of {count} pseudo-SAR"
        lines.append(
            f"An optical embedding is fused with {pseudo} embedding{'' if count == 1 else 's'} "
            f"at weight {facts.fusion.alpha:g}."
        )
    elif facts.translator is not None:
        lines.append("Pseudo-SAR is not fused into embeddings; it is there to be looked at.")
    return _bullets(lines)


def _uncalibrated(calibration: CalibrationSpec) -> bool:
    return calibration.fitted_on == UNCALIBRATED


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "-"
