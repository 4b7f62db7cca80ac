"""The compose files as data."""

from typing import Any

import yaml

from tests.support.paths import ROOT


class ComposeLoader(yaml.SafeLoader):
    """YAML with compose's `!reset`, read as None."""


ComposeLoader.add_constructor("!reset", lambda loader, node: None)


def compose_file(name: str) -> dict[str, Any]:
    """One compose file, anchors and merges resolved."""
    content: dict[str, Any] = yaml.load((ROOT / name).read_text(), Loader=ComposeLoader)
    return content
