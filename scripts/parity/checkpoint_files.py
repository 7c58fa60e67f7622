"""Small checkpoints as PyTorch writes them: `checkpoint_files.py FOLDER` writes them, with `--check` compares with FOLDER.

Every one holds (a part of) the same weights: entry i of `1.weight` (3, 4) is (i - 6) / 8, of `1.bias` i / 4, numbers that
half precision holds exactly.
"""
import collections
import pathlib
import sys
import tempfile

import torch
from torch import nn

W = (torch.arange(12.0).reshape(3, 4) - 6) / 8
B = torch.arange(3.0) / 4


def state(dtype=torch.float32, prefix="1.", wrapper=""):
    return collections.OrderedDict(
        (f"{wrapper}{prefix}{name}", t.to(dtype)) for name, t in (("weight", W), ("bias", B))
    )


def training():
    """What a training script saves: counters, weights of a wrapped model, and an optimiser with tensors of its own."""
    layer = nn.Linear(4, 3)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    with torch.no_grad():
        for p in layer.parameters():
            p.grad = torch.ones_like(p)
    optimiser.step()
    return {
        "epoch": 3,
        "best": torch.tensor(0.5),
        "state_dict": state(wrapper="module."),
        "optimizer": optimiser.state_dict(),
        "args": {"lr": 0.1, "name": "tiny", "milestones": [1, 2, (3, 4)], "none": None, "on": True},
    }


def published():
    """As robust networks are published: buffers of a normalisation, blocks that nothing reads, an average of the weights beside."""
    wrapped = collections.OrderedDict([("module.mu", torch.full((1, 1, 1, 1), 0.25)), ("module.sigma", torch.full((1, 1, 1, 1), 0.3))])
    wrapped["module.sub_block1.layer.0.conv1.weight"] = torch.zeros(2, 2, 3, 3)
    wrapped |= state(wrapper="module.")
    wrapped["module.sub_block1.layer.0.bn1.num_batches_tracked"] = torch.tensor(7)
    average = collections.OrderedDict((name, t // 2 if name.endswith("tracked") else t / 2) for name, t in wrapped.items())
    return {"epoch": 9, "model": wrapped, "ema": average}


def module():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3))
    net[1].load_state_dict({"weight": W, "bias": B})
    return net


FILES = {
    "plain.pt": lambda: state(),
    "training.pth": training,
    "published.pth": published,
    "ema.pth": lambda: {"ema": state(), "epoch": 9},
    "f64.pt": lambda: {"model_state_dict": state(torch.float64)},
    "f16.pt": lambda: state(torch.float16),
    "bf16.pt": lambda: {"net": state(torch.bfloat16), "note": "a key of one's own"},
    "strided.pt": lambda: {"1.weight": nn.Parameter(W.t().contiguous().t()), "1.bias": (torch.arange(-2.0, 5.0) / 8)[2::2]},
    # In an order that sorting the names would not give.
    "order.pt": lambda: {"stem.weight": W, "head.weight": B},
    "batch_norm.pt": lambda: module().state_dict(),
    "nan.pt": lambda: {"1.weight": W, "1.bias": B / 0.0},
    "integers.pt": lambda: state(torch.int64),
    "booleans.pt": lambda: state(torch.bool),
    "several.pt": lambda: {"generator": state(), "critic": state()},
    "empty.pt": lambda: {"epoch": 3, "lr": 0.1},
    "sparse.pt": lambda: {"1.weight": W.to_sparse(), "1.bias": B},
    "module.pt": module,
    "legacy.pt": lambda: state(),
    "legacy_training.pth": training,
    "legacy_protocol4.pt": lambda: {"1.weight": W, "1.bias": W.flatten()[6:11:2]},
    "protocol4.pt": lambda: state(),
}


def write(folder):
    for name, make in FILES.items():
        options = {}
        if name.startswith("legacy"):
            options["_use_new_zipfile_serialization"] = False
        if "protocol4" in name:
            options["pickle_protocol"] = 4
        torch.save(make(), folder / name, **options)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.to_dense().nan_to_num(7), b.to_dense().nan_to_num(7))
    if isinstance(a, nn.Module):
        return same(a.state_dict(), b.state_dict())
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return a == b


folder = pathlib.Path(sys.argv[1])
if "--check" in sys.argv:
    with tempfile.TemporaryDirectory() as fresh:
        torch.manual_seed(0)
        write(pathlib.Path(fresh))
        for name in FILES:
            theirs, ours = (torch.load(f / name, weights_only=name != "module.pt" and "protocol4" not in name) for f in (folder, pathlib.Path(fresh)))
            if name.endswith("training.pth"):
                theirs, ours = ({k: v for k, v in d.items() if k != "optimizer"} for d in (theirs, ours))
            assert same(theirs, ours), f"{name}: PyTorch writes something else now"
    print(f"{len(FILES)} checkpoints are what PyTorch writes")
else:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    write(folder)
