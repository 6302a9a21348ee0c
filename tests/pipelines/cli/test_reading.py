"""The commands that read, and gc."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest

SMALL = Path(__file__).parents[1] / "small_components.py"


def run(headrace, *args):
    result = headrace("run", *(args or ("chain.yaml",)), "--json")
    return json.loads(result.stdout)


def told(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_plan_needs_no_store_and_makes_none(headrace):
    plan = told(headrace("plan", "chain.yaml", "--json"))
    assert plan["steps"]["number"]["action"] == "run"
    assert plan["steps"]["number"]["reason"] == "first run"
    assert plan["steps"]["joined"]["reason"] == "first run"
    assert headrace("plan", "chain.yaml").stdout.endswith("\n4 of 4 steps would run\n")
    assert not Path(".headrace").exists()


def test_plan_tells_what_would_change(headrace):
    run(headrace)
    assert "0 of 4 steps would run" in headrace("plan", "chain.yaml").stdout
    text = headrace("plan", "chain.yaml", "--param", "value=4").stdout
    assert "number  run   number.value 3 → 4" in text
    assert "parity  run?  after number" in text
    assert "4 of 4 steps would run, 3 of them only if what they read changes" in text
    missing = headrace("plan", "branches.yaml", "--only", "below")
    assert missing.exit_code == 2
    assert "needs ${steps.bad}" in missing.stderr


def test_explain_tells_of_the_last_run_and_of_the_next(headrace):
    first = run(headrace)
    text = headrace("explain", "joined").stdout
    assert f"joined ran in run {first['run']} of chain" in text
    assert "reason: first run" in text
    assert "glue  +" in text
    second = run(headrace, "chain.yaml", "--set", "joined.glue=x")
    found = told(headrace("explain", "joined", "--json"))
    assert (found["run"], found["reason"]) == (second["run"], "joined.glue '+' → 'x'")
    assert found["parts"]["parameters"] == {"glue": "x"}
    assert told(headrace("explain", "joined", "--run", first["run"], "--json"))["reason"] == "first run"

    now = told(headrace("explain", "joined", "chain.yaml", "--param", "value=4", "--json"))
    assert (now["status"], now["provisional"]) == ("would run", True)
    assert now["because"] == {"number": "number.value 3 → 4"}
    cached = headrace("explain", "joined", "chain.yaml").stdout
    assert (
        f"joined would be cached in chain now\n  reason: nothing changed since run {first['run']}" in cached
    )


def test_explain_of_what_is_not_there(headrace):
    assert headrace("explain", "joined").exit_code == 2
    run(headrace)
    result = headrace("explain", "jioned")
    assert (result.exit_code, "did you mean 'joined'?" in result.stderr) == (2, True)
    result = headrace("explain", "jioned", "chain.yaml")
    assert (result.exit_code, "did you mean 'joined'?" in result.stderr) == (2, True)
    assert headrace("explain", "joined", "chain.yaml", "--run", "x").exit_code == 2


def test_validate(headrace):
    assert headrace("validate", "chain.yaml").stdout == "chain: 4 steps, nothing wrong with them\n"
    assert told(headrace("validate", "chain.yaml", "--json"))["valid"]
    wrong = headrace("validate", "chain.yaml", "--param", "value=x", "--set", "joined.gleu=y", "--json")
    assert wrong.exit_code == 2
    problems = json.loads(wrong.stdout)["problems"]
    assert {(p["step"], p["argument"]) for p in problems} == {("number", "value"), ("joined", "gleu")}
    assert all(p["file"].endswith("chain.yaml") and p["line"] for p in problems)


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("ascii", "● joined"),
        ("mermaid", "flowchart"),
        ("dot", '"number" -> "parity"'),
        ("svg", "</svg>"),
        ("yaml", "value: ${params.value}"),
        ("python", "def chain("),
    ],
)
def test_graph(headrace, form, part):
    result = headrace("graph", "chain.yaml", "--format", form)
    assert result.exit_code == 0, result.stderr
    assert part in result.stdout.replace('"${params.value}"', "${params.value}")


def test_graph_as_json(headrace):
    steps = told(headrace("graph", "chain.yaml", "--json"))["steps"]
    assert steps["joined"]["inputs"] == {"left": ["pair", "left"], "right": ["pair", "right"]}
    assert steps["pair"]["outputs"] == {"left": "Files", "right": "Files"}


def test_runs_are_listed_shown_and_compared(headrace):
    assert headrace("runs", "list").exit_code == 2
    first, second = run(headrace), run(headrace, "chain.yaml", "--param", "value=4")
    listed = told(headrace("runs", "list", "--json"))
    assert [entry["run"] for entry in listed] == [second["run"], first["run"]] or first["run"][:15] == second[
        "run"
    ][:15]
    assert listed[0]["status"] == "done"
    assert len(told(headrace("runs", "list", "-n", "1", "--json"))) == 1
    assert told(headrace("runs", "list", "--pipeline", "other", "--json")) == []

    shown = headrace("runs", "show", first["run"].rpartition("-")[2])
    assert f"run {first['run']} of chain: done" in shown.stdout
    assert "output: Files" in shown.stdout
    assert told(headrace("runs", "show", first["run"], "--json"))["steps"]["number"]["status"] == "ran"

    changes = told(headrace("runs", "diff", first["run"], second["run"], "--json"))
    assert changes["parameters"] == {"number.value": [3, 4]}
    assert set(changes["digests"]) == {"number", "parity", "pair.left", "pair.right", "joined"}
    text = headrace("runs", "diff", first["run"], second["run"]).stdout
    assert "number.value  3  →  4" in text
    assert "nothing differs" in headrace("runs", "diff", first["run"], first["run"]).stdout


def test_an_ambiguous_or_unknown_run(headrace):
    first = run(headrace)
    run(headrace)
    result = headrace("runs", "show", first["run"][:4])
    assert result.exit_code == 2
    assert "may be any of 2 runs" in result.stderr
    result = headrace("runs", "show", first["run"][:-1] + "x")
    assert "there is no run" in result.stderr
    assert "did you mean" in result.stderr


def test_artifacts_are_named_by_digest_step_or_output(headrace):
    first = run(headrace)
    digest = first["steps"]["joined"]["outputs"]["output"]["digest"]
    place = first["steps"]["joined"]["outputs"]["output"]["path"]
    for name in (digest, digest[:6], "joined", place):
        assert headrace("artifacts", "path", name).stdout.strip() == place
    assert told(headrace("artifacts", "path", "pair.left", "--json"))["type"] == "Files"
    assert "pair.left, pair.right" in headrace("artifacts", "path", "pair").stderr
    assert headrace("artifacts", "path", "joined", "--run", "nonsense").exit_code == 2
    assert "did you mean 'joined'?" in headrace("artifacts", "show", "jioned").stderr
    shown = headrace("artifacts", "show", "joined").stdout
    assert shown.startswith(f"Files {digest}\n")
    assert "text.txt  3 B" in shown
    assert told(headrace("artifacts", "show", "joined", "--json"))["files"][0]["path"] == "text.txt"

    run(headrace, "chain.yaml", "--param", "value=4")
    assert headrace("artifacts", "path", "joined").stdout.strip() != place
    assert headrace("artifacts", "path", "joined", "--run", first["run"]).stdout.strip() == place
    listed = told(headrace("artifacts", "list", "--json"))
    assert digest in {entry["digest"] for entry in listed}
    assert told(headrace("artifacts", "list", "--type", "Model", "--json")) == []


def test_statistics_are_shown_as_their_table_and_a_schema_as_its_yaml(headrace):
    Path("own.py").write_text(
        "from headrace.pipelines import Context, Schema, Statistics, component\n"
        "@component\n"
        "def stats(ctx: Context) -> Statistics:\n"
        "    draft = ctx.output(Statistics)\n"
        "    (draft.path / 'statistics.txt').write_text('the table\\n')\n"
        "    return draft.finish()\n"
        "@component\n"
        "def schema(ctx: Context) -> Schema:\n"
        "    draft = ctx.output(Schema)\n"
        "    (draft.path / 'schema.yaml').write_text('the schema\\n')\n"
        "    return draft.finish()\n"
    )
    Path("own.yaml").write_text(
        "pipeline: own\nsteps: {a: {uses: 'own.py:stats'}, b: {uses: 'own.py:schema'}}\n"
    )
    run(headrace, "own.yaml")
    assert headrace("artifacts", "show", "a").stdout.endswith("\nthe table\n")
    schema = headrace("artifacts", "show", "b").stdout
    assert schema.endswith("\nthe schema\n")
    assert all(line.startswith("#") or not line for line in schema.splitlines()[:-1])


def test_lineage_leads_back_to_the_file_and_on_to_the_last_artifact(headrace):
    Path("data.txt").write_text("some text")
    small = Path(__file__).parents[1] / "small_components.py"
    Path("copy.yaml").write_text(
        "pipeline: copying\nsteps:\n"
        f"  copy: {{uses: '{small}:copied', with: {{path: data.txt}}}}\n"
        f"  twice: {{uses: '{small}:pair', with: {{files: '${{steps.copy}}'}}}}\n"
        f"  both: {{uses: '{small}:joined', "
        "with: {left: '${steps.twice.right}', right: '${steps.copy}'}}\n"
    )
    made = run(headrace, "copy.yaml")
    up = headrace("lineage", "both").stdout
    assert f"both in run {made['run']} of copying" in up
    assert f"path: {Path('data.txt').absolute()} (content " in up
    assert "(see above)" in up.splitlines()[-1]
    down = told(headrace("lineage", "copy", "--json"))
    assert made["steps"]["both"]["outputs"]["output"]["digest"] in down["downstream"]
    assert {e["step"] for e in down["executions"]} == {"copy", "twice", "both"}
    assert "made of it" in headrace("lineage", "copy").stdout


def test_gc_keeps_what_the_newest_runs_refer_to(headrace):
    first, _, last = (run(headrace, "chain.yaml", "--param", f"value={value}") for value in (3, 4, 5))
    before = set(Path(".headrace/artifacts/Files").iterdir())
    dry = told(headrace("gc", "--keep", "1", "--dry-run", "--json"))
    assert set(Path(".headrace/artifacts/Files").iterdir()) == before
    assert len(told(headrace("runs", "list", "--json"))) == 3
    result = told(headrace("gc", "--keep", "1", "--json"))
    assert (result["runs"], result["artifacts"]) == (dry["runs"], dry["artifacts"])
    kept = {path.name for path in Path(".headrace/artifacts/Files").iterdir()}
    # 5 and 3 give the same parity, so run 1 made what run 3 took from the cache: it stays, and whole.
    steps = [*first["steps"].values(), *last["steps"].values()]
    assert kept == {o["digest"] for step in steps for o in step["outputs"].values()}
    assert not list(Path(".headrace/staging").iterdir())
    assert len(result["runs"]) == 1
    assert "0 of 4 steps would run" in headrace("plan", "chain.yaml", "--param", "value=3").stdout
    again = run(headrace, "chain.yaml", "--param", "value=5")
    assert {step["status"] for step in again["steps"].values()} == {"cached"}
    rerun = run(headrace, "chain.yaml", "--param", "value=4")
    assert rerun["steps"]["number"]["status"] == "ran"
    assert "0 runs and 0 artifacts" in headrace("gc").stdout


def test_gc_survives_the_loss_of_the_index(headrace):
    for value in (3, 4):
        run(headrace, "chain.yaml", "--param", f"value={value}")
    headrace("gc", "--keep", "1")
    for path in Path(".headrace").glob("index.sqlite*"):
        path.unlink()
    again = run(headrace, "chain.yaml", "--param", "value=4")
    assert {step["status"] for step in again["steps"].values()} == {"cached"}


def test_components_and_schema(headrace, tmp_path):
    names = [entry["name"] for entry in told(headrace("components", "--json"))]
    assert {"csv_examples", "transform", "train"} <= set(names)
    assert "csv_examples" in headrace("components").stdout
    shown = headrace("components", "csv_examples").stdout
    assert "parameters" in shown
    assert "output  Examples" in shown
    one = told(
        headrace("components", str(Path(__file__).parents[1] / "small_components.py:number"), "--json")
    )
    assert one["parameters"]["value"] == {
        "required": False,
        "default": 1,
        "type": "a whole number, 0 or more",
    }
    assert "did you mean 'train'?" in headrace("components", "trian").stderr
    assert headrace("schema", "--output", "schema.json").exit_code == 0
    assert json.loads(Path("schema.json").read_text()) == json.loads(headrace("schema").stdout)
    assert headrace("schema", "--output", "no/such/folder.json").exit_code == 2


def test_predict_says_what_it_needs(headrace):
    Path("rows.csv").write_text("a\n1\n")
    assert "no store at" in headrace("predict", "export", "rows.csv").stderr
    assert "did you mean 'rows.csv'?" in headrace("predict", "export", "row.csv").stderr
    assert "not an exported model" in headrace("predict", ".", "rows.csv").stderr
    run(headrace)
    assert "joined is of type Files" in headrace("predict", "joined", "rows.csv").stderr
    result = headrace("predict", "export", "rows.csv")
    assert (result.exit_code, "there is no artifact 'export'" in result.stderr) == (2, True)


def test_every_command_has_the_help_that_the_overview_promises(headrace):
    from headrace.pipelines.cli import COMMANDS, cli

    overview = " ".join(headrace("--help").stdout.split())
    for name, (_, text) in COMMANDS.items():
        assert text in overview
        assert cli.get_command(None, name) is not None
        assert headrace(name, "--help").stdout.startswith(f"Usage: cli {name}")


def test_a_run_that_was_killed_is_not_shown_as_running(headrace):
    made = run(headrace)["run"]
    record = Path(".headrace/runs") / made / "record.json"
    record.write_text(record.read_text().replace('"status": "done"', '"status": "running"'))
    assert told(headrace("runs", "list", "--json"))[0]["status"] == "killed"
    resumed = told(headrace("resume", "--json"))
    assert {step["status"] for step in resumed["steps"].values()} == {"cached"}


def test_a_damaged_artifact_is_made_anew(headrace):
    made = run(headrace)
    place = Path(made["steps"]["parity"]["outputs"]["output"]["path"])
    shutil.rmtree(place)
    again = run(headrace)
    assert again["steps"]["parity"]["status"] == "ran"
    assert again["steps"]["joined"]["status"] == "cached"
    assert place.is_dir()


def test_a_cached_output_that_is_gone_is_not_called_damaged(headrace):
    Path("two.yaml").write_text(
        "pipeline: two\nsteps:\n"
        f"  number: {{uses: '{SMALL}:number', with: {{value: 12}}}}\n"
        f"  pair: {{uses: '{SMALL}:pair', with: {{files: '${{steps.number}}'}}}}\n"
    )
    steps = run(headrace, "two.yaml")["steps"]
    right = Path(steps["pair"]["outputs"]["right"]["path"])
    shutil.rmtree(right)
    assert "pair    run     its output right was removed\n" in headrace("plan", "two.yaml").stdout
    run(headrace, "two.yaml")
    (right / "text.txt").chmod(0o644)
    (right / "text.txt").write_text("another text")
    assert "its output right is damaged: text.txt was changed" in headrace("plan", "two.yaml").stdout
    shutil.rmtree(steps["number"]["outputs"]["output"]["path"])
    assert "number  run   its output was removed\n" in headrace("plan", "two.yaml").stdout


def test_one_of_a_kind_is_told_in_the_singular(headrace):
    Path("one.yaml").write_text(f"pipeline: one\nsteps: {{number: {{uses: '{SMALL}:number'}}}}\n")
    assert headrace("validate", "one.yaml").stdout == "one: 1 step, nothing wrong with it\n"
    for value in (1, 2):
        run(headrace, "one.yaml", "--set", f"number.value={value}")
    assert headrace("gc", "--keep", "1").stdout.startswith("removed 1 run and 1 artifact, ")


def test_runs_diff_compares_the_last_two_runs_of_a_pipeline(headrace):
    Path("one.yaml").write_text(f"pipeline: one\nsteps: {{number: {{uses: '{SMALL}:number'}}}}\n")
    run(headrace, "one.yaml")
    alone = headrace("runs", "diff")
    assert (alone.exit_code, "the only run of one" in alone.stderr) == (2, True)
    time.sleep(1.1)  # ids begin with the second, and are sorted
    second = run(headrace, "one.yaml", "--set", "number.value=2")
    run(headrace)
    time.sleep(1.1)
    third = run(headrace, "one.yaml", "--set", "number.value=3")
    changes = told(headrace("runs", "diff", "--json"))
    assert (changes["before"], changes["after"]) == (second["run"], third["run"])
    assert changes["parameters"] == {"number.value": [2, 3]}


def test_a_component_of_a_file_is_shown_with_its_path(headrace):
    shown = headrace("components", f"{SMALL}:number").stdout
    assert f"({SMALL}:number)" in shown.splitlines()[0]
    assert "(headrace.components.train:train)" in headrace("components", "train").stdout


def test_a_changed_file_is_told_by_its_digest(headrace):
    Path("data.txt").write_text("some text")
    Path("own.py").write_text(
        "from headrace.pipelines import Context, FilePath, Files, component\n"
        "@component\n"
        "def reads(ctx: Context, *, path: FilePath | None = None) -> Files:\n"
        "    return ctx.output(Files).finish()\n"
    )
    Path("own.yaml").write_text("pipeline: own\nsteps: {a: {uses: 'own.py:reads'}}\n")
    run(headrace, "own.yaml")
    plan = told(headrace("plan", "own.yaml", "--set", "a.path=data.txt", "--json"))
    digest = hashlib.sha256(b"some text").hexdigest()
    assert plan["steps"]["a"]["reason"] == f"a.path not given → content {digest[:8]}"


def test_files_of_a_folder_are_told_by_name_and_digest(headrace):
    Path("photos").mkdir()
    for name in ("a", "b"):
        Path(f"photos/{name}.jpg").write_text(name)
    Path("own.yaml").write_text(
        f"pipeline: own\nsteps: {{a: {{uses: '{SMALL}:listed', with: {{path: photos}}}}}}\n"
    )
    run(headrace, "own.yaml")
    time.sleep(1.1)
    Path("photos/b.jpg").write_text("other")
    assert "a.path: 1 file changed: b.jpg" in headrace("plan", "own.yaml").stdout
    run(headrace, "own.yaml")
    old, new = (hashlib.sha256(text).hexdigest()[:12] for text in (b"b", b"other"))
    changes = told(headrace("runs", "diff", "--json"))["parameters"]
    assert changes == {"a.path (content)": [f"b.jpg {old}", f"b.jpg {new}"]}
    assert f"b.jpg {old}  →  b.jpg {new}" in headrace("runs", "diff").stdout
    first = hashlib.sha256(b"a").hexdigest()[:12]
    for args in (("explain", "a"), ("lineage", "a")):
        shown = headrace(*args)
        assert f"content a.jpg {first}, b.jpg {new}" in shown.stdout, shown.stderr
