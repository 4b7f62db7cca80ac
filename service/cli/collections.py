"""`crossfix collections`: on how many nodes of a cluster the gallery is, and changing that."""

from contextlib import closing
from typing import Annotated

import typer

from service.cli.common import AsJson, print_json


def collections(
    copies: Annotated[
        int, typer.Option(help="How many nodes of a cluster hold each shard.", min=1, max=9)
    ] = 3,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the changes; otherwise they are only listed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List shards that fewer nodes of a cluster hold, or copy them to more nodes.

    A collection keeps the number of copies that it was created with, e.g. one on a single node.
    Services may run meanwhile. The command can be stopped and repeated.
    """
    from service.settings import load_settings
    from service.wiring.stores import open_replication

    done = []
    with closing(open_replication(load_settings())) as replication:
        for step in replication.steps(copies):
            if apply:
                step.run()
            done.append({"collection": step.collection, "does": step.does})
            if not as_json:
                print(f"{step.collection}: {step.does}")
    if as_json:
        print_json({"applied": apply, "changes": done})
    elif not done:
        print("every shard has as many copies")
    elif not apply:
        print("nothing was changed; --apply makes these changes")
