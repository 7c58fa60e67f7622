"""RobustBench's README example with one line changed, on what its `load_model` loads.

    scripts/python/zoo_example.sh --data-dir CIFAR10 [--examples 20] [NAME...]

Published weights are not here: a state dict of random numbers is written where `load_model` looks for the published one, so that it builds
and loads the network by its own code. The example reads

    from robustbench.utils import load_model
    model = load_model(model_name='Carmon2019Unlabeled', dataset='cifar10', threat_model='Linf')
    from robustbench.eval import benchmark
    clean_acc, robust_acc = benchmark(model, dataset='cifar10', threat_model='Linf')

What is checked: the clean accuracy is the module's own, the robust one is not above it and is what the module says of the record's verdicts.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time
import types

import torch

import gauntlet
from gauntlet import benchmark  # was: from robustbench.eval import benchmark

# The zoo's package imports its attacks under another name than the one on PyPI; no attack of it is needed here.
attacks, state = types.ModuleType("autoattack"), types.ModuleType("autoattack.state")
attacks.AutoAttack = state.EvaluationState = None
sys.modules |= {"autoattack": attacks, "autoattack.state": state}

from robustbench.model_zoo.cifar10 import cifar_10_models  # noqa: E402
from robustbench.model_zoo.enums import ThreatModel  # noqa: E402
from robustbench.utils import load_model  # noqa: E402

# One entry of every class of networks that takes a CPU less than minutes.
NAMES = ["Wong2020Fast", "Sehwag2021Proxy_R18", "Rade2021Helper_R18_ddpm", "Engstrom2019Robustness"]


def fill(net, images):
    """Random everywhere, so that activations keep their size through all layers."""
    torch.manual_seed(0)
    for parameter in net.parameters():
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
    # Random networks mostly give one answer to everything: the last layer's bias takes that away.
    last = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias -= net.eval()(images).mean(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--examples", type=int, default=20)
    given = parser.parse_args()
    data_dir = os.path.abspath(given.data_dir)
    torch.set_num_threads(1)
    x, y = map(torch.from_numpy, gauntlet.load_examples("cifar10", take=given.examples, data_dir=data_dir))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in given.names:
            net = cifar_10_models[ThreatModel.Linf][name]["model"]()
            fill(net, x)
            weights = pathlib.Path("models/cifar10/Linf", f"{name}.pt")
            weights.parent.mkdir(parents=True, exist_ok=True)
            torch.save(net.state_dict(), weights)
            model = load_model(model_name=name, dataset="cifar10", threat_model="Linf").eval()
            begun = time.monotonic()
            clean, robust = benchmark(
                model, dataset="cifar10", threat_model="Linf", eps=8 / 255, n_examples=given.examples, data_dir=data_dir, to_disk=True,
                model_name=name,
            )
            seconds = time.monotonic() - begun
            with torch.no_grad():
                own = float((model(x).argmax(1) == y).float().mean())
            (record,) = gauntlet.records(f"model_info/cifar10/Linf/{name}")
            assert isinstance(clean, float) and isinstance(robust, float)
            assert abs(clean - own) < 1e-6, (name, clean, own)
            assert 0 <= robust <= clean, (name, robust, clean)
            fates = gauntlet.records(f"model_info/cifar10/Linf/{name}").columns()["fate"]
            assert sum(fate == "robust" for fate in fates) == round(robust * given.examples), (name, record["row"])
            print(f"{name}: {type(model).__name__}, clean {clean:.1%}, robust {robust:.1%}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
