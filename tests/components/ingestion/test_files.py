"""Which files a path, a folder, a glob or a list of them stands for, and in which folders they lie."""

from __future__ import annotations

import pytest

from headrace.components.ingestion.files import Folder, GivenFile, given_files
from headrace.pipelines.errors import InvalidRequestError

TEXTS = Folder("text", lambda file: file.suffix == ".txt", "they end in .txt")


@pytest.fixture
def data(tmp_path):
    for name in ("a=1/x.txt", "a=1/b=2/y.txt", "a=2/z.txt", "a=2/_SUCCESS.txt", ".hidden/h.txt", "w.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(path):
    return [(file.path.name, file.folders) for file in given_files(path, TEXTS)]


def test_folders_tell_where_files_lie_below_what_is_given(data):
    whole = [("y.txt", ("a=1", "b=2")), ("x.txt", ("a=1",)), ("z.txt", ("a=2",))]
    assert found(str(data)) == whole
    assert found(str(data / "a=1")) == [("y.txt", ("b=2",)), ("x.txt", ())]
    assert found(str(data / "a=*/*.txt")) == [
        ("x.txt", ("a=1",)),
        ("_SUCCESS.txt", ("a=2",)),
        ("z.txt", ("a=2",)),
    ]
    assert found(str(data / "a=1/b=2/y.txt")) == [("y.txt", ())]
    # What is named twice counts once, as it was named first; a file that is named is taken whatever it is.
    assert found([str(data / "w.csv"), str(data / "a=2/z.txt"), str(data)]) == [
        ("w.csv", ()), ("z.txt", ()), *whole[:2]
    ]  # fmt: skip


def test_files_by_split(data):
    files = given_files({"train": str(data / "a=1"), "test": [str(data / "a=2/z.txt")]}, TEXTS)
    assert files[0] == GivenFile(data / "a=1/b=2/y.txt", "train", ("b=2",))
    assert [(file.path.name, file.split) for file in files] == [
        ("y.txt", "train"),
        ("x.txt", "train"),
        ("z.txt", "test"),
    ]
    with pytest.raises(InvalidRequestError, match="'train' and in 'test'"):
        given_files({"train": str(data), "test": str(data / "a=2/z.txt")}, TEXTS)


def test_nothing_there(data):
    (data / "empty").mkdir()
    with pytest.raises(InvalidRequestError, match=r"no text file is in this folder(.|\n)*they end in .txt"):
        given_files(str(data / "empty"), TEXTS)
    with pytest.raises(InvalidRequestError, match="no file matches"):
        given_files(str(data / "*.nope"), TEXTS)
    with pytest.raises(InvalidRequestError, match="is empty"):
        given_files([], TEXTS)
