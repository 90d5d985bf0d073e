"""What a search may vary, read strictly."""

import pytest

import elbax
from elbax.search.space import Choice, Range, default_space, parse_space, space_of


def test_every_kind_of_values_is_read():
    words = ["learning_rate=1e-4:1e-2:log", "beta=0:1", "k=8:64:log", "batch_size=20,100",
             "gradient=reparam,ovis:0.5", "hidden=100,200x200", "latents=5:50"]  # fmt: skip
    assert parse_space(words) == {
        "learning_rate": Range(1e-4, 1e-2, True),
        "beta": Range(0.0, 1.0),
        "k": Range(8, 64, True),
        "batch_size": Choice((20, 100)),
        "gradient": Choice(("reparam", "ovis:0.5")),
        "hidden": Choice(("100", "200x200")),
        "latents": Range(5, 50),
    }


def test_a_space_is_told_as_it_is_typed():
    words = ["learning_rate=0.0001:0.01:log", "k=8:64", "gradient=reparam,dreg"]
    assert [f"{name}={one}" for name, one in parse_space(words).items()] == words


def test_in_python_lists_and_texts_name_the_same():
    given = {"k": [8, 64], "beta": "0:1", "gradient": ("stl",), "latents": Range(2, 4)}
    assert space_of(given) == parse_space(["k=8,64", "beta=0:1", "gradient=stl", "latents=2:4"])


def test_what_is_drawn_can_be_typed_and_stays_within():
    assert Range(1e-4, 1e-2, True).rounded(0.00123456789) == 0.001235
    assert Range(0.12344, 0.5).rounded(0.12344) == 0.12344  # not 0.1234, which is below it
    assert Range(2, 9).rounded(7) == 7


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("beta", "expected name=values, such as beta=0:1, in a search; got 'beta'"),
        ("betta=0:1", "did you mean 'beta'?"),
        ("epochs=10,20", "unknown name in a search 'epochs'"),
        ("beta=", "expected a number for beta in a search; got ''"),
        ("beta=0:", "expected low:high, low:high:log or values with commas for beta; got '0:'"),
        ("beta=0:1:2", "expected low:high, low:high:log"),
        ("beta=1:0", "expected beta from a lower to a higher number"),
        ("beta=nan:1", "expected beta to be a number that float32 can hold"),
        ("learning_rate=0:1:log", "expected learning_rate > 0 on a logarithmic scale"),
        ("k=1.5,2", "expected a whole number for k in a search; got '1.5'"),
        ("k=0,2", "expected k >= 1"),
        ("k=8,8", "expected different values of k"),
        ("hidden=100x", "expected sizes such as 100 or 200x200 for hidden"),
        ("gradient=reparam,", "expected words with commas for gradient"),
        ("gradient=__import__('os')", "expected words with commas for gradient"),
    ],
)
def test_a_wrong_word_gets_one_sentence(word, message):
    with pytest.raises(elbax.InputError) as error:
        parse_space([word])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_is_given_once():
    with pytest.raises(elbax.InputError, match="expected k once in a search; got it twice"):
        parse_space(["k=1,2", "k=3"])


@pytest.mark.parametrize(
    ("method", "continuous", "names"),
    [
        ("iwae(k=8)", True, ["learning_rate", "gradient"]),
        ("iwae(k=8, gradient=stl)", True, ["learning_rate"]),
        ("ciwae", True, ["learning_rate", "beta", "gradient"]),
        ("ciwae(k=8, beta=0.5)", True, ["learning_rate", "gradient"]),
        ("renyi", True, ["learning_rate", "alpha"]),
        ("iwae", False, ["learning_rate"]),
        ("vae", True, ["learning_rate"]),
    ],
)
def test_by_default_what_shares_a_program_is_searched(method, continuous, names):
    assert list(default_space(method, continuous=continuous)) == names
