"""What a run folder records of its runs: their configuration, told apart, and what they cost."""

import hashlib
import json
import math
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from elbax._errors import CheckpointError, ElbaxWarning
from elbax._files import json_bytes
from elbax._reading import UnreadableError, held, read_json
from elbax.models.config import ModelConfig
from elbax.training.config import TrainConfig

_PLACE = ("name", "request", "levels")  # what the fingerprint of the data makes unnecessary
_ACCOUNT = {
    "seconds": int | float,
    "compilations": int,
    "device": str,
    "processor": str,
    "threads": int,
    "flags": dict[str, str],
    "versions": dict[str, str],
    "earlier": list[dict[str, Any]],
}
_SAID = 4  # settings that the refusal of another configuration names


class _Run(TypedDict):
    method: str
    seed: int
    learning_rate: NotRequired[float | None]


class _Data(TypedDict):
    event_shape: list[int]
    fingerprint: str
    steps_per_epoch: int


class Begun(TypedDict):
    """What a config.json has by which runs are told apart from others."""

    train: dict[str, Any]
    runs: list[Any]


class Config(TypedDict):
    """What every config.json has; it has more."""

    data: _Data
    model: dict[str, Any]
    train: dict[str, Any]
    runs: list[_Run]


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the runs in a folder.

    Raises:
        CheckpointError: the folder holds no runs, or its config.json is not readable.
    """
    file = path / "config.json"
    try:
        return read_json(file, Config)
    except FileNotFoundError:
        raise CheckpointError(
            f"expected a run folder with a config.json; found none in '{path}'. Train one with "
            f"`elbax train --out {path}`."
        ) from None
    except UnreadableError as error:
        raise CheckpointError(
            f"cannot read '{file}' ({error}); it is damaged, or not as elbax writes it."
        ) from error


def read_account(path: Path) -> dict[str, Any]:
    """What training.json says of the time and environment; without what it says wrongly."""
    try:
        account = read_json(path / "training.json")
    except (OSError, UnreadableError):
        return {}
    known = {name: account[name] for name in _ACCOUNT if _is(account.get(name), _ACCOUNT[name])}
    if not 0 <= known.get("seconds", 0) < math.inf:
        del known["seconds"]
    return known


def _is(value: Any, schema: Any) -> bool:
    try:
        held(value, schema)
    except UnreadableError:
        return False
    return True


def identity_of(config: dict[str, Any]) -> str:
    """A hash of a configuration; two runs with equal hashes give equal results.

    >>> identity_of({"a": 1}) == identity_of({"a": 2})
    False
    """
    return hashlib.sha256(json_bytes(config)).hexdigest()


def without_place(config: Any) -> Any:
    """A configuration without where its data lie: their fingerprint says which they are."""
    if not isinstance(config, dict) or not isinstance(config.get("data"), dict):
        return config
    data = {key: value for key, value in config["data"].items() if key not in _PLACE}
    return json.loads(json_bytes(config | {"data": data}))


def completed(existing: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """An older configuration with what it does not say yet, as it was then.

    Fields of a later version had their defaults. What an objective or a model of the user's own
    was is not known where it was not recorded; it is then taken to be the same, with a warning.
    """
    existing = json.loads(json.dumps(existing))
    defaults = {"train": asdict(TrainConfig()), "model": asdict(ModelConfig().explicit)}
    for part, values in defaults.items():
        known = existing.get(part)
        if isinstance(known, dict) and "custom" not in known and part in config:
            known_fields = json.loads(json.dumps(values))
            existing[part] = {k: v for k, v in known_fields.items() if k in config[part]} | known
    pairs = [(existing.get("model"), config.get("model"), "code")]
    if isinstance(existing["runs"], list):
        runs = zip(existing["runs"], config["runs"], strict=False)
        pairs += [(old, new, "objective") for old, new in runs]
    for old, new, key in pairs:
        if not isinstance(old, dict) or not isinstance(new, dict):
            continue
        if key in new and key not in old and (key != "code" or "custom" in old):
            old[key] = new[key]
            warnings.warn(
                "this folder does not say what its own model or objective was (it was written by "
                "an earlier elbax); taking it for the one that is given now.",
                ElbaxWarning,
                stacklevel=4,
            )
    return existing


def differences(existing: Any, config: Any, at: str = "") -> list[str]:
    """Settings that differ, with both values: "train.epochs: 200 there, 300 now"."""
    if isinstance(existing, list) and isinstance(config, list):
        existing, config = dict(enumerate(existing)), dict(enumerate(config))
    if isinstance(existing, dict) and isinstance(config, dict):
        names = list(dict.fromkeys([*existing, *config]))
        nothing = "nothing"
        return [
            difference
            for name in names
            for difference in differences(
                existing.get(name, nothing), config.get(name, nothing), f"{at}.{name}".strip(".")
            )
        ]
    # As JSON, so that a tuple and a list of the same numbers are the same.
    same = json.dumps(existing) == json.dumps(config)
    return [] if same else [f"{at}: {_short(existing)} there, {_short(config)} now"]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def other_configuration(path: Path, differences: list[str]) -> str:
    """The refusal of a folder that holds runs of another configuration."""
    more = len(differences) - _SAID
    listed = "; ".join(differences[:_SAID]) + (f"; and {more} more" if more > 0 else "")
    hint = ""
    if [d for d in differences if not d.startswith("train.epochs:")] == []:
        hint = (
            " The schedule runs over the epochs, so a run cannot be lengthened; a new one can "
            f"start from it (--from {path})."
        )
    return (
        f"folder '{path}' already holds another configuration ({listed}); choose another folder, "
        f"resume with that configuration, or lose those runs (--overwrite).{hint}"
    )
