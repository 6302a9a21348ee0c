"""tf.Example as a protobuf message, declared here so that it takes no TensorFlow to read one.

The fields are those of `tensorflow/core/example/example.proto` and `feature.proto`. The message lives in a
pool of its own, where it can't meet TensorFlow's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "headrace.tf_example"


def normal_form(record: bytes) -> bytes:
    """The same tf.Example as protobuf's own serializer writes it: sorted, packed, without unknown fields.

    Raises:
        ValueError: the bytes are no tf.Example; says why.
    """
    try:
        message = example_class().FromString(record)
    except DecodeError as error:
        raise ValueError("is no tf.Example: protobuf can't read it") from error
    if message.feature_lists:
        raise ValueError("is a tf.SequenceExample, and its feature_lists have no place in a table")
    message.DiscardUnknownFields()
    normal: bytes = message.SerializeToString(deterministic=True)
    return normal


@cache
def example_class() -> Any:
    """The message class; beside the fields of a tf.Example it knows `feature_lists` of a SequenceExample."""
    file = descriptor_pb2.FileDescriptorProto(name="tf_example.proto", package=_PACKAGE, syntax="proto3")
    for name, kind in (("BytesList", "BYTES"), ("FloatList", "FLOAT"), ("Int64List", "INT64")):
        _add(file.message_type.add(name=name), "value", 1, f"TYPE_{kind}", repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        field = _add(feature, name.replace("List", "_list").lower(), number, "TYPE_MESSAGE", name)
        field.oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, "TYPE_STRING")
    _add(entry, "value", 2, "TYPE_MESSAGE", "Feature")
    _add(features, "feature", 1, "TYPE_MESSAGE", "Features.FeatureEntry", repeated=True)
    example = file.message_type.add(name="Example")
    _add(example, "features", 1, "TYPE_MESSAGE", "Features")
    _add(example, "feature_lists", 2, "TYPE_BYTES", repeated=True)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _add(message: Any, name: str, number: int, kind: str, of: str = "", repeated: bool = False) -> Any:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, type=getattr(_FIELD, kind), label=label)
    if of:
        field.type_name = f".{_PACKAGE}.{of}"
    return field
