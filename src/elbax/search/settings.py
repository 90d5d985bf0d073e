"""A point of the space as what is trained, and as the command that trains it."""

import re
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from elbax._errors import InputError
from elbax.models.config import PRESETS, ModelConfig
from elbax.search.space import METHOD, MODEL, SIZES, Value, sizes_of
from elbax.spelling import describe, parse
from elbax.training.config import RunSpec, TrainConfig

_WIDTH = 80  # columns of a terminal


@dataclass(frozen=True)
class Setting:
    """What one trial trains.

    Attributes:
        method: an objective as text.
        model: a configuration, or "module:function" for a model of one's own.
        train: the protocol, whose learning rate is that of all trials of a fleet.
        learning_rate: the trial's own; none takes the protocol's.
    """

    method: str
    model: ModelConfig | str
    train: TrainConfig
    learning_rate: float | None = None

    def at(self, point: Mapping[str, Value]) -> "Setting":
        """This setting with the values of a point in place of its own.

        Raises:
            InputError: they cannot be used, or not together.

        >>> base = Setting("ciwae(k=8)", ModelConfig(), TrainConfig())
        >>> base.at({"beta": 0.25, "latents": "20", "learning_rate": 0.01}).method
        'ciwae(k=8, beta=0.25)'
        """
        rest = dict(point)
        said = {name: rest.pop(name) for name in METHOD if name in rest}
        sizes = {name: rest.pop(name) for name in MODEL if name in rest}
        rate = rest.pop("learning_rate", self.learning_rate)
        if sizes and isinstance(self.model, str):
            raise InputError(
                f"expected no {' and no '.join(sizes)} in the search of a model of your own, "
                f"{self.model}, whose function decides them."
            )
        model = replace(self.model, **_sized(sizes)) if sizes else self.model  # type: ignore[type-var]
        train: TrainConfig = replace(self.train, **rest)  # type: ignore[arg-type]
        if rate is not None:
            replace(train, learning_rate=rate)  # says what is wrong with it
        return Setting(_with(self.method, said), model, train, rate)  # type: ignore[arg-type]

    @property
    def num_samples(self) -> int:
        """Samples per datum."""
        return parse(self.method).num_samples

    def runs(self, seeds: tuple[int, ...]) -> list[RunSpec]:
        """One run for each seed."""
        return [RunSpec(self.method, seed, self.learning_rate) for seed in seeds]


def _with(method: str, said: Mapping[str, Value]) -> str:
    """A method's text with some of its arguments in place of others.

    >>> _with("piwae(2, 4)", {"k": 8, "gradient": "dreg"})
    'piwae(m=2, k=8, gradient=dreg)'
    """
    name, _, inside = describe(parse(method)).removesuffix(")").partition("(")
    arguments = dict(re.findall(r"(\w+)=([^,]+)", inside)) | {k: str(v) for k, v in said.items()}
    text = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return describe(parse(f"{name}({text})"))


def _sized(values: Mapping[str, Value]) -> dict[str, Any]:
    """Fields of a model's configuration."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[name] = sizes_of(value) if name in SIZES else value
    if len(found.get("latents", ())) == 1:
        found["latents"] = found["latents"][0]  # of a plain one-layer model
    return found


def command_of(
    setting: Setting,
    seeds: tuple[int, ...],
    request: Mapping[str, Any] | None,
    *,
    data_dir: str | None = None,
    binarise: str | None = None,
    out: str = "runs/best",
) -> str:
    r"""The command that trains a setting on all training data, in lines that fit a terminal.

    Data that are in memory alone have no name to be typed; DATA stands for them.

    >>> base = Setting("iwae(k=8)", ModelConfig(), TrainConfig(epochs=3), 0.01)
    >>> print(command_of(base, (0,), {"name_or_path": "digits"}))
    elbax train --data digits --model reference --method 'iwae(k=8)' --epochs 3 \
      --learning-rate 0.01 --out runs/best
    """
    request = request or {"name_or_path": "DATA"}
    words = ["elbax train", f"--data {shlex.quote(request['name_or_path'])}"]
    if data_dir is not None:
        words.append(f"--data-dir {shlex.quote(data_dir)}")
    if binarise is not None:
        words.append(f"--binarise {binarise}")
    if request.get("levels") is not None:
        words.append(f"--levels {request['levels']:g}")
    if request.get("colour") is not None:
        words.append(f"--colour {'yes' if request['colour'] else 'no'}")
    if request.get("seed"):
        words.append(f"--data-seed {request['seed']}")
    words += _model_words(setting.model)
    words.append(f"--method {shlex.quote(setting.method)}")
    words += _train_words(setting)
    if tuple(seeds) != (0,):
        words.append(f"--seeds {' '.join(map(str, seeds))}")
    return _in_lines([*words, f"--out {shlex.quote(out)}"])


def _model_words(model: ModelConfig | str) -> list[str]:
    """The nearest preset, and what differs from it."""
    if isinstance(model, str):
        return [f"--model {shlex.quote(model)}"]
    model = model.explicit
    presets = {name: preset.explicit for name, preset in PRESETS.items()}
    differing = {
        name: [f for f in fields(model) if getattr(model, f.name) != getattr(preset, f.name)]
        for name, preset in presets.items()
    }
    name = min(differing, key=lambda one: len(differing[one]))
    return [f"--model {name}"] + [_flag(f.name, getattr(model, f.name)) for f in differing[name]]


def _train_words(setting: Setting) -> list[str]:
    train = asdict(setting.train)
    if setting.learning_rate is not None:
        train["learning_rate"] = setting.learning_rate
    usual = asdict(TrainConfig(schedule=setting.train.schedule)) | {"schedule": "anneal"}
    always = ("epochs", "learning_rate")
    return [_flag(k, value) for k, value in train.items() if k in always or value != usual[k]]


def _flag(name: str, value: Any) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    texts = value if isinstance(value, tuple) else (value,)
    return f"--{flag} {' '.join(map(str, texts))}".rstrip()


def _in_lines(words: list[str]) -> str:
    """Options on lines of a command, none of them broken."""
    kept = [word.replace(" ", "\0") for word in words]
    lines = textwrap.wrap(
        " ".join(kept),
        _WIDTH - 2,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return " \\\n".join(lines).replace("\0", " ")
