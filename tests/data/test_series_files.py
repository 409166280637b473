from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from throughtime.data.series import SeriesTable, filled
from throughtime.data.series_columns import SeriesColumns
from throughtime.data.series_files import like_given, read_series
from throughtime.errors import ArgumentError, DataError, ModelFolderError

LONG = """unique_id,ds,y,price,region
a,2024-01-01,1.5,9,north
a,2024-01-02,NA,9,north
a,2024-01-04,4,8,north
b,2024-01-02,10,7,south
b,2024-01-03,11,7,south
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def same(one: SeriesTable, other: SeriesTable) -> bool:
    return one.frame().equals(other.frame()) and one.frequency == other.frequency and one.roles == other.roles


def test_a_long_table_with_covariates(tmp_path: Path) -> None:
    table = read_series(write(tmp_path / "long.csv", LONG))
    a, b = table.series
    assert [a.unique_id, b.unique_id] == ["a", "b"]
    np.testing.assert_array_equal(a.values, [1.5, np.nan, np.nan, 4])
    np.testing.assert_array_equal(a.covariates["price"], [9, 9, np.nan, 8])
    assert table.roles == {"price": "past"}
    assert a.static == {"region": "north"}
    assert b.first - a.first == 1
    text = " ".join(table.description())
    assert "2 series of 2 to 4 values, daily, 2024-01-01 to 2024-01-04" in text
    assert "2 values are missing (33.3%) in 1 series" in text


@pytest.mark.parametrize("form", ["pandas", "polars", "parquet", "gzip", "jsonl", "semicolons"])
def test_every_form_of_a_table_gives_the_same_series(tmp_path: Path, form: str) -> None:
    wanted = read_series(write(tmp_path / "long.csv", LONG))
    frame = pd.read_csv(io.StringIO(LONG), parse_dates=["ds"])
    path = tmp_path / f"table.{form}"
    match form:
        case "pandas":
            got = read_series(frame)
        case "polars":
            got = read_series(pl.read_csv(io.StringIO(LONG), null_values="NA", try_parse_dates=True))
        case "parquet":
            frame.to_parquet(path)
            got = read_series(path)
        case "gzip":
            path = tmp_path / "table.csv.gz"
            path.write_bytes(gzip.compress(LONG.encode()))
            got = read_series(path)
        case "jsonl":
            frame.assign(ds=frame.ds.astype(str)).to_json(path, orient="records", lines=True)
            got = read_series(path)
        case _:
            got = read_series(write(path, LONG.replace(",", ";").replace("1.5", "1,5")))
    assert same(got, wanted)


def test_a_wide_table_has_a_series_in_each_column_of_numbers(tmp_path: Path) -> None:
    text = "date,x,note,z\n" + "".join(f"2024-01-01 {hour:02d}:00,{hour},n{hour},{2 * hour}\n" for hour in range(24))
    path = write(tmp_path / "wide.csv", text)
    table = read_series(path)
    assert [one.unique_id for one in table.series] == ["x", "z"]
    assert table.frequency.description == "hourly"
    assert "not used: note" in " ".join(table.description())
    one = read_series(path, SeriesColumns(target=("z",), past=("all",)))
    assert one.roles == {"x": "past", "note": "past"}
    assert one.series[0].covariates["note"][3] == "n3"
    with pytest.raises(DataError, match=r"has no column 'zz' for `target`.*did you mean 'z'"):
        read_series(path, SeriesColumns(target=("zz",)))


def test_one_bare_column_has_numbered_steps_or_begins_where_it_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "bare.txt", "112\n118\n132\n")
    table = read_series(path)
    assert table.frequency.description == "numbered steps"
    assert table.frame()["ds"].to_list() == [0, 1, 2]
    dated = read_series(path, SeriesColumns(start="1949-01", frequency="monthly"))
    assert dated.frame()["ds"].dt.strftime("%Y-%m").to_list() == ["1949-01", "1949-02", "1949-03"]
    assert read_series(write(tmp_path / "named.csv", "sales\n1\n2\n")).series[0].unique_id == "sales"


def test_layouts_of_the_competitions(tmp_path: Path) -> None:
    m4 = read_series(write(tmp_path / "m4.csv", '"V1","V2","V3","V4"\n"H1",1,2,3\n"H2",4,5,\n'))
    assert [one.values.tolist() for one in m4.series] == [[1, 2, 3], [4, 5]]
    tsf = (
        "# a comment\n@relation r\n@attribute series_name string\n@attribute start_timestamp date\n"
        "@frequency hourly\n@data\nT1:2020-01-01 00-00-00:1,?,3\nT2:2020-01-01 05-00-00:4,5\n"
    )
    monash = read_series(write(tmp_path / "monash.tsf", tsf))
    assert monash.frequency.description == "hourly"
    assert monash.series[1].first - monash.series[0].first == 5
    np.testing.assert_array_equal(monash.series[0].values, [1, np.nan, 3])
    lines = [{"start": "2020-01-31", "freq": "M", "target": [1, 2, 3], "item_id": "i"}]
    gluon = read_series(write(tmp_path / "gluon.jsonl", "\n".join(map(json.dumps, lines))))
    assert str(gluon.frame()["ds"][1])[:10] == "2020-02-29"


def test_clock_columns_are_joined(tmp_path: Path) -> None:
    rows = "".join(f"{hour + 1},2010,1,{1 + hour // 24},{hour % 24},{hour}\n" for hour in range(48))
    table = read_series(write(tmp_path / "clock.csv", "No,year,month,day,hour,value\n" + rows))
    assert len(table) == 1
    assert "hourly, 2010-01-01 00:00:00 to 2010-01-02 23:00:00" in table.description()[0]


def test_daylight_saving_makes_neither_gap_nor_duplicate(tmp_path: Path) -> None:
    hours = pd.date_range("2024-03-30", "2024-11-01", freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": hours, "y": np.arange(len(hours), dtype=float)})
    table = read_series(frame)
    assert table.series[0].missing == 0
    assert len(table.series[0]) == len(hours)
    shown = table.stamps(np.arange(table.series[0].first, table.series[0].end))
    assert (shown == hours.tz_localize(None).to_numpy()).all()
    # The same without a zone: the hour that comes twice is an error, unless the zone is named.
    naive = frame.assign(ds=hours.tz_localize(None))
    second = int(naive.ds.duplicated().to_numpy().argmax())
    with pytest.raises(DataError, match=rf"row {second}: 2024-10-27 02:00.* comes twice.*--time-zone"):
        read_series(naive)
    assert read_series(naive, SeriesColumns(time_zone="Europe/Berlin")).series[0].missing == 0
    days = pd.date_range("2024-03-25", periods=20, freq="D", tz="Europe/Berlin")
    assert read_series(pd.DataFrame({"ds": days, "y": 1.0})).frequency.description == "daily"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LONG.replace("2024-01-04", "2024-01-02"), r"t.csv:4: 2024-01-02 of a comes twice, as in .*t.csv:3"),
        (LONG.replace("b,2024-01-03", "b,2024-01-01"), r"t.csv:6: 2024-01-01 of b stands after 2024-01-02; sort"),
        (LONG.replace("10,7", "ten,7"), r"t.csv:5: 'ten' in 'y' is no number"),
        (LONG.replace("2024-01-03", "soon"), r"t.csv:6: 'soon' is no stamp like '2024-01-01'"),
        (LONG.replace("2024-", "day "), r"t.csv:2: 'day 01-01' is no stamp"),
        ("ds,y\n", "is empty"),
        ("", "is empty"),
        ("ds,y\n2024-01-01,1,2\n", r"t.csv:2: has 3 columns where the first row has 2"),
        ("ds,y\n2024-01-01,\n2024-01-02,NA\n", "has no value in 'y'"),
        ("unique_id,ds,u,v\na,2024-01-01,1,2\na,2024-01-02,1,2\n", "which column has the values.*give --target"),
    ],
)
def test_bad_tables_are_told_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_series(write(tmp_path / "t.csv", text))


def test_what_is_infinite_is_missing(tmp_path: Path) -> None:
    text = "ds,y,load\n" + "".join(f"2024-01-{day:02d},{day},{day}\n" for day in range(1, 10))
    text = text.replace("02,2,2", "02,inf,-inf")
    one = read_series(write(tmp_path / "t.csv", text)).series[0]
    assert np.isnan(one.values).tolist() == [False, True] + [False] * 7
    # Numbers still, and no names of kinds.
    load = one.covariates["load"]
    assert load.dtype == np.float64
    assert np.isnan(load.tolist()).tolist() == [False, True] + [False] * 7


def test_dates_of_other_countries_are_told(tmp_path: Path) -> None:
    german = write(tmp_path / "d.csv", "Datum;Wert\n01.02.2024;1,5\n02.02.2024;2,5\n03.02.2024;-3\n")
    table = read_series(german)
    assert table.frequency.description == "daily"
    assert table.series[0].values.tolist() == [1.5, 2.5, -3]
    both = write(tmp_path / "b.csv", "date,y\n01/02/2024,1\n02/02/2024,2\n03/02/2024,3\n")
    remarks = " ".join(read_series(both).remarks)
    assert "--date-format says otherwise" in remarks


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="series must be a path or a data frame of pandas or polars, got int"):
        read_series(3)
    with pytest.raises(DataError, match="there is no such file"):
        read_series(tmp_path / "missing.parquet")
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        SeriesTable.load(tmp_path)


def test_tables_are_cut_saved_and_given_back(tmp_path: Path) -> None:
    frame = pd.read_csv(io.StringIO(LONG), parse_dates=["ds"])
    table = read_series(frame)
    table.save(tmp_path)
    assert same(SeriesTable.load(tmp_path), table)
    assert [len(one) for one in table.last(1).series] == [1, 1]
    assert [len(one) for one in table.without_last(2).series] == [2]
    assert isinstance(like_given(table.frame(), frame), pd.DataFrame)
    assert isinstance(like_given(table.frame(), "path"), pl.DataFrame)


def test_gaps_are_filled_from_the_past_alone() -> None:
    values = np.array([np.nan, 2.0, np.nan, np.nan, 5.0])
    assert filled(values).tolist() == pd.Series(values).ffill().fillna(0).tolist()
