"""A Dagster job of headrace's components: Dagster schedules and retries, headrace caches and keeps lineage.

A component that is called outside a `@pipeline` function runs at once, in the store that HEADRACE_STORE
names, or gives what is there already: an op is one line, and what a run of `headrace` computed is a hit here.
Ops that run in processes or on machines of their own have nothing in common but that store.

    HEADRACE_STORE=/data/store dagster job execute -f dagster_job.py -j wine
"""

from pathlib import Path

import dagster

from headrace import components
from headrace.pipelines import Artifact, Evaluation, Examples, Files, Model, Transform
from headrace.pipelines.artifact import load_artifact


class ArtifactIOManager(dagster.IOManager):
    """Hands artifacts from op to op by their folders in the store, so that nothing is pickled or copied."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def handle_output(self, context: dagster.OutputContext, obj: Artifact) -> None:
        """Notes where the artifact lies; Dagster's pages show its digest, which is its lineage's key too."""
        place = self._place(context)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(str(obj.path))
        context.add_output_metadata({"digest": obj.digest, "type": obj.type, "path": str(obj.path)})

    def load_input(self, context: dagster.InputContext) -> Artifact:
        """The artifact, whose files are checked against its manifest."""
        assert context.upstream_output is not None
        return load_artifact(Path(self._place(context.upstream_output).read_text()))

    def _place(self, context: dagster.OutputContext) -> Path:
        return self.folder.joinpath(*context.get_identifier())


@dagster.io_manager(config_schema={"folder": str})
def artifacts(context: dagster.InitResourceContext) -> ArtifactIOManager:
    """Where the notes are kept: a folder that all ops reach."""
    return ArtifactIOManager(context.resource_config["folder"])


@dagster.op
def source() -> Files:
    return components.wine_csv()


@dagster.op
def examples(source: Files) -> Examples:
    return components.csv_examples(path=source, splits={"train": 6, "validation": 2, "test": 2})


@dagster.op(out={"examples": dagster.Out(Examples), "transform": dagster.Out(Transform)})
def transform(examples: Examples) -> tuple[Examples, Transform]:
    features = {"alcohol": "z_score", "hue": "z_score", "proline": ["log1p", "z_score"]}
    made = components.transform(examples=examples, label="cultivar", features=features)
    return made.examples, made.transform


@dagster.op(config_schema={"epochs": dagster.Field(int, default_value=5)})
def train(context: dagster.OpExecutionContext, examples: Examples, transform: Transform) -> Model:
    return components.train(examples, transform, model="linear", epochs=context.op_config["epochs"])


@dagster.op
def evaluate(model: Model, examples: Examples) -> Evaluation:
    return components.evaluate(model=model, examples=examples)


@dagster.job(resource_defs={"io_manager": artifacts})
def wine() -> None:
    """From scikit-learn's wine table to an evaluated model."""
    made = transform(examples(source()))
    evaluate(train(made.examples, made.transform), made.examples)
