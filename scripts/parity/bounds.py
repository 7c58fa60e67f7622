"""Margins' lower bounds by Wong & Kolter's dual (Fast-Lin), of their own package in f64: `bounds.py FILE [--check]`.

Needs `pip install --no-deps convex-adversarial==0.4.4`; the values are those of crates/certify/tests/golden.rs.
"""
import json
import sys

import torch
from convex_adversarial import DualNetwork
from torch import nn

from hashed_numbers import tensor

torch.set_default_dtype(torch.float64)
net = nn.Sequential(
    nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Flatten(),
    nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3),
)
state = {name: tensor(f"bounds/{name}", list(p.shape), -0.6, 0.6) for name, p in net.state_dict().items()}
net.load_state_dict(state)
x = tensor("bounds/x", [2, 1, 5, 5], 0.0, 1.0)
labels = net(x).argmax(1)
c = torch.eye(3)[labels].unsqueeze(1) - torch.eye(3).unsqueeze(0)
found = {"labels": labels.tolist()}
for name, eps, options in [
    ("linf, box", 0.05, {"norm_type": "l1", "bounded_input": True}),
    ("linf", 0.05, {"norm_type": "l1", "bounded_input": False}),
    ("l2", 0.2, {"norm_type": "l2", "bounded_input": False}),
]:
    with torch.no_grad():
        bounds = DualNetwork(net, x, eps, **options)(c)
    found[name] = [[b for j, b in enumerate(row) if j != labels[i]] for i, row in enumerate(bounds.tolist())]
text = json.dumps(found, indent=1) + "\n"
if "--check" in sys.argv:
    sys.exit(json.load(open(sys.argv[1])) != found)
open(sys.argv[1], "w").write(text)
