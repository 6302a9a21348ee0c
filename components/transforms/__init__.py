"""The transforms, by the name that a pipeline calls them. Light: no array library is imported."""

from __future__ import annotations

from .base import Analyzer, Constants, Kind, Results, Transform, coerce, coerced
from .buckets import Bucketize
from .by_key import ByKey
from .categories import Count, Frequency, Hash, OneHot, Vocabulary
from .crosses import Cross, Embedding
from .dates import Cyclic, DateParts
from .distributions import Power, QuantileNormal
from .identity import Identity
from .images import CenterCrop, Decode, Resize, Scale, Standardize
from .impute import Impute
from .multivalued import Bag, MultiHot, Pad, Split, Tokens
from .scaling import Clip, Log1p, MaxAbs, MinMax, Rescale, Robust, ZScore
from .target import TargetMean

TRANSFORMS: dict[str, type[Transform]] = {
    cls.name: cls
    for cls in (
        ZScore, MinMax, MaxAbs, Robust, QuantileNormal, Power, Rescale, Log1p, Clip, Impute, Bucketize,
        Vocabulary, OneHot, Hash, Count, Frequency, TargetMean, Cross, Embedding, DateParts, Cyclic, Split,
        Tokens, MultiHot, Bag, Pad, Decode, Resize, CenterCrop, Scale, Standardize, Identity,
    )
}  # fmt: skip
"""Every transform that the `features` grammar knows."""

__all__ = [
    "TRANSFORMS",
    "Analyzer",
    "Bag",
    "Bucketize",
    "ByKey",
    "CenterCrop",
    "Clip",
    "Constants",
    "Count",
    "Cross",
    "Cyclic",
    "DateParts",
    "Decode",
    "Embedding",
    "Frequency",
    "Hash",
    "Identity",
    "Impute",
    "Kind",
    "Log1p",
    "MaxAbs",
    "MinMax",
    "MultiHot",
    "OneHot",
    "Pad",
    "Power",
    "QuantileNormal",
    "Rescale",
    "Resize",
    "Results",
    "Robust",
    "Scale",
    "Split",
    "Standardize",
    "TargetMean",
    "Tokens",
    "Transform",
    "Vocabulary",
    "ZScore",
    "coerce",
    "coerced",
]
