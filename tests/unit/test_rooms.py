"""The picture of the rooms in CONTRIBUTING is that of the layers that `make lint` checks."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_picture_shows_the_layers_in_their_order():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [
        {room.strip().removeprefix("elbax.") for room in layer.split("|")}
        for layer in contracts["contracts"][0]["layers"]
    ]
    svg = (REPOSITORY / "docs" / "images" / "rooms.svg").read_text()
    drawn: dict[float, set[str]] = {}
    for height, room in re.findall(r'<text x="\d+" y="(\d+)" class="name">(\w+)</text>', svg):
        drawn.setdefault(float(height), set()).add(room)
    rows = [drawn[height] for height in sorted(drawn)]
    assert rows == layers[: len(rows)]
    # Left out are helpers at the bottom, which every room may use.
    assert all(room.startswith("_") for layer in layers[len(rows) :] for room in layer)


def test_every_room_of_the_source_is_in_a_layer():
    layers = (REPOSITORY / "pyproject.toml").read_text().partition("[[tool.importlinter")[2]
    found = {path.stem for path in (REPOSITORY / "src" / "elbax").iterdir() if path.suffix == ".py"}
    found |= {path.parent.name for path in (REPOSITORY / "src" / "elbax").glob("*/__init__.py")}
    found -= {"__init__", "__main__"}
    assert {room for room in found if not re.search(rf"\belbax\.{room}\b", layers)} == set()
