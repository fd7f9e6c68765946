#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes folders/: small checkpoint folders, by the libraries that write them where this Python has them (Debian sid's
torch 2.14, safetensors, accelerate and transformers made what is kept here) and in their shape where it has not:
DeepSpeed and Orbax. The tests need only the results. Usage: make_folders.py [NAME...]"""
import collections
import json
import os
import shutil
import struct
import sys
import types

import torch

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "folders")


def folder(name):
    path = os.path.join(here, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(content if isinstance(content, bytes) else content.encode())


def model():
    torch.manual_seed(1)
    return torch.nn.Sequential(collections.OrderedDict(first=torch.nn.Linear(4, 6), second=torch.nn.Linear(6, 2)))


def trained(steps):
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        scheduler.step()
    return net, optimizer, scheduler


def safetensors_of(tensors):
    try:
        import safetensors.torch
        return safetensors.torch.save(tensors, metadata={"format": "pt"})
    except ImportError:
        pass
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for key, value in sorted(tensors.items()):
        raw = value.detach().contiguous().numpy().tobytes()
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# transformers, save_pretrained: the index is written behind the shards.
def sharded(name, ending, save):
    path, state = folder(name), model().state_dict()
    names = sorted(state)
    head = "model" if ending == ".safetensors" else "pytorch_model"
    shards = {"%s-0000%d-of-00002%s" % (head, i + 1, ending): names[2 * i:2 * i + 2] for i in range(2)}
    for file, part in shards.items():
        save({key: state[key] for key in part}, os.path.join(path, file))
    index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in state.values())},
             "weight_map": {key: file for file, part in shards.items() for key in part}}
    write(os.path.join(path, head + ending + ".index.json"), json.dumps(index, indent=2, sort_keys=True) + "\n")


def sharded_safetensors():
    sharded("sharded_safetensors", ".safetensors", lambda state, file: write(file, safetensors_of(state)))


def sharded_bin():
    sharded("sharded_bin", ".bin", torch.save)


# Hugging Face Trainer, three steps of a tiny model.
def hf_trainer():
    import transformers

    class Net(transformers.PreTrainedModel):
        config_class = transformers.PretrainedConfig
        _tied_weights_keys = {}

        def __init__(self, config):
            super().__init__(config)
            self.net = model()
            self.post_init()

        def forward(self, x, labels=None):
            return {"loss": ((self.net(x) - labels) ** 2).mean()}

    path = folder("hf_trainer")
    data = [{"x": torch.ones(4) * i, "labels": torch.zeros(2)} for i in range(6)]
    arguments = transformers.TrainingArguments(path, max_steps=3, save_steps=3, logging_steps=1, report_to=[],
                                               per_device_train_batch_size=2, use_cpu=True)
    transformers.Trainer(Net(transformers.PretrainedConfig()), arguments, train_dataset=data).train()


def accelerate():
    from accelerate import Accelerator
    path = folder("accelerate")
    accelerator = Accelerator(cpu=True)
    net, optimizer, scheduler = trained(3)
    net, optimizer, scheduler = accelerator.prepare(net, optimizer, scheduler)
    accelerator.save_state(path)


# DeepSpeed's own classes, by their names only.
def named(module, name, **members):
    kind = type(name, (), {"__module__": module, **members})
    parts = module.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[:i + 1]), types.ModuleType(".".join(parts[:i + 1])))
    setattr(sys.modules[module], name, kind)
    return kind


# DeepSpeed, ZeRO stage 2, two ranks: engine.py, _save_checkpoint and stage_1_and_2.py, state_dict.
def deepspeed():
    scaler = named("deepspeed.runtime.fp16.loss_scaler", "LossScaler")()
    scaler.cur_scale, scaler.dynamic = 1.0, False
    path, (net, _, _) = folder("deepspeed"), trained(3)
    tag = os.path.join(path, "global_step3")
    os.makedirs(tag)
    shapes = collections.OrderedDict((key, value.shape) for key, value in net.named_parameters())
    flat = torch.cat([value.detach().flatten() for value in net.parameters()])
    torch.save({"module": net.state_dict(), "buffer_names": [], "optimizer": None, "param_shapes": [shapes],
                "frozen_param_shapes": None, "shared_params": {}, "frozen_param_fragments": None, "lr_scheduler": None,
                "data_sampler": None, "random_ltd": None, "sparse_tensor_module_names": set(), "skipped_steps": 0,
                "global_steps": 3, "global_samples": 6, "dp_world_size": 2, "mp_world_size": 1,
                "ds_config": {"train_batch_size": 2, "zero_optimization": {"stage": 2}}, "ds_version": "0.14.0"},
               os.path.join(tag, "mp_rank_00_model_states.pt"))
    for rank in range(2):
        part = flat[rank * len(flat) // 2:(rank + 1) * len(flat) // 2].clone()
        state = {"loss_scaler": scaler, "dynamic_loss_scale": False, "overflow": False, "clip_grad": 0.0,
                 "base_optimizer_state": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": part, "exp_avg_sq": part}},
                                          "param_groups": [{"lr": 0.01, "params": [0]}]},
                 "single_partition_of_fp32_groups": [part], "zero_stage": 2, "group_paddings": [0],
                 "partition_count": [2], "ds_version": "0.14.0"}
        torch.save({"optimizer_state_dict": state, "ds_config": {}, "ds_version": "0.14.0"},
                   os.path.join(tag, "bf16_zero_pp_rank_%d_mp_rank_00_optim_states.pt" % rank))
    write(os.path.join(path, "latest"), "global_step3")


# torch.distributed.checkpoint, two ranks that hold half of each sharded tensor, and an object.
def dcp_rank(rank, path):
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511", RANK=str(rank), WORLD_SIZE="2",
                      USE_LIBUV="0")
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (2,))
    state = {key: distribute_tensor(value, mesh, [Shard(0)]) for key, value in model().state_dict().items()}
    state["scale"], state["step"] = torch.tensor(2.0), {"epoch": 1, "step": 3}
    dcp.save(state, checkpoint_id=path)
    dist.destroy_process_group()


def dcp():
    import torch.multiprocessing
    torch.multiprocessing.spawn(dcp_rank, (folder("dcp"),), nprocs=2)


# Other .metadata for dcp/, each wrong in one way.
def dcp_broken():
    import copy
    import pickle
    from torch.distributed.checkpoint.metadata import ChunkStorageMetadata
    path = folder("dcp_broken")
    with open(os.path.join(here, "dcp", ".metadata"), "rb") as file:
        whole = pickle.load(file)

    def first(metadata):  # of the second record of a file
        return next(info for info in metadata.storage_data.values() if info.offset > 0)

    def hole(metadata):
        first(metadata).offset += 1
        first(metadata).length -= 1

    def overlap(metadata):
        first(metadata).offset -= 1
        first(metadata).length += 1

    def outside(metadata):
        first(metadata).length += 1 << 40

    def escape(metadata):
        first(metadata).relative_path = "../__0_0.distcp"

    def chunk_hole(metadata):
        metadata.state_dict_metadata["first.weight"].chunks.pop()

    def chunk_overlap(metadata):
        chunks = metadata.state_dict_metadata["first.weight"].chunks
        chunks[1] = ChunkStorageMetadata(torch.Size([2, 0]), chunks[1].sizes)

    def no_record(metadata):
        for key in [k for k in metadata.storage_data if k.fqn.startswith("step")]:
            del metadata.storage_data[key]

    def dtype(metadata):
        metadata.state_dict_metadata["first.weight"].properties.dtype = torch.float64

    for change in [hole, overlap, outside, escape, chunk_hole, chunk_overlap, no_record, dtype]:
        metadata = copy.deepcopy(whole)
        change(metadata)
        with open(os.path.join(path, change.__name__), "wb") as file:
            pickle.dump(metadata, file)


# .metadata for the two records that tests/fuzz/dcp_fuzz.cc holds against any bytes.
def dcp_seed():
    import pickle
    module = "torch.distributed.checkpoint.metadata"
    text = lambda t: b"X" + struct.pack("<I", len(t)) + t.encode()
    record = (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" +
              text("0") + text("cpu") + b"K\2tQK\0K\2\x85K\1\x85\x89ccollections\nOrderedDict\n)RtR.")
    names = [("archive/data.pkl", len(record)), ("archive/data/0", 8), ("archive/version", 2)]
    length = sum(76 + 2 * len(name) + size for name, size in names) + 22
    kinds = {name: named(module, name) for name in
             ["Metadata", "TensorStorageMetadata", "ChunkStorageMetadata", "MetadataIndex", "TensorProperties"]}
    info = named("torch.distributed.checkpoint.filesystem", "_StorageInfo")

    def make(kind, **state):
        made = kind()
        made.__dict__.update(state)
        return made
    entries, records = {}, {}
    for i, name in enumerate("ab"):
        chunk = make(kinds["ChunkStorageMetadata"], offsets=torch.Size([0]), sizes=torch.Size([2]))
        entries[name] = make(kinds["TensorStorageMetadata"], size=torch.Size([2]), chunks=[chunk],
                             properties=make(kinds["TensorProperties"], dtype=torch.float32))
        records[make(kinds["MetadataIndex"], fqn=name, offset=torch.Size([0]), index=0)] = make(
            info, relative_path="__0_0.distcp", offset=i * length, length=length)
    metadata = make(kinds["Metadata"], state_dict_metadata=entries, planner_data=None, storage_data=records)
    for protocol in (2, 5):
        write(os.path.join(here, "../../../fuzz/corpus/dcp/whole_%d" % protocol), pickle.dumps(metadata, protocol))


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


# Orbax without OCDBT: a zarr v2 array per parameter; and the manifest of one with it.
def orbax():
    path = os.path.join(folder("orbax"), "3")
    commit = {"item_handlers": {"default": "orbax.checkpoint.PyTreeCheckpointHandler"},
              "init_timestamp_nsecs": 1, "commit_timestamp_nsecs": 2}
    write(os.path.join(path, "_CHECKPOINT_METADATA"), json.dumps(commit))
    tree = {"tree_metadata": {}, "use_zarr3": False}
    write(os.path.join(path, "default", "_METADATA"), json.dumps(tree))
    for name, shape, chunks in [("params.kernel", [4, 6], [4, 3]), ("params.bias", [6], [6]), ("step", [], [])]:
        array = {"chunks": chunks, "compressor": None, "dimension_separator": ".", "dtype": "<f4", "fill_value": None,
                 "filters": None, "order": "C", "shape": shape, "zarr_format": 2}
        write(os.path.join(path, "default", name, ".zarray"), json.dumps(array))
        counts = [s // c for s, c in zip(shape, chunks)]
        files = ["0"] if not counts else ["0"] if counts == [1] else ["0.%d" % i for i in range(counts[1])]
        size = 1
        for chunk in chunks:
            size *= chunk
        for file in files:
            write(os.path.join(path, "default", name, file), struct.pack("<%df" % size, *range(size)))
    path = os.path.join(folder("orbax_ocdbt"), "3", "default")
    write(os.path.join(path, "_METADATA"), json.dumps(tree))
    body = bytes(range(32))
    head = bytes.fromhex("0cdb3a2a") + struct.pack("<Q", 12 + len(body) + 4)
    write(os.path.join(path, "manifest.ocdbt"), head + body + struct.pack("<I", crc32c(head + body)))
    write(os.path.join(path, "d", "0" * 32), bytes(64))


makers = [sharded_safetensors, sharded_bin, hf_trainer, accelerate, deepspeed, dcp, dcp_broken, dcp_seed, orbax]

if __name__ == "__main__":
    for make in makers:
        if len(sys.argv) == 1 or make.__name__ in sys.argv[1:]:
            make()
