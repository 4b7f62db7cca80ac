"""The commands, options, make targets and files that the pages name exist."""

import re
from pathlib import Path

import pytest
import typer

from export.cli import app as export_app
from model_training.cli.main import app as train_app
from service.cli.main import app as service_app
from tests.support.paths import ROOT

PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
PROGRAMS = {
    "crossfix": typer.main.get_command(service_app),
    "crossfix-train": typer.main.get_command(train_app),
    "crossfix-export": typer.main.get_command(export_app),
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
INDENTED = re.compile(r"^ {4}((?:crossfix|scripts/|make ).*)$", re.M)
SPAN = re.compile(r"`([^`]+)`")
TYPED = re.compile(r"(?<![\w/.-])(?<!-n )(crossfix(?:-train|-export)?) ([a-z].*)")
WRITTEN = ("data", "runs", "bundles/hoss", "demo-output", "deploy/compose.pinned.yml")
"""Where commands of the pages write."""


def code_of(page: str) -> list[str]:
    """The lines of shell and the code spans of a page; a line holds those that continue it."""
    text = (ROOT / page).read_text()
    blocks = [code for language, code in BLOCK.findall(text) if language in ("", "sh")]
    prose = BLOCK.sub("", text)
    lines = [line for code in blocks for line in code.replace("\\\n", " ").splitlines()]
    spans = [" ".join(span.split()) for span in SPAN.findall(prose)]
    return lines + INDENTED.findall(prose) + spans


def commands_of(page: str) -> list[tuple[str, list[str]]]:
    """Program and arguments of each command in a page, without comments."""
    found = [TYPED.search(line.partition(" #")[0]) for line in code_of(page)]
    return [(one[1], re.split(r"[\s|]+", one[2].strip())) for one in found if one]


def unknown(program: str, words: list[str]) -> str | None:
    """What of a command does not exist: a subcommand or an option; None if all of it does."""
    command = PROGRAMS[program]
    while isinstance(command, typer.core.TyperGroup):
        if not words:
            return None  # the page speaks of the group
        name, words = words[0], words[1:]
        if name not in command.commands:
            return name
        command = command.commands[name]
    options = {name for parameter in command.params for name in parameter.opts}
    options |= {name for parameter in command.params for name in parameter.secondary_opts}
    used = {word.partition("=")[0].strip("`,.;)") for word in words if word.startswith("--")}
    return next(iter(used - options - {"--help"}), None)


@pytest.mark.parametrize("page", PAGES)
def test_each_command_exists_with_its_options(page: str) -> None:
    faults = [(program, words, unknown(program, words)) for program, words in commands_of(page)]
    assert [fault for fault in faults if fault[2]] == []


def test_commands_are_found_on_the_pages() -> None:
    programs = [program for page in PAGES for program, _ in commands_of(page)]
    assert all(programs.count(name) >= 5 for name in PROGRAMS)
    assert unknown("crossfix", ["nonsense"]) == "nonsense"
    assert unknown("crossfix", ["audit", "verify", "--nonsense"]) == "--nonsense"
    assert unknown("crossfix", ["audit", "verify", "--heads", "heads.json"]) is None


@pytest.mark.parametrize("page", PAGES)
def test_each_make_target_exists(page: str) -> None:
    named = {target for line in code_of(page) for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES)
def test_each_file_and_link_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    rooms = "bench|bundles|demo|deploy|docs|export|model_training|scripts|service|tests"
    named = set(re.findall(rf"`((?:{rooms})/[\w./-]+)`", text))
    missing = {path for path in named if not (ROOT / path).exists()} - set(WRITTEN)
    links = re.findall(r"\]\(([^):#]+)(?:#[\w-]+)?\)", text)
    assert missing | {link for link in links if not ((ROOT / page).parent / link).exists()} == set()


def anchors(page: Path) -> set[str]:
    """The fragments by which GitHub links into a page: its headings, and the ids in its HTML."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    named = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    return named | set(re.findall(r'<a id="([\w-]+)">', text))


@pytest.mark.parametrize("page", PAGES)
def test_each_linked_heading_is_there(page: str) -> None:
    links = re.findall(r"\]\(([^):#]*)#([\w-]+)\)", (ROOT / page).read_text())
    here = ROOT / page
    targets = [(here.parent / name if name else here, fragment) for name, fragment in links]
    assert [link for link in targets if link[1] not in anchors(link[0])] == []


def test_the_page_on_training_lists_the_configs_of_make_bundle() -> None:
    script = (ROOT / "scripts/build-bundle").read_text()
    page = (ROOT / "docs/training.md").read_text()
    section = page.partition("## On simulation, on a CPU")[2].partition("\n## ")[0]
    configs = set(re.findall(r"\$configs/([\w-]+\.yaml)", script))
    assert len(configs) >= 5
    assert configs - set(re.findall(r"([\w-]+\.yaml)", section)) == set()
