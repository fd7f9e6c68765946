#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes data/: small real files from real writers. Run with a Python that has torch (Debian's python3-torch
1.13 made what is kept here). The tests need only the results."""
import collections
import json
import os
import struct

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
