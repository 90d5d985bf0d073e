"""The oldest releases that pyproject.toml allows, as pip takes them: "jax==0.10.0 ...".

Floors as written there are of two or three parts; pip finds the .0 itself.
"""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
floors = [re.match(r"([\w-]+)>=([\d.]+)", one) for one in project["dependencies"]]
if None in floors:
    sys.exit("expected every dependency of pyproject.toml to begin with a floor, name>=version.")
sys.stdout.write(" ".join(f"{found[1]}=={found[2]}" for found in floors) + "\n")
