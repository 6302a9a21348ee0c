"""How many times as fast as tensorflow-transform headrace is, both measured in this run, one after the other.

    python tests/peers/ratio.py --peer /tmp/tft/bin/python [--rows 1500000] [--peer-rows 100000]

The table is that of `tests/bench/generated.py`. Of tensorflow-transform its own part is measured (analyze,
transform, write TFRecords, from RecordBatches in memory), at its rate beyond the fixed cost of a run and at
the whole one, with one worker and with two, of which the better counts. Of headrace: from CSV to shuffled
shards with all steps between, and from raw Examples to shards, with two workers.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(*command: str) -> str:
    """What a program prints.

    Raises:
        SystemExit: it failed; with the end of what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def main(peer: str, rows: int, peer_rows: int) -> None:
    """Prints the rates, then the ratios."""
    rates = []
    for workers in ("1", "2"):
        script = str(HERE / "tensorflow_transform_speed.py")
        told = json.loads(run(peer, script, str(peer_rows), workers).splitlines()[-1])
        print(f"tensorflow-transform: {told}", flush=True)
        rates.append((told["beyond_fixed_cost"], told["rows_per_s"]))
    marginal, whole = max(rates)
    printed = run(sys.executable, str(HERE.parent / "bench" / "pipeline_speed.py"), str(rows), "--only", "2")
    print(printed)
    found = re.search(r"CSV to shards: ([\d,]+) rows/s; raw Examples to shards: ([\d,]+) rows/s", printed)
    assert found, "pipeline_speed.py prints its rates otherwise now"
    for name, text in zip(("CSV to shards", "raw Examples to shards"), found.groups(), strict=True):
        rate = float(text.replace(",", ""))
        print(
            f"{name}: {rate:,.0f} rows/s = {rate / marginal:.1f} x tensorflow-transform's {marginal:,} beyond"
            f" its fixed cost, {rate / whole:.1f} x its {whole:,} in all"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", required=True, help="the python that has tensorflow-transform")
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--peer-rows", type=int, default=100_000)
    asked = parser.parse_args()
    main(asked.peer, asked.rows, asked.peer_rows)
