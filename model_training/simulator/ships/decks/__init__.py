"""Deck builders, one per kind of ship, each with the table of its ranges.

A builder gets the blueprint and two generators: `rng` draws what sister ships share, `own` what
belongs to this vessel alone. Where no source is named, the numbers of the tables are chosen by
eye. The suffix of a field is its unit: `_m` metres, `_of_l` the ship's length, `_of_b` its beam,
`_of_deck` the length of the deck between house and forecastle. A `Range` is drawn uniformly,
`Counts` are whole numbers with both ends included, a `Size` is length, width and height, and a
`_share` is the probability that a ship has the thing. Heights (`_top_m`) are above the main deck. x
runs from the stern, y from the centre line.
"""

from collections.abc import Callable

from model_training.simulator.draws import Rng
from model_training.simulator.ships.blueprint import Blueprint
from model_training.simulator.ships.decks import (
    bulk,
    container,
    ferry,
    gas,
    general_cargo,
    patrol,
    roll_on,
    tanker,
    workboats,
)

Builder = Callable[[Blueprint, Rng, Rng], None]

BUILDERS: dict[str, Builder] = {
    "bulk": bulk.bulk,
    "geared_bulk": bulk.geared_bulk,
    "open_hatch": bulk.open_hatch,
    "self_unloader": bulk.self_unloader,
    "general_cargo": general_cargo.general_cargo,
    "tanker": tanker.tanker,
    "lng": gas.lng,
    "lpg": gas.lpg,
    "container": container.container,
    "car_carrier": roll_on.car_carrier,
    "ro_ro": roll_on.ro_ro,
    "ferry": ferry.ferry,
    "offshore": workboats.offshore,
    "fishing": workboats.fishing,
    "patrol": patrol.patrol,
    "tug": workboats.tug,
}
"""Builder by `VesselType.deck`."""
