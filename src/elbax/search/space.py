"""What a search may vary, as texts: "learning_rate=1e-4:1e-2:log", "gradient=reparam,dreg"."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from elbax._checks import check_count, check_real
from elbax._errors import InputError, unknown

Value = float | int | str
DIGITS = 4  # of a real number that is drawn, so that a setting can be typed

METHOD = ("m", "k", "beta", "alpha", "warmup", "alpha_warmup", "gradient", "learn")
MODEL = ("hidden", "channels", "latents", "hidden_above", "activation", "scale")
TRAIN = (
    "learning_rate", "batch_size", "schedule", "adam_b1", "adam_b2", "adam_eps", "clip_norm",
)  # fmt: skip
SIZES = ("hidden", "channels", "latents", "hidden_above")
_WHOLE = ("m", "k", "batch_size", *SIZES)
_WORDS = ("gradient", "learn", "activation", "scale", "schedule")
_OWN_NUMBER = {"ciwae": "beta", "renyi": "alpha"}
_WITH_PATHS = ("iwae", "miwae", "piwae", "ciwae")  # where reparam and dreg differ most


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both included; on a logarithmic scale if `log`."""

    low: float | int
    high: float | int
    log: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that, if any, cannot be used."""
        return (self.low, self.high)

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.low:g}:{self.high:g}" + (":log" if self.log else "")

    def rounded(self, value: Value) -> Value:
        """A value drawn from it, as it is trained and typed: a few digits, and still within it."""
        if not isinstance(value, float):
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that, if any, cannot be used."""
        return self.values

    def __str__(self) -> str:
        """As it is typed."""
        return ",".join(map(str, self.values))

    def rounded(self, value: Value) -> Value:
        """The value."""
        return value


Dimension = Range | Choice
Space = dict[str, Dimension]


def parse_space(words: Sequence[str]) -> Space:
    """The space that words of a command line name, each `name=low:high`, `..:log` or `name=a,b`.

    Raises:
        InputError: an unknown name, or what stands for its values cannot be read.

    >>> parse_space(["learning_rate=1e-4:1e-2:log", "hidden=100,200x200"])["hidden"]
    Choice(values=('100', '200x200'))
    """
    space: Space = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"expected name=values, such as beta=0:1, in a search; got '{word}'.")
        if name in space:
            raise InputError(f"expected {name} once in a search; got it twice.")
        space[name] = parse_dimension(name, text)
    return space


def space_of(given: Mapping[str, str | Sequence[Value] | Dimension]) -> Space:
    """The space that a mapping names: of texts as on the command line, or of lists of values.

    >>> space_of({"beta": "0:1", "k": [8, 64]})
    {'beta': Range(low=0.0, high=1.0, log=False), 'k': Choice(values=(8, 64))}
    """
    space: Space = {}
    for name, values in given.items():
        if isinstance(values, Range | Choice):
            values = str(values)
        text = values if isinstance(values, str) else ",".join(map(str, values))
        space[name] = parse_dimension(name, text)
    return space


def parse_dimension(name: str, text: str) -> Dimension:
    """The values that a text names: a range with two ends, or a list.

    Raises:
        InputError: see `parse_space`.

    >>> parse_dimension("k", "8:64:log")
    Range(low=8, high=64, log=True)
    """
    if name not in (*METHOD, *MODEL, *TRAIN):
        raise InputError(unknown("name in a search", name, (*METHOD, *TRAIN, *MODEL)))
    read = _reader(name)
    if ":" not in text or name in _WORDS:
        values = tuple(read(name, piece.strip()) for piece in text.split(","))
        if len(set(values)) < len(values):
            raise InputError(f"expected different values of {name}; got '{text}'.")
        return Choice(values)
    low, high, *scale = text.split(":")
    if scale not in ([], ["log"]) or not (low and high):
        raise InputError(
            f"expected low:high, low:high:log or values with commas for {name}; got '{text}'."
        )
    found = Range(_number(name, low.strip()), _number(name, high.strip()), scale == ["log"])
    if not found.low < found.high:
        raise InputError(f"expected {name} from a lower to a higher number; got '{text}'.")
    if found.log and not found.low > 0:
        raise InputError(f"expected {name} > 0 on a logarithmic scale; got '{text}'.")
    return found


def _reader(name: str) -> Callable[[str, str], Value]:
    if name in SIZES:
        return _sizes
    return _word if name in _WORDS else _number


def _number(name: str, text: str) -> float | int:
    try:
        value = int(text) if name in _WHOLE else float(text)
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise InputError(f"expected {kind} for {name} in a search; got '{text}'.") from None
    return check_count(name, value) if isinstance(value, int) else check_real(name, value)


def _sizes(name: str, text: str) -> str:
    """Sizes of layers, "200x200"; they stay a text, which is what a choice is told by."""
    if not re.fullmatch(r"\d+(x\d+)*", text):
        raise InputError(
            f"expected sizes such as 100 or 200x200 for {name} in a search; got '{text}'."
        )
    return "x".join(str(size) for size in sizes_of(text))


def sizes_of(value: Value) -> tuple[int, ...]:
    """Sizes of layers as numbers.

    >>> sizes_of("200x100"), sizes_of(50)
    ((200, 100), (50,))
    """
    return tuple(check_count("a size", int(size)) for size in str(value).split("x"))


def _word(name: str, text: str) -> str:
    if not re.fullmatch(r"[\w.:-]+", text):
        raise InputError(f"expected words with commas for {name} in a search; got '{text}'.")
    return text


def default_space(method: str, *, continuous: bool) -> Space:
    """What is searched where nothing is said: settings that share one compiled program.

    The learning rate; the method's own number; and, of latents with a path, whether the gradient
    is doubly reparameterized. What the method's text says itself stays as it says.

    >>> space = default_space("ciwae(k=8)", continuous=True)
    >>> [f"{name}={values}" for name, values in space.items()]
    ['learning_rate=0.0001:0.01:log', 'beta=0:1', 'gradient=reparam,dreg']
    """
    name, _, said = method.partition("(")
    name = name.strip().lower()
    texts = {"learning_rate": "1e-4:1e-2:log"}
    if name in _OWN_NUMBER:
        texts[_OWN_NUMBER[name]] = "0:1"
    if continuous and name in _WITH_PATHS:
        texts["gradient"] = "reparam,dreg"
    return space_of({key: text for key, text in texts.items() if f"{key}=" not in said})


def longest_warmup(space: Space, method: str) -> float:
    """Epochs of the longest warm-up, before which a held-out bound says little of its setting.

    >>> longest_warmup(parse_space(["warmup=0:12"]), "iwae(k=8, alpha_warmup=5)")
    12.0
    """
    said = [float(text) for text in re.findall(r"warmup=([\d.]+)", method)]
    ends = [end for name in ("warmup", "alpha_warmup") if name in space for end in space[name].ends]
    return max([*said, *(float(end) for end in ends if not math.isnan(float(end))), 0.0])
