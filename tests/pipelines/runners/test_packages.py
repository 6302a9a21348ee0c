"""The wheels that a run brings to its workers."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline, BoundStep
from headrace.pipelines.code_digest import code_digest
from headrace.pipelines.resolve import find_component, load_pipeline
from headrace.pipelines.runners.boot import unpack
from headrace.pipelines.runners.packages import build_packages

PROJECT = {
    "part.py": "from headrace.pipelines import Context, Files, component\nfrom help.text import upper\n\n\n"
    "@component\ndef part(ctx: Context) -> Files:\n    draft = ctx.output(Files)\n"
    "    (draft.path / 'a').write_text(upper('a'))\n    return draft.finish()\n",
    "help/__init__.py": "",
    "help/text.py": "from . import deep\n\n\ndef upper(text):\n    import late\n\n"
    "    return deep.up(text) + late.END\n",
    "help/deep.py": "def up(text):\n    return text.upper()\n",
    "late.py": "END = '!'\n",
    "unused.py": "raise SystemExit\n",
}
STAGED = "headrace_user_code"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in PROJECT.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def predicting() -> BoundStep:
    return BoundStep("answers", "", find_component("predict_examples"), {}, {})


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_equal_code_gives_equal_wheels_and_other_code_gives_others(
    project: Path, tmp_path: Path, bound: Callable[..., BoundPipeline]
) -> None:
    pipeline = bound(file=project / "part.py", a=("part", {}))
    first, again = (build_packages(pipeline, tmp_path / name) for name in ("one", "two"))
    assert [file.read_bytes() for file in first.files] == [file.read_bytes() for file in again.files]
    assert first.digest == again.digest
    (project / "help" / "deep.py").write_text("def up(text):\n    return text.title()\n")
    other = build_packages(pipeline, tmp_path / "three")
    assert other.files[0].read_bytes() == first.files[0].read_bytes()
    assert other.files[1].name != first.files[1].name
    assert other.digest != first.digest


def test_code_comes_with_what_it_imports_and_nothing_else(
    project: Path, tmp_path: Path, bound: Callable[..., BoundPipeline]
) -> None:
    pipeline = bound(file=project / "part.py", a=("part", {}))
    _, users = build_packages(pipeline, tmp_path / "wheels").files
    inside = {"/".join(name.split("/")[2:]) for name in names_in(users) if "/project_" in name}
    assert inside == set(PROJECT) - {"unused.py"}


def test_a_pipeline_of_built_in_steps_has_one_wheel_and_its_record_is_right(tmp_path: Path) -> None:
    packages = build_packages(bind(load_pipeline("wine")), tmp_path / "wheels")
    assert len(packages.files) == 1
    with zipfile.ZipFile(packages.files[0]) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
        rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
        assert {row[0] for row in rows} == set(archive.namelist())
        for name, told, size in rows:
            if name != record:
                content = archive.read(name)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                assert (told, size) == (f"sha256={digest}", str(len(content)))
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    required = {line.split()[1].split("==")[0] for line in text.splitlines() if line.startswith("Requires")}
    assert {"numpy", "pyarrow", "apache-beam"} <= required
    assert not required & {"tensorflow", "keras", "tensorflow-datasets"}


def test_pip_installs_the_wheels(project: Path, tmp_path: Path, bound: Callable[..., BoundPipeline]) -> None:
    pipeline = bound(file=project / "part.py", a=("part", {}))
    packages = build_packages(pipeline, tmp_path / "wheels")
    target = tmp_path / "target"
    options = ["--no-index", "--no-deps", "--quiet", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *map(str, packages.files)], check=True)
    text = (
        f"import site; site.addsitedir({str(target)!r})\n"
        "import headrace.pipelines, help.text\n"
        "from headrace.pipelines.resolve import load_file\n"
        f"print(load_file({str(project / 'part.py')!r}).__file__, help.text.upper('a'))\n"
    )
    (project / "part.py").rename(project / "elsewhere.py")
    done = subprocess.run(
        [sys.executable, "-I", "-c", text], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    file, said = done.stdout.split()
    assert (said, Path(file).is_relative_to(target)) == ("A!", True)


def test_staged_code_has_the_digest_that_it_has_at_home(
    project: Path, tmp_path: Path, bound: Callable[..., BoundPipeline]
) -> None:
    pipeline = bound(file=project / "part.py", a=("part", {}))
    _, users = build_packages(pipeline, tmp_path / "wheels").files
    # pip puts it below `site-packages`, where code else counts by its version.
    target = tmp_path / "site-packages"
    unpack(users, target)
    (staged,) = (target / STAGED).glob("project_*/part.py")
    at_home = code_digest("part", project / "part.py", "part")
    assert code_digest("part", staged, "part").symbols == at_home.symbols


@pytest.mark.parametrize("name", ["../outside.py", "/tmp/outside.py", "a/../../outside.py"])
def test_a_wheel_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    wheel = tmp_path / "bad.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, "")
    with pytest.raises(ValueError, match="isn't a file inside it"):
        unpack(wheel, tmp_path / "inside")
    assert not (tmp_path / "outside.py").exists()


@pytest.mark.parametrize("what", ["images", "models"])
def test_images_and_models_ask_for_tensorflow(what: str, tmp_path: Path) -> None:
    images = bind(load_pipeline("digits"))
    pipeline = images if what == "images" else BoundPipeline("p", {}, {"answers": predicting()})
    packages = build_packages(pipeline, tmp_path)
    with zipfile.ZipFile(packages.files[0]) as archive:
        (needs,) = (name for name in archive.namelist() if name.endswith("headrace_needs.json"))
        told = json.loads(archive.read(needs))
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        assert "Requires-Dist: tensorflow==" in archive.read(metadata).decode()
    assert "tensorflow" not in told["modules"]  # tabular steps of such a pipeline do without
