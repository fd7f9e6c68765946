#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""FOLDER of mutate_artifacts --write: what torch.load(weights_only=True) makes of the same mutants, for comparison with
that program's own table. Mutants only differ in data, so loading them with weights_only runs nothing."""
import collections
import csv
import os
import sys
import warnings

import torch

warnings.filterwarnings("ignore")
folder = sys.argv[1]


def canonical(value):
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.contiguous().flatten().view(-1).numpy().tobytes()
                if value.dtype != torch.bfloat16 else value.float().numpy().tobytes())
    if isinstance(value, dict):
        return {repr(k): canonical(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    return repr(value)


def load(path):
    try:
        return canonical(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:
        return None


originals, table, skipped = {}, collections.defaultdict(collections.Counter), 0
with open(os.path.join(folder, "mutants.tsv")) as rows:
    for name, original, kind_of_file, kind, caught in csv.reader(rows, delimiter="\t"):
        if original not in originals:
            originals[original] = load(original)
        if originals[original] is None or kind_of_file not in ("pytorch_zip", "pytorch_legacy") or caught == "same bytes":
            skipped += 1
            continue
        loaded = load(os.path.join(folder, name))
        result = "refused" if loaded is None else "same values" if loaded == originals[original] else "WRONG VALUES"
        table[kind_of_file + ": " + kind][result] += 1
columns = ["refused", "same values", "WRONG VALUES"]
print("%-40s" % ("torch.load " + torch.__version__) + "".join("%14s" % c for c in columns))
for row in sorted(table):
    print("%-40s" % row + "".join("%14d" % table[row][c] for c in columns))
print("(%d mutants of files that this torch does not load itself were left out)" % skipped)
