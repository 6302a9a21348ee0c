"""The transforms, by the name that a pipeline calls them. Light: no array library is imported."""

from __future__ import annotations

from .base import Analyzer, Constants, Kind, Results, Transform, coerce, coerced
from .buckets import Bucketize
from .categories import Hash, OneHot, Vocabulary
from .identity import Identity
from .impute import Impute
from .scaling import Clip, Log1p, MinMax, Rescale, ZScore

TRANSFORMS: dict[str, type[Transform]] = {
    cls.name: cls
    for cls in (ZScore, MinMax, Rescale, Log1p, Clip, Impute, Bucketize, Vocabulary, OneHot, Hash, Identity)
}
"""Every transform that the `features` grammar knows."""

__all__ = [
    "TRANSFORMS",
    "Analyzer",
    "Bucketize",
    "Clip",
    "Constants",
    "Hash",
    "Identity",
    "Impute",
    "Kind",
    "Log1p",
    "MinMax",
    "OneHot",
    "Rescale",
    "Results",
    "Transform",
    "Vocabulary",
    "ZScore",
    "coerce",
    "coerced",
]
