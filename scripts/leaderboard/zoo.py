"""Counts which networks of RobustBench's CIFAR-10 and CIFAR-100 dictionaries load in gauntlet: zoo.py PROGRAM DOCUMENT [PATTERN].

Every entry that is one network is built by the zoo's own code with random weights, its state dict is saved as PyTorch saves it, and
PROGRAM (the example same_logits) opens it by architecture and names and compares logits. Entries of one architecture and the same numbers in
their normalisation are one test. Wide residual networks of more than LARGEST parameters are tested at their full depth
and width 2.
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import types

import torch
from safetensors.torch import save_file

# The package imports its attacks under another name than the one on PyPI; no attack is needed here.
attacks, state = types.ModuleType("autoattack"), types.ModuleType("autoattack.state")
attacks.AutoAttack = state.EvaluationState = None
sys.modules |= {"autoattack": attacks, "autoattack.state": state}

from robustbench.model_zoo.architectures import CARD_resnet, dm_wide_resnet, resnet, resnext, robust_wide_resnet, wide_resnet  # noqa: E402
from robustbench.model_zoo import cifar10, cifar100  # noqa: E402

# Logits may differ by so much of the largest one: f32, in another order of summation, through up to a hundred layers.
TOLERANCE = 1e-3
LARGEST = int(os.environ.get("LARGEST", "60_000_000"))
torch.set_num_threads(int(os.environ.get("THREADS", "1")))

# Entries that are not built, by the beginning of their names: the reason.
LEFT_OUT = {
    "Debenedetti2022Light": "XCiT, a transformer with cross-covariance attention",
    "Sehwag2021Proxy_ResNest152": "ResNeSt, with split attention",
    "Kang2021Stable": "its last layers are the solution of an ordinary differential equation",
    "Huang2022Revisiting": "a wide residual network with a depth of its own for each of its three groups",
    "Peng2023Robust": "Ra-WRN, wide residual blocks with squeeze and excitation",
    "Amini2024MeanSparse": "thresholds around the mean before every activation",
    "Dai2021Parameterizing": "an activation with parameters of its own (PSSiLU)",
    "Pang2020Boosting": "features and the last layer's weights are scaled to length 1",
    "Ding2020MMA": "every image is normalised by its own mean and deviation",
    "Diffenderfer2021Winning_Binary": "batch norms without weights, and a convolution as the last layer",
}


def activation(module):
    return {"Swish": "silu", "SiLU": "silu", "ReLU": "relu"}[type(module).__name__]


def normalisation(net):
    return {"mean": [round(v, 6) for v in net.mean.flatten().tolist()], "std": [round(v, 6) for v in net.std.flatten().tolist()]}


def arguments(net):
    """The model as gauntlet is told it; a mean and deviation that are in the state dict are not named."""
    if isinstance(net, dm_wide_resnet.DMWideResNet):
        blocks, width = len(net.layer[0].block), net.num_channels // 64
        told = {"name": "wideresnet", "layout": "deepmind", "depth": 6 * blocks + 4, "width": width}
        return told | {"activation": activation(net.relu)} | normalisation(net)
    if isinstance(net, dm_wide_resnet.DMPreActResNet):
        return {"name": "preactresnet18", "layout": "deepmind", "activation": activation(net.relu)} | normalisation(net)
    if isinstance(net, wide_resnet.WideResNet):
        told = {"name": "wideresnet", "depth": 6 * len(net.block1.layer) + 4, "width": net.nChannels // 64}
        # Images from −1 to 1, written into forward.
        halves = type(net).__name__ == "Hendrycks2019UsingNet"
        return told | ({"mean": [0.5] * 3, "std": [0.5] * 3} if halves else {})
    if isinstance(net, robust_wide_resnet.RobustWideResNet):
        depth = 6 * net.depth_configs[0] + 4
        return {"name": "wideresnet", "layout": "huang", "depth": depth, "widths": net.channel_configs[1:]}
    if isinstance(net, resnet.PreActResNet):
        told = {"name": "preactresnet18"}
        if isinstance(net.layer1[0], resnet.PreActBlockV2) or net.out_shortcut:
            told["shortcut"] = "activation"
        return told if net.bn_before_fc else told | {"final-norm": False}
    if isinstance(net, resnet.ResNet):
        counts = [len(getattr(net, f"layer{i}")) for i in range(1, 5)]
        wide = isinstance(net.layer1[0], resnet.Bottleneck)
        return {"name": {(False, 2): "resnet18", (False, 3): "resnet34", (True, 3): "resnet50"}[wide, counts[0]]}
    if isinstance(net, CARD_resnet.LRR_ResNet):
        return {"name": "resnet18", "names": "torchvision", "width": net.conv1.out_channels}
    if isinstance(net, resnext.CifarResNeXt):
        return {"name": "resnext29", "cardinality": net.cardinality, "base-width": net.base_width}
    raise ValueError(f"no architecture for {type(net).__name__}")


@contextlib.contextmanager
def without_draws():
    """Networks are built to be looked at; only those that are tested get numbers."""
    names = ["kaiming_uniform_", "uniform_", "kaiming_normal_", "normal_"]
    kept = [(torch.nn.init, n, getattr(torch.nn.init, n)) for n in names] + [(torch.Tensor, n, getattr(torch.Tensor, n)) for n in ("normal_", "uniform_")]
    try:
        for owner, name, _ in kept:
            setattr(owner, name, lambda tensor, *args, **kwargs: tensor)
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def narrow(net, classes):
    """A network of the same code and depth, and of width 2."""
    if isinstance(net, dm_wide_resnet.DMWideResNet):
        depth = 6 * len(net.layer[0].block) + 4
        return type(net)(classes, depth, 2, type(net.relu), tuple(net.mean.flatten().tolist()), tuple(net.std.flatten().tolist()))
    depth = 6 * len(net.block1.layer) + 4
    if type(net) is wide_resnet.WideResNet:
        return type(net)(depth, classes, 2, sub_block1=hasattr(net, "sub_block1"))
    return type(net)(depth=depth, widen_factor=2)


def signature(net):
    """All that decides what a network computes, but for its weights."""
    plain = lambda m: {k: v for k, v in vars(m).items() if isinstance(v, (bool, int, float, str, list)) and k != "training"}
    modules = [(name, type(m).__name__, plain(m)) for name, m in net.named_modules()]
    buffers = [(n, b.flatten().tolist()) for n, b in net.named_buffers() if b.numel() <= 3]
    return json.dumps([type(net).__name__, modules, buffers], default=str)


def fill(net):
    """Random everywhere, statistics and weights of batch norm too; the activations keep their size through all layers."""
    torch.manual_seed(0)
    for name, parameter in net.named_parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, (2 / parameter[0].numel()) ** 0.5)
        else:
            parameter.data.normal_(0, 0.1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                torch.nn.init.uniform_(module.weight, 0.5, 1.0)
                torch.nn.init.normal_(module.bias, 0, 0.1)


def tested(program, net, told, classes):
    """The error of the logits and the notes of the reader."""
    fill(net)
    net.eval()
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        z = net(x)
    assert z.shape == (1, classes), z.shape
    with tempfile.TemporaryDirectory() as folder:
        weights, answers = os.path.join(folder, "weights.pt"), os.path.join(folder, "answers.safetensors")
        torch.save(net.state_dict(), weights)
        save_file({"x": x, "z": z.contiguous()}, answers)
        done = subprocess.run([program, json.dumps(told), weights, answers], capture_output=True, text=True)
    if done.returncode != 0:
        return None, [done.stderr.strip()]
    said = json.loads(done.stdout)
    return said["error"], said["notes"]


def looked_at(program, pattern):
    """Of every entry: dictionary, name, one network or several, the model as it is told, the reason it does not load, the error."""
    known, rows = {}, []
    for data, classes, models in (("CIFAR-10", 10, cifar10.cifar_10_models), ("CIFAR-100", 100, cifar100.cifar_100_models)):
        for threat, entries in models.items():
            for name, entry in entries.items():
                if pattern not in name:
                    continue
                row = {"dictionary": f"{data} {threat.value}", "name": name, "told": None, "why": None, "error": None}
                rows.append(row)
                row["one"] = not isinstance(entry["gdrive_id"], list)
                row["why"] = next((why for start, why in LEFT_OUT.items() if name.startswith(start)), None)
                if not row["one"] or row["why"]:
                    continue
                with without_draws():
                    net = entry["model"]()
                key = signature(net)
                row["told"] = arguments(net)
                wide = isinstance(net, (dm_wide_resnet.DMWideResNet, wide_resnet.WideResNet))
                row["narrow"] = wide and sum(p.numel() for p in net.parameters()) > LARGEST
                if key not in known:
                    net = narrow(net, classes) if row["narrow"] else net
                    known[key] = tested(program, net, arguments(net), classes)
                row["error"], notes = known[key]
                if row["error"] is None or not row["error"] <= TOLERANCE:
                    row["why"] = f"logits differ by {row['error']}" if row["error"] is not None else notes[0]
                elif any("mapped by" in note for note in notes):
                    row["why"] = "loads by order and shape, not by names"
                print(row["dictionary"], name, row["error"], row["why"] or "", json.dumps(row["told"]), *notes, sep="\t", flush=True)
    return rows, len(known)


def written(told):
    shown = {k: v for k, v in told.items() if k not in ("mean", "std")}
    value = lambda v: json.dumps(v)
    return "{ " + ", ".join(f"{k} = {value(v)}" for k, v in shown.items()) + " }"


def document(rows, tests):
    one = [r for r in rows if r["one"]]
    loads = [r for r in one if r["why"] is None]
    lines = [
        "# The leaderboard's architectures",
        "",
        "Which networks of [RobustBench](https://robustbench.github.io)'s model zoo load by architecture and names: every entry of its CIFAR-10 and",
        "CIFAR-100 dictionaries that is one network was built by the zoo's own code (version 1.1.1) with random weights, saved by PyTorch, opened here,",
        f"and its logits compared. `bash scripts/leaderboard/run.sh` writes this page. Entries of one architecture are one test: there were {tests}.",
        "",
        f"{sum(r['narrow'] for r in loads)} wide residual networks of more than {LARGEST / 1e6:.0f} million parameters were tested at their full depth and width 2.",
        "",
        f"**{len(loads)} of {len(one)} load: {100 * len(loads) / len(one):.0f} %**. The largest difference of a logit is "
        f"{max(r['error'] for r in loads):.0e} of the largest one.",
        "",
        "| dictionary | entries | one network | load |",
        "|:--|--:|--:|--:|",
    ]
    for dictionary in dict.fromkeys(r["dictionary"] for r in rows):
        of = [r for r in rows if r["dictionary"] == dictionary]
        single = [r for r in of if r["one"]]
        count = sum(r["why"] is None for r in single)
        lines.append(f"| {dictionary} | {len(of)} | {len(single)} | {count} ({100 * count / len(single):.0f} %) |")
    lines += ["", "## What loads", "", "`mean` and `std` are taken from the file where it has them. Networks in DeepMind's layout keep theirs in the code: give CIFAR-10's",
              "`mean = [0.4914, 0.4822, 0.4465], std = [0.2471, 0.2435, 0.2616]` or CIFAR-100's `mean = [0.5071, 0.4865, 0.4409], std = [0.2673, 0.2564, 0.2762]`;",
              "Hendrycks et al. (2019) need 0.5 for all six.", "", "| model | entries |", "|:--|:--|"]
    told = {}
    for r in loads:
        told.setdefault(written(r["told"]), []).append(f"{r['name']} ({r['dictionary']})")
    lines += [f"| `{model}` | {', '.join(names)} |" for model, names in sorted(told.items())]
    lines += ["", "## What does not", "", "An ONNX export brings those whose operators are known ([models.md](models.md#onnx)).", "", "| entry | why |", "|:--|:--|"]
    lines += [f"| {r['name']} ({r['dictionary']}) | {r['why']} |" for r in one if r["why"]]
    lines += ["", "Not counted, since they are several networks at once: "
              + ", ".join(f"{r['name']} ({r['dictionary']})" for r in rows if not r["one"]) + ".", ""]
    return "\n".join(lines)


def main():
    program, path, pattern = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
    rows, tests = looked_at(program, pattern)
    one = [r for r in rows if r["one"]]
    print(f"{sum(r['why'] is None for r in one)} of {len(one)} entries that are one network load, {len(rows)} entries in all, {tests} tests")
    if not pattern:
        with open(path, "w") as f:
            f.write(document(rows, tests))


if __name__ == "__main__":
    main()
