#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes formats/: small files of the formats that are not PyTorch's. numpy, h5py, onnx and torch (Debian's
python3-numpy, -h5py, -onnx, -torch) write their own; what Debian has no writer for (GGUF, TensorFlow) is written here
from the published descriptions. The tests need only the results."""
import io
import json
import os
import struct
import zipfile

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "formats")
os.makedirs(here, exist_ok=True)
rng = np.random.default_rng(1)


def path(name):
    return os.path.join(here, name)


def write(name, data):
    with open(path(name), "wb") as out:
        out.write(data)


# ---- numpy
weights = rng.standard_normal((3, 4)).astype("<f4")
np.save(path("f32.npy"), weights)
np.save(path("fortran.npy"), np.asfortranarray(rng.standard_normal((5, 3))))
np.save(path("big_endian.npy"), rng.standard_normal(7).astype(">f8"))
np.save(path("scalar.npy"), np.float32(3.0))
np.save(path("empty.npy"), np.zeros((0, 3), "<f4"))
np.save(path("bool.npy"), np.array([True, False]))
nan = weights.copy()
nan[1, 2], nan[2, 0] = np.nan, np.inf
np.save(path("nan.npy"), nan)
record = np.dtype([("step", "<i8"), ("loss", "<f4"), ("grad", "<f2", (3,)), ("name", "S5"),
                   ("inner", [("a", "<f8"), ("b", "u1")])], align=True)
records = np.zeros(4, record)
records["step"] = range(4)
records["loss"][2] = np.nan
records["grad"][1, 1] = np.inf
np.save(path("records.npy"), records)
with open(path("version2.npy"), "wb") as out:
    np.lib.format.write_array(out, weights, version=(2, 0))
with open(path("version3.npy"), "wb") as out:
    np.lib.format.write_array(out, np.zeros(2, [("größe", "<f4")]), version=(3, 0))
with open(path("two.npy"), "wb") as out:
    np.save(out, weights)
    np.save(out, np.arange(5))
np.save(path("objects.npy"), np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
np.savez(path("stored.npz"), w=weights, half=rng.standard_normal(9).astype("<f2"), step=np.int64(7))
np.savez_compressed(path("packed.npz"), w=weights, zeros=np.zeros(2000, "<f4"))
np.savez(path("nan.npz"), w=weights, bad=nan, records=records)
np.savez(path("objects.npz"), w=weights, o=np.array([{"a": 1}], dtype=object))


# ---- GGUF, from ggml/docs/gguf.md
def gguf(name, tensors, pairs=(), version=3, order="<", alignment=32, pad_last=True):
    def text(value):
        value = value.encode()
        return struct.pack(order + "Q", len(value)) + value

    def value(kind, data):
        if kind == 8:
            return text(data)
        if kind == 9:
            inner, items = data
            return struct.pack(order + "IQ", inner, len(items)) + b"".join(value(inner, i) for i in items)
        return struct.pack(order + "BbHhIifB"[kind] if kind < 8 else order + {10: "Q", 11: "q", 12: "d"}[kind], data)

    pairs = [("general.architecture", 8, "llama")] + list(pairs)
    if alignment != 32:
        pairs.append(("general.alignment", 4, alignment))
    head = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(pairs))
    for key, kind, data in pairs:
        head += text(key) + struct.pack(order + "I", kind) + value(kind, data)
    body = b""
    for i, (key, shape, kind, raw) in enumerate(tensors):
        head += text(key) + struct.pack(order + "I", len(shape))
        head += b"".join(struct.pack(order + "Q", n) for n in shape) + struct.pack(order + "IQ", kind, len(body))
        body += raw
        if pad_last or i + 1 < len(tensors):
            body += b"\0" * (-len(body) % alignment)
    write(name, head + b"\0" * (-len(head) % alignment) + body)


def q8_0(blocks, scale=0.5):
    return b"".join(struct.pack("<e", scale) + bytes(rng.integers(0, 256, 32, "u1")) for _ in range(blocks))


def q4_k(blocks, scale=0.25):
    return b"".join(struct.pack("<ee", scale, 0.125) + bytes(rng.integers(0, 256, 140, "u1")) for _ in range(blocks))


def q6_k(blocks, scale):
    return b"".join(bytes(rng.integers(0, 256, 208, "u1")) + struct.pack("<e", scale) for _ in range(blocks))


vocabulary = [("tokenizer.ggml.tokens", 9, (8, ["<s>", "a", "größe"])), ("tokenizer.ggml.scores", 9, (6, [0.0, -1.0, 2.0])),
              ("llama.block_count", 4, 2), ("llama.rope.freq_base", 6, 10000.0), ("general.quantized", 7, 1),
              ("general.size", 10, 1 << 40)]
floats = rng.standard_normal(5).astype("<f4")
gguf("good.gguf", [("token_embd.weight", (64, 2), 8, q8_0(4)), ("norm.weight", (5,), 0, floats.tobytes()),
                   ("blk.0.attn.weight", (256, 2), 12, q4_k(2)), ("half", (3, 1, 2), 1, rng.standard_normal(6).astype("<f2").tobytes())],
     vocabulary)
gguf("version2.gguf", [("w", (5,), 0, floats.tobytes())], version=2)
gguf("version1.gguf", [("w", (5,), 0, floats.tobytes())], version=1)
gguf("big_endian.gguf", [("w", (5,), 0, np.array([1, 2, np.nan, 4, 5], ">f4").tobytes())], order=">")
gguf("aligned.gguf", [("a", (5,), 0, floats.tobytes()), ("b", (3,), 30, b"\x80\x3f" * 3)], alignment=64, pad_last=False)
gguf("nan.gguf", [("a", (5,), 0, np.array([1, np.nan, 3, np.inf, 5], "<f4").tobytes()),
                  ("q8", (64,), 8, q8_0(1) + q8_0(1, float("nan"))), ("q4k", (256,), 12, q4_k(1, float("inf"))),
                  ("q6k", (512,), 14, q6_k(1, 0.5) + q6_k(1, float("nan")))])
gguf("zeros.gguf", [("a", (5,), 0, bytes(20)), ("b", (32,), 8, bytes(34))])
gguf("vocabulary.gguf", [], vocabulary)

# ---- CRC-32C, and TensorFlow's way of storing it
table = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    table.append(byte)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value):
    value &= (1 << 64) - 1
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def field(number, value):  # protobuf: whole numbers, doubles and floats as packed bytes, messages
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, tuple):  # (struct format, value)
        return varint(number << 3 | {"<d": 1, "<f": 5, "<I": 5}[value[0]]) + struct.pack(*value)
    return varint(number << 3 | 2) + varint(len(value)) + value


# ---- TFRecord and TensorBoard
def record_of(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(crc32c(length))) + data + struct.pack("<I", masked(crc32c(data)))


def event(step, body=b"", version=None):
    data = field(1, ("<d", 1.7e9 + step))
    if step:
        data += field(2, step)
    if version:
        data += field(3, version)
    return record_of(data + (field(5, body) if body else b""))


def scalar(tag, value):
    return field(1, field(1, tag) + field(2, ("<f", value)))


def tensor_scalar(tag, value):  # as TensorFlow 2 writes them
    return field(1, field(1, tag) + field(8, field(1, 1) + field(2, b"") + field(4, struct.pack("<f", value))))


start = event(0, version=b"brain.Event:2")
events = start + b"".join(event(s, scalar(b"loss", 1.0 / s) + tensor_scalar(b"acc", s / 10)) for s in range(1, 6))
write("events.out.tfevents.1700000000.box.1.0", events)
write("events.out.tfevents.1700000001.nan.1.0",
      events + event(6, scalar(b"loss", float("nan")) + tensor_scalar(b"grad norm", float("inf"))))
write("data.tfrecord", b"".join(record_of(bytes(rng.integers(0, 256, n, "u1"))) for n in (1, 100, 0, 3000)))


# ---- TensorFlow's checkpoint
def block(pairs, restart_every=16):
    data, last, restarts = b"", b"", []
    for i, (key, value) in enumerate(pairs):
        shared = 0
        if i % restart_every == 0:
            restarts.append(len(data))
        else:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return data + b"".join(struct.pack("<I", r) for r in restarts) + struct.pack("<I", len(restarts))


def sstable(pairs, blocks=2):
    data, index = b"", []

    def put(content):
        nonlocal data
        handle = varint(len(data)) + varint(len(content))
        data += content + b"\0" + struct.pack("<I", masked(crc32c(content + b"\0")))
        return handle

    size = max(1, -(-len(pairs) // blocks))
    for i in range(0, len(pairs), size):
        part = pairs[i:i + size]
        index.append((part[-1][0], put(block(part))))
    meta = put(block([]))
    footer = meta + put(block(index, 1))
    return data + footer + b"\0" * (40 - len(footer)) + struct.pack("<Q", 0xDB4775248B80FB57)


def strings(values):
    data, crc = b"", 0
    for value in values:
        data += varint(len(value))
        crc = crc32c(struct.pack("<I", len(value)), crc)
    check = struct.pack("<I", masked(crc))
    crc = crc32c(check + b"".join(values), crc)
    return data + check + b"".join(values), crc


def bundle(prefix, tensors, shards=1):
    header = field(1, shards) + field(3, field(1, 1))
    pairs, files = [(b"", header)], [b""] * shards
    for i, (key, value) in enumerate(sorted(tensors.items())):
        shard = i % shards
        if isinstance(value, list):
            raw, crc = strings(value)
            dtype, shape = 7, (len(value),)
        else:
            raw = value.tobytes()
            crc = crc32c(raw)
            dtype, shape = {"float32": 1, "int64": 9, "float16": 19}[str(value.dtype)], value.shape
        entry = field(1, dtype) + field(2, b"".join(field(2, field(1, n) if n else b"") for n in shape))
        if shard:
            entry += field(3, shard)
        if files[shard]:
            entry += field(4, len(files[shard]))
        entry += field(5, len(raw)) + field(6, ("<I", masked(crc)))
        files[shard] += raw
        pairs.append((key.encode(), entry))
    write(prefix + ".index", sstable(pairs))
    for i, data in enumerate(files):
        write("%s.data-%05d-of-%05d" % (prefix, i, shards), data)


graph = [b"an object graph, opaque here"]
layer = rng.standard_normal((8, 4)).astype("<f4")
bundle("ckpt-1", {"layer/kernel/.ATTRIBUTES/VARIABLE_VALUE": layer, "layer/bias/.ATTRIBUTES/VARIABLE_VALUE": layer[0].copy(),
                  "save_counter/.ATTRIBUTES/VARIABLE_VALUE": np.array(1, "<i8"), "_CHECKPOINTABLE_OBJECT_GRAPH": graph,
                  "optimizer/m": layer.astype("<f2")})
bundle("sharded", {"a": layer, "b": nan.astype("<f4"), "c": [b"x", b"", b"yz" * 100]}, shards=2)


# ---- ONNX
def onnx_model(initializers, extra_nodes=(), name="g"):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])] + list(extra_nodes)
    g = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], initializers)
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)])


w = numpy_helper.from_array(weights, "w")
typed = [helper.make_tensor("f", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
         helper.make_tensor("i", TensorProto.INT64, [2, 2], [1, -2, 3, 4]),
         helper.make_tensor("h", TensorProto.FLOAT16, [2], [1.0, 2.0]),
         helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"bc"]),
         helper.make_tensor("d", TensorProto.DOUBLE, [1], [0.5])]
write("good.onnx", onnx_model([w] + typed).SerializeToString())
write("nan.onnx", onnx_model([numpy_helper.from_array(nan, "w"),
                              helper.make_tensor("f", TensorProto.FLOAT, [2], [1.0, float("nan")])]).SerializeToString())
branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(weights, "inner"))], "then", [],
                           [helper.make_tensor_value_info("c", TensorProto.FLOAT, [3, 4])])
write("nested.onnx", onnx_model([w], [helper.make_node("If", ["b"], ["z"], then_branch=branch, else_branch=branch)]).SerializeToString())
outside = onnx_model([numpy_helper.from_array(weights, "w"), numpy_helper.from_array(nan, "v")])
onnx.save_model(outside, path("outside.onnx"), save_as_external_data=True, location="outside.onnx.data", size_threshold=0)
try:
    import torch
    linear = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU())
    torch.onnx.export(linear, torch.ones(1, 8), path("torch.onnx"))
except Exception as error:  # some builds of torch have no exporter
    print("no torch.onnx:", error)

# ---- HDF5 and Keras
with h5py.File(path("good.h5"), "w") as f:
    f["model/dense/kernel"] = layer
    f["model/dense/bias"] = layer[0]
    f["half"] = rng.standard_normal(6).astype("<f2")
    f["big"] = rng.standard_normal(6).astype(">f8")
    f.create_dataset("chunked", data=rng.standard_normal((40, 10)).astype("f4"), chunks=(16, 4), compression="gzip", shuffle=True)
    f["step"] = 7
    f["names"] = np.array(["kernel", "bias"], dtype=h5py.string_dtype())
    f["complex"] = np.array([1 + 2j, 3])
    f.attrs["keras_version"] = "2.11.0"
    f.attrs["layer_names"] = [b"dense", b"relu"]
with h5py.File(path("latest.h5"), "w", libver="latest") as f:
    f["a/b"] = layer
    f.create_dataset("checked", data=np.arange(500, dtype="f4"), chunks=(100,), fletcher32=True)
with h5py.File(path("nan.h5"), "w") as f:
    f["w"] = nan
    f.create_dataset("packed", data=np.full(100, np.inf, "f8"), compression="gzip")
    f["z"] = np.zeros(10)
with h5py.File(path("never_written.h5"), "w") as f:
    f["w"] = weights
    f.create_dataset("ghost", (1000, 1000), "f4")
with h5py.File(path("half_written.h5"), "w") as f:
    d = f.create_dataset("half", (100,), "f4", chunks=(10,))
    d[:35] = 1
with h5py.File(path("links.h5"), "w") as f:
    f["w"] = weights
    f["elsewhere"] = h5py.ExternalLink("good.h5", "/model")
    f["soft"] = h5py.SoftLink("/w")
with h5py.File(path("large.h5"), "w") as f:  # more than is read at once
    large = np.zeros((2, 1100, 1000), "<f4")
    large[0, 1099, 999] = large[1, 0, 0] = large[1, 1049, 0] = np.nan
    f.create_dataset("w", data=large, chunks=(1, 550, 1000), compression=9)
with h5py.File(path("userblock.h5"), "w", userblock_size=512) as f:
    f["w"] = weights
source = h5py.VirtualLayout((3, 4), "f4")
source[:] = h5py.VirtualSource("f32.h5", "w", (3, 4))
with h5py.File(path("virtual.h5"), "w", libver="latest") as f:
    f.create_virtual_dataset("v", source)
memory = io.BytesIO()
with h5py.File(memory, "w") as f:
    f["layers/dense/vars/0"] = layer
    f["layers/dense/vars/1"] = layer[0]


def keras(name, layer_class):
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [
        {"module": "keras.layers", "class_name": layer_class, "config": {"name": "dense"}}]}}
    with zipfile.ZipFile(path(name), "w") as z:
        z.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        z.writestr("config.json", json.dumps(config))
        z.writestr("model.weights.h5", memory.getvalue())


keras("good.keras", "Dense")
keras("lambda.keras", "Lambda")
for name in sorted(os.listdir(here)):
    assert os.path.getsize(path(name)) < 20000, name
