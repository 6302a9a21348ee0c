"""`headrace runners`: the Beam runners, what each needs and has, and how to get the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from .common import echo_json, json_option

_TEXTS = {
    "direct": "in this process; nothing else is needed",
    "portable": "Beam's own job service, or any other by job_endpoint=HOST:PORT",
    "flink": "a Flink of its own, or a cluster by flink_master=HOST:PORT",
    "spark": "a Spark of its own, or a cluster by spark_master_url=spark://HOST:PORT",
    "dataflow": "Google Cloud Dataflow, by project=, region= and temp_location=gs://…",
}


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def runners(ctx: click.Context, as_json: bool) -> int:
    """List the Beam runners: what each needs on this machine, and what of it is there."""
    if ctx.invoked_subcommand is not None:
        return 0
    if as_json:
        echo_json({name: _needs_json(name) for name in _TEXTS})
    else:
        click.echo("\n".join(line for name in _TEXTS for line in _shown(name)))
    return 0


def _needs_json(name: str) -> dict[str, Any]:
    needs = _needs(name)
    return {
        "about": _TEXTS[name],
        "ready": all(need.problem is None for need in needs),
        "needs": [
            {
                "what": need.what,
                "has": need.has,
                "lacks": need.problem.what if need.problem else "",
                "remedy": need.problem.remedy if need.problem else "",
            }
            for need in needs
        ],
    }


def _needs(name: str) -> list[Any]:
    from ..context import RunnerSettings
    from ..runners.needs import needs_of

    return needs_of(RunnerSettings(name))


def _shown(name: str) -> Iterator[str]:
    needs = _needs(name)
    ready = "ready" if all(need.problem is None for need in needs) else "something is missing"
    yield f"{name:9} {ready}: {_TEXTS[name]}"
    for need in needs:
        if need.problem is None:
            yield f"{'':9}   has   {need.what}: {need.has}"
        else:
            yield f"{'':9}   lacks {need.what}: {need.problem.what}"
            yield f"{'':9}         {need.problem.remedy}"


@runners.command()
@click.argument("name", metavar="RUNNER", type=click.Choice(["flink", "spark"]))
@click.option("--flink-version", default="", metavar="X.Y", help="The Flink that the job server speaks to.")
@click.option("--repository", default="", metavar="URL", help="A Maven repository; Maven Central if none.")
def get(name: str, flink_version: str, repository: str) -> int:
    """Fetch the job server of RUNNER: of the installed Beam, else the newest that is whole."""
    from ..runners.fetch import get_server

    def say(text: str) -> None:
        click.echo(text, err=True)

    click.echo(get_server(name, say, flink_version, repository))
    return 0
