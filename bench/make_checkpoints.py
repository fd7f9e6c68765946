#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""FOLDER: writes ckpt.pt (a model with Adam's moments, as a trainer saves it) and flat.safetensors there, each a little
over 1 GiB, with a Python that has torch. measure_readers.sh reads them."""
import json
import os
import struct
import sys

import torch

folder = sys.argv[1]
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Embedding(32000, 1024),
                            *[torch.nn.Linear(1024, 1024) for _ in range(56)])
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for parameter in model.parameters():
    parameter.grad = torch.randn_like(parameter)
optimizer.step()
state = model.state_dict()
moments = {"%s.%s" % (name, moment): value for name, parameter in model.named_parameters()
           for moment, value in optimizer.state[parameter].items() if value.dim() > 0}
torch.save({"model": state, "optimizer": optimizer.state_dict(), "epoch": 1}, os.path.join(folder, "ckpt.pt"))
tensors = {**state, **moments}
header, at = {}, 0
for name, tensor in tensors.items():
    size = tensor.numel() * tensor.element_size()
    header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + size]}
    at += size
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(folder, "flat.safetensors"), "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        out.write(tensor.contiguous().numpy().tobytes())
