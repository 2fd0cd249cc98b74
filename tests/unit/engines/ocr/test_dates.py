from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.engines.ocr.dates import find_dates, find_times


@pytest.mark.parametrize(
    ("text", "written", "day"),
    [
        ("开票日期：2024年03月05日", "2024年03月05日", "2024-03-05"),
        ("Date 25/03/2018", "25/03/2018", "2018-03-25"),
        ("5 MAR 18", "5 MAR 18", "2018-03-05"),
        ("2018-03-05 14:22", "2018-03-05", "2018-03-05"),
        ("2018-03-0514:22", "2018-03-05", "2018-03-05"),
        ("06/12/201615:30", "06/12/2016", "2016-12-06"),
        ("24MAR2018 12:00", "24MAR2018", "2018-03-24"),
        ("Fri, Mar 5, 2018", "Mar 5, 2018", "2018-03-05"),
        ("3rd of nothing, 12/31/2016", "12/31/2016", "2016-12-31"),
        ("Tue Mar 06 15:32:11 2018", "Mar 06 15:32:11 2018", "2018-03-06"),
        ("SatNov22,2014", "Nov22,2014", "2014-11-22"),
        ("2:07PMMar52018", "Mar52018", "2018-03-05"),
        ("14:0725/03/2018", "25/03/2018", "2018-03-25"),
        ("25/03/1808:45", "25/03/18", "2018-03-25"),
        ("Mar051802:07PM", "Mar0518", "2018-03-05"),
        ("JAN09:03", "JAN09:03", "2003-01-09"),
        ("14-DIC-13", "14-DIC-13", "2013-12-14"),
        ("5 de agosto de 2014", "5 de agosto de 2014", "2014-08-05"),
        ("12. März 2014", "12. März 2014", "2014-03-12"),
        ("1O/3I/2018", "1O/3I/2018", "2018-10-31"),
        ("Jul19'14 12:36PM", "Jul19'14", "2014-07-19"),
        ("Ju11914 12:36PM", "Ju11914", "2014-07-19"),
        ("002-WCash2, 02/20/16, 04:39 PM", "02/20/16", "2016-02-20"),
        ("Date: 07-03-201o Time: 6:04PM", "07-03-201o", "2010-03-07"),
        ("二〇二四年三月十五日", "二〇二四年三月十五日", "2024-03-15"),
        ("05~05-17", "05~05-17", "2017-05-05"),
        ("18/05/31", "18/05/31", "2018-05-31"),
        ("25032018", "25032018", "2018-03-25"),
    ],
)
def test_dates(text: str, written: str, day: str) -> None:
    (found,) = find_dates(text)
    assert (found.text, found.value) == (written, dt.date.fromisoformat(day))


def test_an_ambiguous_date_tells_both_readings() -> None:
    (found,) = find_dates("05/03/2018")
    assert (found.value, found.other) == (dt.date(2018, 3, 5), dt.date(2018, 5, 3))
    assert find_dates("25/03/2018")[0].other is None


@pytest.mark.parametrize(
    "text",
    [
        "Tel 012-6028832",
        "1.25",
        "99/99/2018",
        "26317000001284650371",
        "15:42",
        "No 1/2",
        "12 SET 2.50",
        "2 MAC 15.90",
        "1 MAGNUM 2012",
        "Mar 06 15:32",
        "192.168.1.12",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert find_dates(text) == []


def test_times() -> None:
    assert [text for text, _, _ in find_times("18:24 2:05:09 PM 25:00 12:61")] == ["18:24", "2:05:09 PM"]


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    find_dates(text)
    find_times(text)


@pytest.mark.parametrize("piece", ["1/", "20", "1 ", "2018-", "二", "jan ", "1 1-", "12:"])
def test_time_is_bounded_for_long_text(piece: str) -> None:
    begin = time.thread_time()
    find_dates(piece * 50_000)
    find_times(piece * 50_000)
    assert time.thread_time() - begin < 1
