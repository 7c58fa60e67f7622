"""A model of PyTorch under AutoAttack, in the two lines that have to change.

    pip install ./python torch && python python/examples/two_lines.py
"""

import torch

import gauntlet
from gauntlet import AutoAttack  # was: from autoattack import AutoAttack


def trained(x, y):
    """Any module will do; this one takes a few seconds."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for step in range(300):
        batch = torch.arange(128 * step, 128 * (step + 1)) % len(x)
        loss = torch.nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


model = trained(*map(torch.from_numpy, gauntlet.load_examples("glyphs", "train")))
x, y = map(torch.from_numpy, gauntlet.load_examples("glyphs", sample=64))

adversary = AutoAttack(model, norm="Linf", eps=8 / 255, version="standard")
x_adv = adversary.run_standard_evaluation(x, y, bs=250)

print()
print(adversary.result)
assert float((x_adv - x).abs().max()) <= 8 / 255 + 1e-6
