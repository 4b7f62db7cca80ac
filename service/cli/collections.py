"""`crossfix collections`: how the Qdrant server keeps the gallery, and changing that."""

from contextlib import closing
from typing import Annotated

import typer

from service.cli.common import AsJson, print_json


def collections(
    copies: Annotated[
        int,
        typer.Option(help="How many nodes of a cluster hold each shard.", min=1, max=9),
    ] = 3,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the changes; otherwise they are only listed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List collection settings that differ from those of a new collection, or apply these.

    A collection keeps the settings that it was created with: how many nodes hold each shard, and
    what is in memory. Services may run meanwhile; Qdrant rebuilds the data in the background,
    which needs room on the disk for a second copy of the largest segment. The command can be
    stopped and repeated.
    """
    from service.settings import load_settings
    from service.wiring.stores import open_collection_upgrade

    done = []
    with closing(open_collection_upgrade(load_settings())) as upgrade:
        for step in upgrade.steps(copies):
            if apply:
                step.run()
            done.append({"collection": step.collection, "does": step.does})
            if not as_json:
                print(f"{step.collection}: {step.does}")
    if as_json:
        print_json({"applied": apply, "changes": done})
    elif not done:
        print("every collection is as the service creates it today")
    elif not apply:
        print("nothing was changed; --apply makes these changes")
