"""What a transform is: arguments, what it needs to know of the data, and array math for both planes.

A transform is a small frozen class. Its arguments are its dataclass fields. `analyzers` names the
full-pass aggregates that it needs, `fit` turns their results into constants, and `apply` is array math
against the namespace it is passed: NumPy and Arrow in Beam, TensorFlow in the exported model. Nothing
here imports an array library, so that a pipeline is checked without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

if TYPE_CHECKING:
    from .namespace import Namespace

Kind = Literal[
    "float",
    "int",
    "string",
    "time",
    "strings",
    "ints",
    "floats",
    "ids",
    "one_hot",
    "id_lists",
    "sequence",
    "vector",
    "image",
    "pixels",
    "scaled",
]
"""What a column is between two transforms of a chain.

float: float32, missing is NaN; int: int64, missing is -2**63; string: UTF-8, missing is "";
time: int64 microseconds since 1970-01-01 UTC, missing is -2**63;
ids: int64 from 0 to size - 1; one_hot: the same ids, which reach the model as one-hots of `size` slots.
An id below 0 stands for a missing number.
strings, ints, floats, id_lists: any number of values a row, `Ragged` in NumPy, a ragged tensor in TensorFlow;
sequence: ids [n, width], of which 0 is padding; vector: float32 [n, width];
image: an encoded JPEG or PNG file; pixels: images of 8 bits a channel, which reach the model as float32
[n, height, width, channels]; scaled: the same, to be normalized by whoever reads them.
"""

Analyzer = Literal["moments", "values", "strings", "label_means", "pixels"]
"""moments: mean, deviation, minimum, maximum; values: the counts of numbers; strings: of strings;
label_means: the means of the label for each string, by fold; pixels: mean and deviation of images."""

MISSING_INT = -(2**63)
"""What stands for a missing whole number."""

Constants = Mapping[str, Any]
"""Numbers as Python floats that float32 holds exactly, arrays of float32, and lists of strings."""


class Results(Protocol):
    """What the analyzers found in one column of the train split; missing values are left out."""

    @property
    def count(self) -> int:
        """The number of values."""

    @property
    def mean(self) -> float:
        """The mean."""

    @property
    def std(self) -> float:
        """The standard deviation with ddof=0."""

    @property
    def min(self) -> float:
        """The smallest value."""

    @property
    def max(self) -> float:
        """The largest value."""

    def quantile(self, share: float) -> float:
        """The value below which `share` of the values lie, interpolated linearly."""

    def cuts(self, buckets: int) -> list[float]:
        """The bounds between `buckets` buckets of equally many values: values of the data, ascending."""

    def most_frequent(self) -> float | str:
        """The most frequent value; the largest of several."""

    def distribution(self) -> tuple[Any, Any]:
        """The distinct numbers, ascending, float64 [d], and how often each occurs, int64 [d]."""

    def vocabulary(self, top_k: int | None, min_count: int) -> list[str]:
        """Strings by descending count, ties by value descending, as TFT orders them."""

    def string_counts(self, top_k: int | None) -> list[tuple[str, int]]:
        """Strings with their counts in the same order."""

    def label_means(self) -> tuple[list[str], Any, Any]:
        """Strings ascending, rows int64 [folds, d], and the label's means float64 [folds, numbers, d]."""

    def pixels(self, by_channel: bool) -> tuple[list[float], list[float]]:
        """Mean and deviation, ddof=0, of all pixels, or of each channel's."""


@dataclass(frozen=True)
class Transform:
    """The contract; subclasses are the transforms.

    Attributes:
        name: what a pipeline calls it; by default the class's name, for messages.
        takes: the kinds that it reads; an int column is cast to float or string where those are taken.
        joins: whether it makes one column of all columns that the chain was applied to up to it; `apply`
            gets the list of them then.
        first: the argument that `{name: value}` sets, or those that `{name: [value, value]}` sets.
        label: "value" or "class" if a label may be made by it, else empty.
    """

    name: ClassVar[str]
    takes: ClassVar[tuple[Kind, ...]] = ("float",)
    first: ClassVar[tuple[str, ...]] = ()
    label: ClassVar[str] = ""
    joins: ClassVar[bool] = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def __reduce_ex__(self, protocol: Any) -> Any:
        from .own import path_of, rebuild, root_of

        path = path_of(type(self))
        if not path:
            return super().__reduce_ex__(protocol)
        # A worker's process imports one's own code by its path; pickle alone would not find it there.
        return rebuild, (path, {one.name: getattr(self, one.name) for one in fields(self)}, root_of(path))

    def arguments(self) -> dict[str, Any]:
        """The arguments by the names that a pipeline gives them, as JSON values or what makes them."""
        values = asdict(self)
        return {argument_name(one): values[one.name] for one in fields(self)}

    @classmethod
    def of_arguments(cls, told: Mapping[str, Any]) -> Self:
        """What `arguments` gave."""
        names = {argument_name(one): one.name for one in fields(cls)}
        return cls(**{names[name]: value for name, value in told.items()})

    @property
    def key(self) -> str:
        """The raw column whose values have constants of their own, see `by_key`; empty for none."""
        return ""

    def problem(self, kind: Kind | None) -> str:
        """What is wrong with the arguments taken together or for this kind; empty if nothing is."""
        return ""

    def gives(self, kind: Kind) -> Kind:
        """The kind that comes out when `kind` goes in."""
        return kind

    def size(self, constants: Constants, size: int) -> int:
        """The number of ids that come out, where `size` is what came in; 0 if there are no ids."""
        return 0

    def width(self, constants: Constants, width: int) -> int:
        """The values a row that come out of it, where `width` came in; for sequences and vectors."""
        return width

    def shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Height, width and channels of the images that come out of it; 0 where they differ in it."""
        return shape

    def dimensions(self, size: int) -> int:
        """The dimensions of the embedding that is asked for where `size` ids go in; 0 for none."""
        return 0

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """What has to be known of the column in the train split."""
        return ()

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The constants, from what the analyzers found."""
        return {}

    def apply(self, xp: Namespace, column: Any, constants: Constants) -> Any:
        """The transformed column, in shape [n], or [n, width] for sequences and vectors."""
        raise NotImplementedError

    def apply_train(
        self, xp: Namespace, column: Any, constants: Constants, places: Sequence[tuple[int, int]]
    ) -> Any:
        """`apply` on rows of the train split; differs only where the label takes part.

        Args:
            xp, column, constants: see `apply`.
            places: number and rows of each part of the split that these rows are, whole and in order.
        """
        return self.apply(xp, column, constants)

    def inverse(self, xp: Namespace, column: Any, constants: Constants) -> Any:
        """The column in the units that went in; only for those with `label = "value"`."""
        raise NotImplementedError


def argument_name(one: Field[Any]) -> str:
    """What a pipeline calls a field: its name, unless a method has that; then its metadata says it."""
    told: str = one.metadata.get("argument", one.name)
    return told


def coerced(kind: Kind, takes: tuple[Kind, ...]) -> Kind | None:
    """The kind that a transform reads when a column of `kind` is given to it, None if it can't."""
    if kind in takes:
        return kind
    if kind == "one_hot" and "ids" in takes:
        return "ids"
    if kind == "int":
        return "float" if "float" in takes else "string" if "string" in takes else None
    return None


def coerce(xp: Namespace, column: Any, kind: Kind, takes: tuple[Kind, ...]) -> tuple[Any, Kind]:
    """The column as the transform reads it, and its kind then."""
    read = coerced(kind, takes)
    if read is None:
        raise ValueError(f"a column of kind {kind} was given where {', '.join(takes)} is read")
    if read == kind or read == "ids":
        return column, read
    return (xp.int_to_float(column) if read == "float" else xp.int_to_string(column)), read
