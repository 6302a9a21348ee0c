"""The plain names that headrace itself gives, by kind, as other packages give theirs by entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def built_in(kind: str) -> Mapping[str, str]:
    """The names of a kind, each with a line that tells of it.

    Args:
        kind: "transforms", "models", "losses" or "metrics".
    """
    return _NAMED[kind]()


def _transforms() -> dict[str, str]:
    from .transforms import TRANSFORMS

    return {name: (cls.__doc__ or "").partition("\n")[0] for name, cls in TRANSFORMS.items()}


def _models() -> dict[str, str]:
    from .models import BUILT_IN, IMAGE_MODELS

    of = {name: "images" if name in IMAGE_MODELS else "tables" for name in BUILT_IN}
    return {name: f"Of {of[name]}; model_args: {', '.join(names)}." for name, names in BUILT_IN.items()}


def _losses() -> dict[str, str]:
    from .training.keras_names import LOSSES

    return dict.fromkeys(LOSSES, "Keras'.")


def _metrics() -> dict[str, str]:
    from .training.keras_names import METRICS

    return dict.fromkeys(METRICS, "Keras'.")


_NAMED: Mapping[str, Callable[[], dict[str, str]]] = {
    "transforms": _transforms, "models": _models, "losses": _losses, "metrics": _metrics,
}  # fmt: skip
