"""What workers prove before their first unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.pipelines.runners.probe import Proof, UnfitError, notes, surroundings, unfit


def test_a_worker_like_the_driver_is_fit(tmp_path):
    Proof.ask(tmp_path, shared=True).give()
    assert notes(tmp_path) == ""
    assert not list(tmp_path.glob("*.partly"))


def test_a_worker_of_an_earlier_attempt_is_fit_too(tmp_path):
    first = Proof.ask(tmp_path, shared=True)
    Proof.ask(tmp_path, shared=True)
    first.give()


def test_other_versions_are_refused_with_what_to_install(tmp_path):
    proof = Proof.ask(tmp_path, shared=True)
    with pytest.raises(
        UnfitError, match=r"has numpy \S+ and not 0\.1, so that it would give other"
    ) as caught:
        replace(proof, expected={**surroundings(), "numpy": "0.1"}).give()
    assert caught.value.problems[0].remedy == "install there numpy==0.1"


def test_images_libraries_count_where_both_have_them(tmp_path):
    proof = Proof.ask(tmp_path, shared=True)
    replace(proof, expected={**surroundings(), "tensorflow": ""}).give()


@pytest.mark.parametrize("seen", ["nothing", "another folder"])
def test_a_folder_that_a_worker_does_not_share_is_told_through_the_runner(tmp_path, seen):
    proof = Proof.ask(tmp_path, shared=True)
    (sign,) = tmp_path.iterdir()
    sign.unlink() if seen == "nothing" else sign.write_text("of another run")
    with pytest.raises(UnfitError, match="can't reach the store's folder") as caught:
        proof.give()
    handed_on = (
        f"java.lang.RuntimeException: Traceback …\nUnfitError: {caught.value} [while running 'x']\n\tat A"
    )
    found = unfit(handed_on)
    assert found is not None and found.problems == caught.value.problems
    assert "mounted there under the same path" in found.problems[0].remedy
    assert unfit("java.lang.RuntimeException: something else") is None


def test_other_vector_instructions_are_noted(tmp_path):
    proof = Proof.ask(tmp_path, shared=True)
    replace(proof, vectors=f"AVX9000 {proof.vectors}").give()
    assert "AVX9000" in notes(tmp_path) or "vector instructions" in notes(tmp_path)
