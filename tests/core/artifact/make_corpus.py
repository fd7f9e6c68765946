#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes data/: small real files from real writers. Run with a Python that has torch (Debian's python3-torch
1.13 made what is kept here). The tests need only the results."""
import collections
import json
import os
import struct
import zipfile
import zlib

import numpy as np
import torch

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
os.makedirs(here, exist_ok=True)
torch.manual_seed(1)


def save(name, value, **options):
    torch.save(value, os.path.join(here, name), **options)


def safetensors(name, tensors, metadata=None):
    header, data, at = {}, b"", 0
    if metadata:
        header["__metadata__"] = metadata
    for key, (dtype, shape, raw) in tensors.items():
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
        data += raw
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(here, name), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


linear = torch.nn.Linear(8, 4)
save("state_dict.pt", linear.state_dict())
optimizer = torch.optim.Adam(linear.parameters(), lr=0.1)
linear(torch.ones(1, 8)).sum().backward()
optimizer.step()
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
save("training.pt", {"model": linear.state_dict(), "optimizer": optimizer.state_dict(),
                     "scheduler": {k: v for k, v in scheduler.state_dict().items() if k != "_get_lr_called_within_step"},
                     "epoch": 3, "rng_state": torch.get_rng_state()})
base = torch.arange(24, dtype=torch.float32)
save("views.pt", {"base": base, "transposed": base.view(4, 6).t(), "slice": base[3:9], "empty": torch.empty(0, 5),
                  "scalar": torch.tensor(3.0), "broadcast": torch.ones(1).expand(7)})
save("dtypes.pt", {str(d): torch.ones(5, dtype=d) for d in
                   [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                    torch.int8, torch.uint8, torch.bool, torch.complex64]})
save("parameter.pt", collections.OrderedDict(w=torch.nn.Parameter(torch.ones(3))))
save("nan.pt", {"w": torch.tensor([1.0, float("nan"), float("inf"), 2.0])})
save("zeros.pt", {"w": torch.zeros(16)})
save("legacy.pt", linear.state_dict(), _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.script(linear), os.path.join(here, "script.pt"))
f32 = lambda *v: struct.pack("<%df" % len(v), *v)
safetensors("good.safetensors", {"a": ("F32", [2, 3], f32(1, 2, 3, 4, 5, 6)), "b": ("BF16", [2], b"\x80\x3f\x00\x40"),
                                 "c": ("I64", [], struct.pack("<q", 7))}, {"format": "pt"})
safetensors("nan.safetensors", {"a": ("F32", [2], f32(1, float("nan")))})

# The shape that torch 2.14 writes, around records of torch 1.13: aligned payloads, byteorder, descriptors, the fold of
# all CRC-32 in .data/serialization_id, and the zip64 end that torch always appends.
def torch2(name, records, big=False):
    root, out, directory = "archive/", b"", b""
    little = "big" if big else "little"
    records = [("data.pkl", records["data.pkl"]), (".format_version", b"1"), (".storage_alignment", b"64"),
               ("byteorder", little.encode())] + [(k, v) for k, v in records.items() if k.startswith("data/")] + [
               ("version", b"3\n"), (".data/serialization_id", None)]
    fold = 0
    for key, content in records:
        if content is None:
            content = b"%020d%020d" % (1234567, fold)
        crc, name_bytes, at = zlib.crc32(content), (root + key).encode(), len(out)
        if content and not key.endswith("serialization_id"):
            fold = (fold ^ (crc + 0x9e3779b9 + (fold << 6) + (fold >> 2))) % 2**64
        flags = 0x0808 if content else 0x0800
        pad = -(at + 30 + len(name_bytes) + 4) % 64
        extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad
        out += struct.pack("<IHHHHHIIIHH", 0x04034b50, 0, flags, 0, 0, 0, 0, 0, 0, len(name_bytes), len(extra))
        out += name_bytes + extra + content
        if content:
            out += struct.pack("<IIII", 0x08074b50, crc, len(content), len(content))
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 0, 0, flags, 0, 0, 0, crc, len(content), len(content),
                                 len(name_bytes), 0, 0, 0, 0, 0, at) + name_bytes
    at, end = len(out), len(out) + len(directory)
    tail = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 0x031e, 45, 0, 0, len(records), len(records), len(directory), at)
    tail += struct.pack("<IIQI", 0x07064b50, 0, end, 1)
    tail += struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, len(records), len(records), len(directory), at, 0)
    with open(os.path.join(here, name), "wb") as file:
        file.write(out + directory + tail)


def records_of(name):
    with zipfile.ZipFile(os.path.join(here, name)) as archive:
        return {n.split("/", 1)[1]: archive.read(n) for n in archive.namelist()}


torch2("torch2.pt", records_of("training.pt"))
swapped = records_of("nan.pt")
swapped["data/0"] = np.frombuffer(swapped["data/0"], "<f4").astype(">f4").tobytes()
torch2("big_endian.pt", swapped, big=True)
with zipfile.ZipFile(os.path.join(here, "deflated.pt"), "w", zipfile.ZIP_DEFLATED) as archive:
    for key, content in records_of("training.pt").items():
        archive.writestr(zipfile.ZipInfo("training/" + key), content, zipfile.ZIP_DEFLATED)
with zipfile.ZipFile(os.path.join(here, "zip64.pt"), "w") as archive:
    for key, content in records_of("state_dict.pt").items():
        with archive.open(zipfile.ZipInfo("state_dict/" + key), "w", force_zip64=True) as record:
            record.write(content)

# More training states: the old format, Lightning's keys, states whose parts do not belong together.
big = torch.nn.Linear(64, 96)
adam = torch.optim.Adam(big.parameters(), lr=0.01)
for _ in range(3):
    adam.zero_grad()
    big(torch.ones(1, 64)).sum().backward()
    adam.step()
save("training_legacy.pt", {"model": big.state_dict(), "optimizer": adam.state_dict(), "epoch": 3},
     _use_new_zipfile_serialization=False)
lightning = {"epoch": 1, "global_step": 3, "pytorch-lightning_version": "2.1.0", "state_dict": linear.state_dict(),
             "loops": {}, "callbacks": {}, "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [{"last_epoch": 1}],
             "MixedPrecision": {"scale": 65536.0}}
save("lightning.ckpt", lightning)
save("torn_steps.ckpt", {**lightning, "global_step": 0})
save("other_model.pt", {"model": {"weight": torch.ones(8, 4)}, "optimizer": optimizer.state_dict(), "epoch": 1})
save("other_shapes.pt", {"model": {"weight": torch.ones(9, 4), "bias": torch.ones(4)}, "optimizer": optimizer.state_dict()})
f16 = lambda n: np.linspace(-1, 1, n, dtype="<f2").tobytes()
safetensors("several.safetensors", {"layer.%d.weight" % i: ("F16", [32, 48], f16(32 * 48)) for i in range(3)} |
            {"empty": ("F32", [0, 4], b""), "flag": ("BOOL", [3], b"\1\0\1")}, {"step": "100"})
