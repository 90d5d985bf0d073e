"""Tables as they arrive: files, frames, arrays; kinds, holes, and what is refused."""

import numpy as np
import pytest

import elbax
from elbax._errors import DataError, ElbaxWarning, InputError
from elbax.tables.files import read_table, write_columns
from elbax.tables.schema import Schema, parse_types
from elbax.tables.table import rescaled, table_of

pytest.importorskip("pyarrow")

CSV = """age,sex,income,smokes,visits,height,id
31,f,2500.5,yes,0,1.70,a1
45,m,?,no,3,1.82,a2
,f,900.25,NA,1,1.65,a3
60,m,12000.75,yes,12,NaN,a4
28,f,3100.5,no,null,1.71,a5
39,x,1500.25,no,2,1.60,a6
51,f,800.5,yes,4,1.77,a7
70,m,700.75,no,25,1.68,a8
33,f,1100.0,no,7,1.90,a9
47,m,1000.5,yes,5,1.75,a10
22,f,950.5,no,9,1.73,a11
64,m,875.25,no,11,1.69,a12
58,f,40000.5,no,6,1.72,a13
"""
TYPES = {"id": "ignore", "age": "real", "income": "positive", "visits": "count"}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text(CSV)
    return file


def test_a_csv_is_read_with_its_header_holes_and_kinds(path):
    table = read_table(path, types=TYPES)
    kinds = {column.name: column.kind for column in table.schema.columns}
    assert kinds == {
        "age": "gaussian",
        "sex": "categorical",
        "income": "log-normal",
        "smokes": "binary",
        "visits": "negative-binomial",
        "height": "gaussian",
    }
    assert table.schema.ignored == ("id",)
    holes = [(1, "income"), (2, "age"), (2, "smokes"), (3, "height"), (4, "visits")]
    found = {(row, table.schema.names[column]) for row, column in np.argwhere(~table.mask)}
    assert found == set(holes)
    assert table.schema.columns[1].categories == ("f", "m", "x")
    complete = {column.name for column in table.schema.columns if column.complete}
    assert complete == {"sex"}


def test_values_are_standardized_by_what_is_observed(path):
    table = read_table(path, types=TYPES)
    ages = [31, 45, 60, 28, 39, 51, 70, 33, 47, 22, 64, 58]
    logs = np.log([float(line.split(",")[2]) for line in CSV.split("\n")[1:-1] if "?" not in line])
    first = np.array(ages, float)
    np.testing.assert_allclose(
        table.values[table.mask[:, 0], 0], (first - first.mean()) / first.std(), rtol=1e-6
    )
    np.testing.assert_allclose(
        table.values[table.mask[:, 2], 2], (logs - logs.mean()) / logs.std(), rtol=1e-5
    )


@pytest.mark.parametrize("ending", ["csv", "parquet", "tsv"])
def test_what_is_written_is_read_back_the_same(path, tmp_path, ending):
    table = read_table(path, types=TYPES)
    columns = table.columns()
    assert columns["smokes"].tolist()[:3] == ["yes", "no", None]
    assert columns["id"].tolist()[:2] == ["a1", "a2"]
    np.testing.assert_array_equal(columns["age"][:3], [31, 45, np.nan])
    out = tmp_path / f"back.{ending}"
    write_columns(out, columns, whole={"age", "visits"})
    again = read_table(out, types=TYPES)
    assert again.schema == table.schema
    np.testing.assert_array_equal(again.values, table.values)


def test_frames_arrays_and_dictionaries_give_the_same_table(path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    expected = read_table(path, types=TYPES)
    na = ["", "NA", "NaN", "null", "?"]
    frames = [
        pandas.read_csv(path, na_values=na),
        pandas.read_csv(path, na_values=na).convert_dtypes(),
        polars.read_csv(path, null_values=na),
        {name: column.tolist() for name, column in expected.columns().items()},
    ]
    for frame in frames:
        table = table_of(frame, types=TYPES)
        np.testing.assert_array_equal(table.values, expected.values)
        assert [c.kind for c in table.schema.columns] == [c.kind for c in expected.schema.columns]


def test_an_array_without_names_and_a_masked_one():
    array = np.array([[1.5, 2.0], [np.nan, 4.5], [3.5, 1.0]])
    table = table_of(array)
    assert table.schema.names == ("x0", "x1")
    masked = np.ma.masked_array(np.nan_to_num(array), mask=np.isnan(array))
    np.testing.assert_array_equal(table_of(masked).values, table.values)


def test_a_header_is_told_by_its_looks_unless_it_is_said(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("M,0.5,1\nF,0.25,7\nM,0.75,2\nF,0.3,2\n")
    assert read_table(file).schema.names == ("x0", "x1", "x2")
    file.write_text("a;b\n1.5;2.5\n2.5;3.5\n")
    assert read_table(file).schema.names == ("a", "b")
    file.write_text("red,big\nblue,small\nred,small\nblue,big\n")
    assert len(read_table(file, header=False)) == 4


AUTO = [
    (["yes", "no", "yes"], "binary", "2 different texts"),
    ([True, False, True], "binary", "two values"),
    ([1, 2, 1, 2], "binary", "two values"),
    ([1, 2, 3, 1, 2, 4], "categorical", "codes"),
    (list(range(30, 60)), "negative-binomial", "whole numbers from 30 to 59"),
    ([1990 + i for i in range(15)], "gaussian", "too large or too alike"),
    ([0.5, -1.5, 2.0, 0.1], "gaussian", "not whole"),
    (list(np.exp(np.linspace(-3, 3, 40))), "log-normal", "skewed"),
    ([0.1 * i for i in range(-20, 20)] + [100.5], "student", "outliers"),
]


@pytest.mark.parametrize(("cells", "kind", "why"), AUTO)
def test_auto_decides_a_kind_and_says_why(cells, kind, why):
    [column] = table_of({"a": cells}).schema.columns
    assert (column.kind, why in column.why) == (kind, True), column


def test_a_whole_number_column_up_to_255_is_no_image(tmp_path):
    """Ages and counts, with two axes, are numbers, whatever the type they are stored in."""
    ages = np.random.default_rng(0).integers(18, 99, (50, 4))
    np.save(tmp_path / "ages.npy", ages.astype(np.uint8))
    data = elbax.load_data(tmp_path / "ages.npy")
    assert (data.levels, data.binarise, data.train.dtype) == (1.0, "none", np.float32)
    for file in ("ages.csv", "ages.parquet"):
        write_columns(tmp_path / file, {f"c{i}": ages[:, i] for i in range(4)})
        data = elbax.load_data(tmp_path / file)
        assert (data.levels, data.binarise, data.schema is None) == (1.0, "none", False)
        assert {column.kind for column in data.schema.columns} == {"negative-binomial"}


def test_an_array_with_holes_is_a_table(tmp_path):
    array = np.random.default_rng(0).normal(size=(30, 3))
    array[3, 1] = np.nan
    np.save(tmp_path / "a.npy", array)
    data = elbax.load_data(tmp_path / "a.npy")
    assert data.schema.names == ("x0", "x1", "x2")
    assert np.isnan(np.concatenate([data.train, data.test])).sum() == 1
    again = elbax.load_data(**data.request)
    assert again.fingerprint() == data.fingerprint()


REFUSED = [
    ({"a": [1.5, np.inf]}, {}, "got inf in row 1 .* column 'a'"),
    ({"a": [1.5, 2.5], "b": ["x", "y"]}, {"b": "real"}, "got 'x' in row 0 .* column 'b'"),
    ({"a": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "1o"]}, {}, "got '1o' in row 9"),
    ({"a": [1.0, 1.0, np.nan]}, {}, "column 'a' to vary"),
    ({"a": [1.5, -2.5]}, {"a": "positive"}, "above 0 .* got -2.5 in row 1 .* column 'a'"),
    ({"a": [1.5, 2.0, 3]}, {"a": "count"}, "whole numbers from 0 .* got 1.5 in row 0"),
    ({"a": [np.nan, np.nan], "b": [None, None]}, {}, "all of its 2 rows"),
    ({"a": [1.5, 2.5]}, {"b": "real"}, "got 'b'"),
    ({"a": [f"name {i}" for i in range(300)]}, {}, "300 different texts"),
    ({"a": [1, 2, 3]}, {"a": "binary"}, "two values in the binary column 'a'; got 3"),
    ({"a": [1.5, 2.5]}, {"a": "ignore"}, "at least one column"),
    ({"a": np.array(["2020-01-01"], "datetime64[D]")}, {}, "numbers of dates"),
    (np.zeros(3), {}, r"\[rows, columns\]"),
    ("text", {}, "got str"),
]


@pytest.mark.parametrize(("data", "types", "sentence"), REFUSED)
def test_what_is_no_table_is_refused_with_its_row_and_column(data, types, sentence):
    with pytest.raises(InputError, match=sentence):
        table_of(data, types=types)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("a,a\n1,2\n3,4\n", "'a' is there twice"),
        ("", "it is empty"),
        ("a,b\n", "0 rows"),
        ("a,b\n1.5,inf\n2.5,1.5\n", "got inf in row 0"),
        ("a,\n1.5,2.5\n", "expected a name|0 rows|vary"),
        (b"\xff\xfe\x00\x01,\xff\n1,2\n".decode("latin-1"), "cannot read|expected"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "a.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=sentence):
        read_table(file)


def test_a_damaged_parquet_file_is_refused(tmp_path, path):
    file = tmp_path / "a.parquet"
    write_columns(file, read_table(path, types=TYPES).columns())
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"PAR1" + bytes(100) + b"PAR1", b""):
        file.write_bytes(content)
        with pytest.raises(DataError, match="cannot read"):
            read_table(file)


def test_a_table_under_the_schema_of_a_model(path):
    schema = read_table(path, types=TYPES).schema
    columns = read_table(path, types=TYPES).columns()
    shuffled = {name: columns[name] for name in reversed(columns)}
    np.testing.assert_array_equal(
        table_of(shuffled, schema=schema).values, read_table(path, types=TYPES).values
    )
    del shuffled["age"]
    with pytest.raises(DataError, match="column 'age' is not there"):
        table_of(shuffled, schema=schema)
    with pytest.raises(DataError, match="got column 'extra' too"):
        table_of(columns | {"extra": columns["age"]}, schema=schema)
    columns["sex"][4] = "q"
    with pytest.raises(DataError, match=r"got 'q' in row 4 .* column 'sex'"):
        table_of(columns, schema=schema)
    columns["sex"][4] = None
    with pytest.warns(ElbaxWarning, match="'sex', where none was missing"):
        table_of(columns, schema=schema)


def test_an_unseen_category_may_be_taken_for_missing(path):
    table = read_table(path, types=TYPES)
    columns = table.columns()
    columns["sex"][4] = "q"
    found = table_of(columns, schema=table.schema, unseen="missing")
    assert np.isnan(found.values[4, 1])
    with pytest.raises(InputError, match="unknown unseen 'drop'"):
        table_of(columns, schema=table.schema, unseen="drop")


def test_whole_numbers_stay_the_same_categories_when_holes_make_them_reals():
    table = table_of({"code": [1, 2, 3, 1, 2, 3]})
    later = table_of({"code": np.array([3.0, 1.0])}, schema=table.schema)
    assert later.values[:, 0].tolist() == [2, 0]


def test_empty_columns_and_rows_are_said():
    with pytest.warns(ElbaxWarning, match="column 'b' without any observed cell"):
        table = table_of({"a": [1.5, 2.5], "b": [None, None]})
    assert table.schema.ignored == ("b",)
    with pytest.warns(ElbaxWarning, match="1 row without any observed cell, the first row 1"):
        table_of({"a": [1.5, None, 2.5]})


def test_types_as_a_text():
    assert parse_types("a=count,b=positive") == {"a": "count", "b": "positive"}
    for text in ("a", "a=", "a=count,a=real", "=count"):
        with pytest.raises(InputError):
            parse_types(text)
    with pytest.raises(InputError, match="did you mean 'count'"):
        parse_types("a=counts")


def test_a_schema_refuses_columns_of_one_name():
    columns = table_of({"a": [1.5, 2.5]}).schema.columns
    with pytest.raises(InputError, match="different names"):
        Schema((*columns, *columns))


def test_scaling_may_be_that_of_the_training_rows():
    table = table_of({"a": [1.5, 2.5, 100.5], "b": ["x", "y", "x"]})
    found = rescaled(table, np.array([0, 1]))
    assert (found.schema.columns[0].center, found.schema.columns[0].scale) == (2.0, 0.5)
    np.testing.assert_allclose(found.values[:, 0], [-1, 1, 197])
    np.testing.assert_array_equal(found.values[:, 1], table.values[:, 1])


@pytest.mark.data
def test_published_tables_are_what_they_are(real_data_dir):
    shapes = {"abalone": (4177, 9), "banknote": (1372, 5), "horse_colic": (300, 27)}
    shapes |= {"wine_red": (1599, 12), "wine_white": (4898, 12)}
    for name, shape in shapes.items():
        types = {"x2": "ignore"} if name == "horse_colic" else None
        table = read_table(real_data_dir / "tables" / f"{name}.csv", types=types)
        assert table.values.shape == shape
        missing = 1 - table.mask.mean()
        assert missing == 0 if name != "horse_colic" else 0.15 < missing < 0.35
