"""Whether headrace's constants and shards are those of tensorflow-transform.

    python -m venv /tmp/tft && /tmp/tft/bin/pip install tensorflow-transform==1.21.0    # Python 3.10 to 3.13
    python tests/peers/compare.py --peer /tmp/tft/bin/python --housing housing.csv

The component `transform` runs in this environment, with Beam and many units of work, and its shards are read
back; tensorflow-transform runs in its own. Prints an item a line and exits with 1 if one of them fails.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.components.dataset import dataset
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.transform import transform
from headrace.pipelines.context import Context, RunnerSettings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "components")]
from raw_examples import make_raw_examples  # noqa: E402
from tables import ROW, drawn, housing  # noqa: E402

SHARED: dict[str, Any] = {
    "quantiles": [[10, 1e-4], [4, 1e-4], [10, 0.01]],
    "vocabularies": {
        "all": {"oov_buckets": 1},
        "top": {"top_k": 20, "oov_buckets": 3},
        "frequent": {"min_count": 12, "oov_buckets": 1},
    },
    "hashes": [10, 1000, 2**31 - 1],
}
EXACT_EPSILON = 1e-4
"""Below this error tensorflow-transform's sketch holds all values of these tables."""
LABEL = "a label"
HALF = 2.0**-24
"""The relative error of rounding once to float32."""


@dataclass(frozen=True)
class Item:
    """One comparison of one column: how many values, the worst difference in `unit`, and what is allowed."""

    what: str
    column: str
    values: int
    worst: float
    allowed: float
    unit: str

    @property
    def fine(self) -> bool:
        """NaN is never fine."""
        return self.worst <= self.allowed


def plan_of(table: pa.Table) -> dict[str, Any]:
    """What is asked of both for a table."""
    numbers = [n for n in table.column_names if n != ROW and not pa.types.is_string(table[n].type)]
    dense = [name for name in numbers if not table[name].null_count]
    keys = [n for n in table.column_names if pa.types.is_string(table[n].type) and not table[n].null_count]
    keys = [n for n in keys if not pc.any(pc.equal(table[n], "")).as_py()]
    cuts = {name: np.quantile(single(table[name]), [0.1, 0.5, 0.9]).astype(np.float32) for name in dense}
    return {
        "numbers": numbers,
        "dense": dense,
        "key": min(keys, key=lambda n: len(table[n].unique()), default=""),
        "as_words": [name for name in ("digits",) if name in numbers],
        "boundaries": {name: sorted({float(cut) for cut in found}) for name, found in cuts.items()},
    }


def single(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """The values that are there, as float32."""
    found: np.ndarray[Any, Any] = column.drop_null().to_numpy().astype(np.float32)
    return found


def features_of(table: pa.Table, plan: dict[str, Any]) -> dict[str, Any]:
    """The same wishes in headrace's grammar; what is missing is filled after it was scaled."""
    made: dict[str, Any] = {ROW: "identity"}
    fill = {"impute": {"constant": 0}}
    for name in table.column_names:
        if name in plan["numbers"]:
            made |= {
                f"{name}/{kind}": {"from": name, "apply": [kind, fill]} for kind in ("z_score", "min_max")
            }
        if name in plan["dense"] and plan["key"]:
            kinds = {kind: {kind: {"by": plan["key"]}} for kind in ("z_score", "min_max")}
            made |= {f"{name}/{k} by key": {"from": name, "apply": [told, fill]} for k, told in kinds.items()}
        if name in plan["dense"]:
            for key, buckets in {"4": 4, "10": 10, "given": plan["boundaries"][name]}.items():
                apply = {"bucketize": {"buckets": buckets, "output": "ids"}}
                made[f"{name}/buckets/{key}"] = {"from": name, "apply": apply}
        if name != ROW and (name not in plan["numbers"] or name in plan["as_words"]):
            for key, options in SHARED["vocabularies"].items():
                made[f"{name}/ids/{key}"] = {"from": name, "apply": {"vocabulary": options}}
        if name != ROW and name not in plan["numbers"]:
            made |= {f"{name}/hash/{n}": {"from": name, "apply": {"hash": n}} for n in SHARED["hashes"]}
    return made


def ours(folder: Path, table: pa.Table, plan: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """By feature: the constants of its first transform; the values in the shards in the order of rows."""
    folder.mkdir()
    labelled = table.append_column(LABEL, pa.array(np.arange(table.num_rows) / 2))
    raw = make_raw_examples(folder / "raw", {"train": labelled}, rows_per_part=900)
    (folder / "stage").mkdir()
    threads = {"direct_num_workers": "2", "direct_running_mode": "multi_threading"}
    ctx = Context("transform", folder / "stage", RunnerSettings("direct", threads), lambda event: None)
    made = transform.function(ctx, raw, label={LABEL: "identity"}, features=features_of(table, plan))
    fitted = load_fitted(made.transform.path)
    constants = {f.name: f.branches[0].stages[0].constants for f in fitted.fitted}
    batches = [features for features, _ in dataset(made.examples, batch_size=1024).as_numpy_iterator()]
    columns = {name: np.concatenate([b[name] for b in batches])[:, 0] for name in batches[0]}
    order = np.argsort(columns[ROW])
    return constants, {name: column[order] for name, column in columns.items()}


class Theirs:
    """What tensorflow-transform wrote for a table."""

    def __init__(self, folder: Path, name: str) -> None:
        self._table = pq.read_table(folder / f"{name}.out.parquet")
        told = json.loads((folder / f"{name}.json").read_text("utf-8"))
        self.words: dict[str, list[str]] = told["vocabularies"]

    def rows(self, name: str) -> np.ndarray[Any, Any]:
        """The values of a column, missing ones left out; float64 comes as its bits."""
        flat = self._table[name].combine_chunks().flatten()
        while not pa.types.is_primitive(flat.type):
            flat = flat.flatten()
        found: np.ndarray[Any, Any] = flat.to_numpy()
        return found.view(np.float64) if name.endswith("64") and found.dtype == np.int64 else found

    def constant(self, name: str) -> np.ndarray[Any, Any]:
        """A constant, which stands in each row."""
        found = np.asarray(self._table[name][0].as_py()).ravel()
        return found.view(np.float64) if name.endswith("64") and found.dtype == np.int64 else found


def ulps(a: float, b: float) -> float:
    """The distance of two numbers in steps of float32."""
    steps = [int(np.float32(x).view(np.int32)) for x in (a, b)]
    signed = [s if s >= 0 else -(s & 0x7FFFFFFF) for s in steps]
    return math.nan if math.isnan(a) or math.isnan(b) else float(abs(signed[0] - signed[1]))


def different(a: Any, b: Any) -> float:
    """How many values differ; infinitely many where the numbers of values do."""
    return float(np.count_nonzero(np.asarray(a) != np.asarray(b))) if len(a) == len(b) else math.inf


def compare_numbers(
    name: str, column: pa.ChunkedArray, constants: Any, values: Any, them: Theirs
) -> Iterator[Item]:
    """Moments, ranges and scaled values of a numeric column."""
    there = column.is_valid().to_numpy()
    z, scaled = constants[f"{name}/z_score"], constants[f"{name}/min_max"]
    mean, deviation = them.constant(f"{name}/mean64")[0], math.sqrt(them.constant(f"{name}/var64")[0])
    low, high = (float(them.constant(f"{name}/{end}")[0]) for end in ("min", "max"))
    if pa.types.is_integer(column.type):
        low, high = float(np.float32(low)), float(np.float32(high))
    n = int(there.sum())
    yield Item("mean (TFT in float64)", name, n, ulps(z["mean"], mean), 0, "ulp")
    yield Item("deviation (TFT in float64)", name, n, ulps(z["std"], deviation), 0, "ulp")
    loose = math.inf  # which is theirs: float32 within a batch
    yield Item(
        "mean (TFT in float32)", name, n, ulps(z["mean"], them.constant(f"{name}/mean")[0]), loose, "ulp"
    )
    theirs = math.sqrt(them.constant(f"{name}/var")[0])
    yield Item("deviation (TFT in float32)", name, n, ulps(z["std"], theirs), loose, "ulp")
    yield Item("minimum", name, n, ulps(scaled["min"], low), 0, "ulp")
    yield Item("range", name, n, ulps(scaled["span"], high - low), 0, "ulp")
    exact = them.rows(f"{name}/z_score64")
    # The mean, the difference, the reciprocal and the product are each rounded once.
    unit = HALF * (3 * np.abs(exact) + (abs(mean) / deviation if deviation else 0)) + 1e-30
    worst = np.max(np.abs(values[f"{name}/z_score"][there] - exact) / unit)
    yield Item("z_score in the shards", name, n, float(worst), 1.01, "of the rounding allowed")
    worst = np.max(np.abs(them.rows(f"{name}/z_score") - exact) / unit)
    yield Item("the same, TFT in float32", name, n, float(worst), loose, "of the rounding allowed")
    if low < high:
        error = np.max(np.abs(values[f"{name}/min_max"][there] - them.rows(f"{name}/min_max")))
        yield Item("min_max in the shards", name, n, float(error) / HALF, 6, "of 2^-24")


def compare_by_key(
    name: str, column: pa.ChunkedArray, keys: pa.ChunkedArray, values: Any, them: Theirs
) -> Iterator[Item]:
    """Values scaled by the statistics of their key."""
    numbers, codes = single(column).astype(np.float64), keys.combine_chunks().dictionary_encode().indices
    codes = codes.to_numpy()
    count = np.bincount(codes)
    mean = (np.bincount(codes, numbers) / count)[codes]
    deviation = np.sqrt(np.bincount(codes, (numbers - mean) ** 2) / count)[codes]
    exact = them.rows(f"{name}/z_score by key64")
    rounded = np.abs(mean)
    if pa.types.is_integer(column.type):
        # They are rounded to float32 before all else, hence their mean is off as well; in TFT's float64 not.
        rounded += np.abs(numbers) + (np.bincount(codes, np.abs(numbers)) / count)[codes]
    # A mean of 0 is one up to the order in which float64 were added, and neither order is the right one.
    rounded += np.finfo(np.float64).eps * np.abs(numbers).max() / HALF
    share = np.divide(rounded, deviation, out=np.zeros_like(mean), where=deviation > 0)
    unit = HALF * (3 * np.abs(exact) + share) + 1e-30
    worst = np.max(np.abs(values[f"{name}/z_score by key"] - exact) / unit)
    yield Item("z_score by key", name, len(codes), float(worst), 1.01, "of the rounding allowed")
    low, high = np.full(len(count), np.inf), np.full(len(count), -np.inf)
    np.minimum.at(low, codes, numbers)
    np.maximum.at(high, codes, numbers)
    spans = (low < high)[codes]  # of a constant, ours is the middle of the range
    error = np.abs(values[f"{name}/min_max by key"] - them.rows(f"{name}/min_max by key"))[spans]
    yield Item("min_max by key", name, len(error), float(error.max(initial=0)) / HALF, 6, "of 2^-24")


def compare_buckets(
    name: str, column: pa.ChunkedArray, constants: Any, values: Any, them: Theirs
) -> Iterator[Item]:
    """Quantile boundaries, and buckets by these and by given boundaries."""
    ordered = np.sort(single(column))
    n = len(ordered)
    for buckets, epsilon in SHARED["quantiles"]:
        mine = constants[f"{name}/buckets/{buckets}"]["boundaries"]
        found = them.constant(f"{name}/quantiles/{buckets}/{epsilon}").astype(np.float32)
        if epsilon <= EXACT_EPSILON:
            theirs = sorted({float(x) for x in found})
            yield Item("quantile boundaries", name, len(mine), different(mine, theirs), 0, "different")
            # TFT keeps boundaries that coincide and thereby ids that never occur.
            kept = np.array([len({float(x) for x in found[:i]}) for i in range(buckets)])
            ids = kept[them.rows(f"{name}/bucketize/{buckets}")]
            got = values[f"{name}/buckets/{buckets}"]
            yield Item("bucketize by quantiles", name, n, different(got, ids), 0, "different")
        wanted = np.arange(1, buckets) * n / buckets
        for who, cuts, allowed in (("headrace's", np.unique(mine), 1 / n), ("TFT's", found, epsilon + 1 / n)):
            if who == "TFT's" or len(cuts) == buckets - 1:
                below, upto = np.searchsorted(ordered, cuts), np.searchsorted(ordered, cuts, side="right")
                error = np.max(np.maximum(0, np.maximum(below - wanted, wanted - upto))) / n
                what = f"{who} quantiles, ε={epsilon}" if who == "TFT's" else "headrace's quantiles"
                yield Item(what, name, buckets - 1, error, allowed, "of the ranks")
    got, theirs_ids = values[f"{name}/buckets/given"], them.rows(f"{name}/apply_buckets")
    yield Item("bucketize by given boundaries", name, n, different(got, theirs_ids), 0, "different")


def compare_words(
    name: str, column: pa.ChunkedArray, constants: Any, values: Any, them: Theirs
) -> Iterator[Item]:
    """Vocabularies, ids and hashes; headrace takes an empty string for a missing one."""
    there = column.is_valid().to_numpy()
    for key in SHARED["vocabularies"]:
        mine, theirs = list(constants[f"{name}/ids/{key}"]["keys"]), them.words[f"{name}/{key}"]
        yield Item(f"vocabulary ({key})", name, len(mine), different(mine, theirs), 0, "different")
        got = values[f"{name}/ids/{key}"][there]
        yield Item(
            f"ids ({key})", name, len(got), different(got, them.rows(f"{name}/ids/{key}")), 0, "different"
        )
    for buckets in SHARED["hashes"] if pa.types.is_string(column.type) else ():
        got, hashes = values[f"{name}/hash/{buckets}"][there], them.rows(f"{name}/hash/{buckets}")
        yield Item("hash buckets", name, len(got), different(got, hashes), 0, "different")


def compare(table: pa.Table, plan: dict[str, Any], mine: Any, them: Theirs) -> list[Item]:
    """All comparisons of a table."""
    constants, values = mine
    items: list[Item] = []
    for name in table.column_names:
        given = (name, table[name], constants, values, them)
        items += compare_numbers(*given) if name in plan["numbers"] else []
        items += compare_buckets(*given) if name in plan["dense"] else []
        if name in plan["dense"] and plan["key"]:
            items += compare_by_key(name, table[name], table[plan["key"]], values, them)
        items += compare_words(*given) if f"{name}/all" in them.words else []
    return items


def report(name: str, rows: int, items: list[Item]) -> bool:
    """Prints a line an item, its columns together; gives whether all are fine."""
    print(f"\n{name}, {rows:,} rows")
    for what in dict.fromkeys(item.what for item in items):
        group = [item for item in items if item.what == what]
        worst = max(group, key=lambda item: (not item.fine, item.worst))
        fine = worst.fine
        found = "equal" if worst.worst == 0 else f"{worst.worst:.3g} {worst.unit} ({worst.column})"
        bar = (
            "for information"
            if worst.allowed == math.inf
            else ""
            if fine
            else f"MORE than {worst.allowed:.3g}"
        )
        values = sum(item.values for item in group)
        print(f"  {what:32} {len(group):3} columns {values:9,} values  {found:44} {bar}")
    return all(item.fine for item in items)


def run_peer(python: str, folder: Path, tables: dict[str, pa.Table], plans: dict[str, Any]) -> bool:
    """Lets tensorflow-transform work on the tables; False, with what it said, if it failed."""
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps({**SHARED, "tables": plans}), "utf-8")
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    script = Path(__file__).with_name("tensorflow_transform_values.py")
    log = folder / "peer.log"
    with log.open("w") as written:
        failed = subprocess.run([python, script, folder], stderr=written).returncode
    if failed:
        print(log.read_text()[-4000:])
    return not failed


def main() -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", required=True, help="the python that has tensorflow-transform")
    parser.add_argument("--housing", type=Path, help="housing.csv; left out without it")
    parser.add_argument("--seeds", type=int, default=3, help="how many tables are drawn")
    parser.add_argument(
        "--keep", type=Path, help="a new folder, or one of a run before whose peer's part is reused"
    )
    asked = parser.parse_args()
    tables = {"housing": housing(asked.housing)} if asked.housing else {}
    tables |= {f"drawn-{seed}": drawn(seed) for seed in range(asked.seeds)}
    plans = {name: plan_of(table) for name, table in tables.items()}
    fine = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        if not (folder / "versions.json").exists() and not run_peer(asked.peer, folder, tables, plans):
            return 2
        print(json.loads((folder / "versions.json").read_text()))
        for name, table in tables.items():
            mine = ours(Path(temporary) / f"{name}.ours", table, plans[name])
            fine &= report(name, table.num_rows, compare(table, plans[name], mine, Theirs(folder, name)))
    print("\nall agree" if fine else "\nthere are differences")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
