"""Weights out of Caffe's own files, without Caffe: the few fields of its messages that hold them.

NetParameter  layers (2), the form until 2014, or layer (100)
  layer       name, blobs: the weights, then the bias
    blob      shape (7), or four lengths (1 to 4) in old files; data (5)
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("weight", "bias")
"""A layer's blobs in order."""


class CaffeError(ValueError):
    """A file that Caffe did not write, or that holds no weights."""


def read_caffemodel(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the weights and biases of every layer that has any, by names such as "deconv5.weight"."""
    network_kind, error = _messages()
    network = network_kind()
    try:
        network.ParseFromString(path.read_bytes())
    except error as wrong:
        raise CaffeError(f"{path} is no Caffe model, or not all of it is there: {wrong}.") from wrong
    weights = {}
    for layer in (*network.layers, *network.layer):
        for kind, blob in zip(KINDS, layer.blobs, strict=False):
            weights[f"{layer.name}.{kind}"] = _numbers(f"{path}, layer {layer.name!r}", blob)
    if not weights:
        raise CaffeError(f"{path} holds no weights.")
    return weights


def _numbers(where: str, blob: Any) -> NDArray[np.float32]:
    """Return a blob in its shape; the old form is padded with ones in front to four axes."""
    shape = tuple(blob.shape.dim)
    if not shape:
        lengths = (blob.num, blob.channels, blob.height, blob.width)
        first = next((i for i, length in enumerate(lengths) if length > 1), 3)
        shape = lengths[first:]
    packed = b"".join(blob.data)
    if len(packed) != 4 * np.prod(shape, dtype=np.int64):
        raise CaffeError(f"{where}: {len(packed) // 4} numbers do not make a blob of {list(shape)}: it is damaged.")
    return np.frombuffer(packed, "<f4").reshape(shape).astype(np.float32)


@cache
def _messages() -> tuple[Any, type[Exception]]:
    """Return the class of Caffe's outermost message, and what it raises."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
    except ImportError as missing:
        raise CaffeError("Caffe's files are read with protobuf: pip install protobuf") from missing
    # On the wire packed floats are a run of bytes. Read as bytes they need not become 16 million Python numbers.
    fields = {
        "Shape": [("dim", 1, "INT64", "")],
        "Blob": [
            *((name, number, "INT32?", "") for number, name in enumerate(("num", "channels", "height", "width"), 1)),
            ("data", 5, "BYTES", ""),
            ("shape", 7, "MESSAGE?", "Shape"),
        ],
        "OldLayer": [("name", 4, "STRING?", ""), ("blobs", 6, "MESSAGE", "Blob")],
        "Layer": [("name", 1, "STRING?", ""), ("blobs", 7, "MESSAGE", "Blob")],
        "Network": [("layers", 2, "MESSAGE", "OldLayer"), ("layer", 100, "MESSAGE", "Layer")],
    }
    file = descriptor_pb2.FileDescriptorProto(name="xdream_caffe.proto", package="xdream_caffe", syntax="proto2")
    for kind, own in fields.items():
        message_type = file.message_type.add(name=kind)
        for name, number, form, of in own:
            field = message_type.field.add(name=name, number=number)
            field.type = getattr(field, f"TYPE_{form.rstrip('?')}")
            field.label = field.LABEL_OPTIONAL if form.endswith("?") else field.LABEL_REPEATED
            if of:
                field.type_name = f".xdream_caffe.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    network = message_factory.GetMessageClass(pool.FindMessageTypeByName("xdream_caffe.Network"))
    return network, message.DecodeError
