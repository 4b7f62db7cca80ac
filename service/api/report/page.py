"""The evidence report as one page of HTML, without scripts and without other files."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from service.api.report.figures import ChipFigure, chip_row
from service.api.report.wording import STANDINGS, VERDICTS, check_words, percent, term_words
from service.contract.manifest import learnt_from_simulation_alone
from service.identity.evidence.wording import vessel_name
from service.identity.records.match_records import MatchRecord
from service.identity.records.matches import Candidate, Match
from service.identity.records.sightings import Sighting

SHOWN_CANDIDATES = 3

STYLE = """
@page { size: A4; margin: 9mm 12mm }
body { font: 8pt/1.3 system-ui, sans-serif; max-width: 186mm; margin: 0 auto; color: #000 }
h1 { font-size: 12pt; margin: 0 0 1mm } h2 { font-size: 10pt; margin: 2mm 0 .5mm }
p { margin: .7mm 0 } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4mm 2mm .4mm 0 }
thead th { border-bottom: .3mm solid #000 } tbody tr { border-bottom: .1mm solid #999 }
.simulated { border: .5mm solid #000; padding: 1mm 2mm; font-weight: bold }
.chips { display: flex; gap: 6mm; align-items: flex-end }
figure { margin: 0; break-inside: avoid } figcaption { font-size: 7pt; max-width: 40mm }
.missing { width: 30mm } .digest { font: 6.5pt monospace; overflow-wrap: anywhere }
.sides { display: flex; gap: 6mm } .sides div { flex: 1 }
.number { text-align: right } tr, .facts { break-inside: avoid }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def report_page(
    record: MatchRecord, figures: Sequence[ChipFigure], version: str, made_at: datetime
) -> str:
    """Return the report.

    Args:
        record: the match as it was answered, and its judgements.
        figures: the query chips and those of the first candidates, see `SHOWN_CANDIDATES`.
    """
    title = f"Evidence report of match {record.id}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}</h1>{_simulation(record)}{_answer(record)}"
        f"<h2>Chips at one scale</h2>{chip_row(figures)}"
        f"<h2>Ranked vessels</h2>{_candidates(record)}"
        f"<h2>Judgements</h2>{_judgements(record)}"
        f'<div class="sides"><div>{_queries(record)}</div>'
        f"<div><h2>Origin of this answer</h2>{_facts(_origin_facts(record))}</div></div>"
        f"<p>Made {_time(made_at)} by Crossfix {escape(version)}.</p></body></html>\n"
    )


def numbered_queries(match: Match) -> list[tuple[str, Sighting]]:
    """Return each query chip with its name on the page, numbered if there are several."""
    if not match.more_queries:
        return [("query", match.query)]
    return [(f"query {n}", one) for n, one in enumerate(match.queries, 1)]


def candidate_caption(candidate: Candidate) -> str:
    """Return the caption of a candidate's chip."""
    return f"{candidate.rank}. {vessel_name(candidate)}, {candidate.sighting.modality.value}"


def _simulation(record: MatchRecord) -> str:
    if not learnt_from_simulation_alone(record.model.training_domain):
        return ""
    return (
        '<p class="simulated">The models that answered were taught on simulated ships alone. '
        "Probabilities are calibrated on simulated ships and may not hold for genuine ones.</p>"
    )


def _answer(record: MatchRecord) -> str:
    match = record.match
    verdict = VERDICTS[match.verdict.value]
    text = (
        f"<p>Asked {_time(record.asked_at)} by {escape(record.asked_by)}. Answer: "
        f"<strong>{escape(verdict)}</strong>. Decision of the analysts: "
        f"<strong>{STANDINGS[record.standing.value]}</strong>.</p>"
    )
    sentences = [match.explanation.text, *match.explanation.differences]
    if match.scene is not None:
        sentences.append(match.scene.text)
    text += "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    if match.none_probability is not None:
        text += (
            f"<p>Of {match.gallery.vessels} registered vessels. Probability that the ship is none "
            f"of the vessels compared: {percent(match.none_probability)}.</p>"
        )
    if record.options:
        options = ", ".join(f"{name} {json.dumps(value)}" for name, value in record.options.items())
        text += f"<p>Options of the request: {escape(options)}.</p>"
    return text


def _candidates(record: MatchRecord) -> str:
    candidates = record.match.candidates
    if not candidates:
        return "<p>No vessel was compared.</p>"
    rows = "".join(_candidate(one) for one in candidates[:SHOWN_CANDIDATES])
    more = len(candidates) - SHOWN_CANDIDATES
    rest = f"<p>The match record holds {more} more.</p>" if more > 0 else ""
    return (
        '<table><thead><tr><th></th><th>vessel</th><th class="number">probability</th>'
        "<th>evidence and checks</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{rest}"
    )


def _candidate(candidate: Candidate) -> str:
    vessel = candidate.vessel
    known = {"IMO": vessel.imo, "MMSI": vessel.mmsi, "type": vessel.type, "flag": vessel.flag}
    facts = [f"{name} {value}" for name, value in known.items() if value]
    if vessel.length_m is not None:
        facts.append(f"length {vessel.length_m:g} m")
    facts.append(f"similarity {candidate.similarity:.3f}")
    paragraphs = term_words(candidate.terms), check_words(candidate.checks)
    found = "<br>".join(escape("; ".join(one)) for one in paragraphs)
    return (
        f"<tr><td>{candidate.rank}</td><td><strong>{escape(vessel_name(candidate))}</strong><br>"
        f'{escape(", ".join(facts))}<br><span class="digest">{vessel.id}</span></td>'
        f'<td class="number">{percent(candidate.probability)}</td>'
        f"<td>{found}</td></tr>"
    )


def _judgements(record: MatchRecord) -> str:
    if not record.judgements:
        return "<p>Nobody has judged this match.</p>"
    lines = []
    for one in record.judgements:
        vessel = f" as {one.vessel_id}" if one.vessel_id else ""
        note = f": {one.note}" if one.note else ""
        words = f"{_time(one.at)}: {one.decision.value}{vessel} by {one.by}{note}"
        lines.append(f"<p>{escape(words)}</p>")
    return "".join(lines)


def _queries(record: MatchRecord) -> str:
    return "".join(
        f"<h2>{name.capitalize()}</h2>{_facts(_query_facts(one))}"
        for name, one in numbered_queries(record.match)
    )


def _query_facts(query: Sighting) -> dict[str, str | None]:
    position = query.position
    captured = None if query.captured_at is None else _time(query.captured_at)
    if captured and query.captured_until:
        captured += f" to {_time(query.captured_until)}"
    return {
        "sensor type": query.modality.value,
        "sensor": query.sensor,
        "measured": f"{query.length_m:.1f} m × {query.width_m:.1f} m at {query.gsd_m:g} m per "
        f"pixel ({query.gsd_source})",
        "captured": captured,
        "position": f"{position.lat:.5f}, {position.lon:.5f}" if position else None,
        "file": query.file_name,
        "case": query.case,
        "note": query.note,
        "source": query.source,
        "licence": query.licence,
        "warnings": "; ".join(query.warnings) or None,
        "sighting": str(query.id),
        "SHA-256 of the chip": query.chip_sha256,
    }


def _origin_facts(record: MatchRecord) -> dict[str, str | None]:
    chips = {
        f"SHA-256 of chip {candidate.rank}": candidate.sighting.chip_sha256
        for candidate in record.match.candidates[:SHOWN_CANDIDATES]
    }
    return {
        "models": record.model.name,
        "training domain": record.model.training_domain,
        "bundle": record.model.bundle_id,
        **chips,
        "audit log": f"entry {record.audit.number} of chain {record.audit.chain}",
        "SHA-256 of the entry": record.audit.sha256,
    }


def _facts(facts: Mapping[str, str | None]) -> str:
    rows = []
    for name, value in facts.items():
        if value is not None:
            digest = ' class="digest"' if name.startswith("SHA-256") or name == "bundle" else ""
            rows.append(f"<tr><th>{escape(name)}</th><td{digest}>{escape(value)}</td></tr>")
    return f'<table class="facts"><tbody>{"".join(rows)}</tbody></table>'


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
