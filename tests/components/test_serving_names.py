from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from headrace.components.exporting.serving_names import serving_names


def test_names_are_as_near_to_the_columns_as_can_be() -> None:
    columns = ["Median Income ($)", "größe", "od280/od315", "A", "a", "2nd", "self", "名前", "年齢", "_x"]
    assert serving_names(columns) == {
        "Median Income ($)": "Median_Income",
        "größe": "gro_e",
        "od280/od315": "od280_od315",
        "A": "A",
        "a": "a_2",
        "2nd": "c_2nd",
        "self": "c_self",
        "名前": "c",
        "年齢": "c_2",
        "_x": "x",
    }


@given(st.lists(st.text(min_size=1), unique=True, max_size=12))
def test_names_are_valid_and_unique_ignoring_case(columns: list[str]) -> None:
    names = serving_names(columns)
    assert list(names) == columns
    assert len({name.lower() for name in names.values()}) == len(columns)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names.values())
