"""The steps that gauntlet is compared on, as a PyTorch user would write them: eager mode, fused optimisers, only the
gradients that are needed.

    steps.py                     reads requests (one JSON object per line) on stdin, answers on stdout
    steps.py '{"model": ...}'    answers one request and ends (peak memory of a step needs a process of its own)

A request: model, recipe (or "attack", the bare attack step), batch, threads, seconds (time to spend measuring),
dtype ("f32"); device ("cpu", "cuda") and compile (by torch.compile) if they are not the usual ones. {"ceilings": true} asks for
what a GPU can do at best.
"""
import json
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "parity"))
import networks  # noqa: E402

EPS, ALPHA, STEPS = 0.1, 0.01, 10


class TrainingCnn(networks.SmallCnn):
    """trades-smallcnn with the dropout that training has."""

    def forward(self, x):
        f, c, act = self.feature_extractor, self.classifier, self.act
        x = F.max_pool2d(act(f["conv2"](act(f["conv1"](x)))), 2)
        x = F.max_pool2d(act(f["conv4"](act(f["conv3"](x)))), 2)
        x = F.dropout(act(c["fc1"](x.flatten(1))), 0.5, self.training)
        return c["fc3"](act(c["fc2"](x)))


def build(name, dropout):
    if name == "trades-smallcnn" and dropout:
        return TrainingCnn(networks.ACTIVATIONS["relu"])
    return networks.build(name, "relu")


class Step:
    """A model, its optimiser and a batch."""

    def __init__(self, request):
        torch.manual_seed(0)
        self.device = request.get("device", "cpu")
        if self.device == "cuda":
            # f32 means f32 on both sides.
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.benchmark = True
        name, n = request["model"], request["batch"]
        self.recipe = request["recipe"]
        self.net = build(name, dropout=True).to(self.device)
        side = request.get("side") or (32 if name == "preactresnet18" else 28)
        channels = 3 if name == "preactresnet18" else 1
        self.x = torch.rand(n, channels, side, side)
        self.y = torch.arange(n) % 10
        self.tau = torch.randn(n, channels, side, side)
        self.x, self.y, self.tau = (t.to(self.device) for t in (self.x, self.y, self.tau))
        if self.recipe == "attack":
            self.net.eval().requires_grad_(False)
            self.x0 = self.x.clone()
        elif name == "preactresnet18":
            self.optimiser = torch.optim.SGD(
                self.net.parameters(), 0.01, momentum=0.9, weight_decay=5e-4, fused=True)
        else:
            self.optimiser = torch.optim.Adam(self.net.parameters(), 1e-4, fused=True)
        if request.get("compile"):
            # What was compiled before would make these shapes dynamic.
            torch._dynamo.reset()
            self.net = torch.compile(self.net)

    def ascend(self, x, x0):
        """One step of PGD."""
        x = x.detach().requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(self.net(x), self.y, reduction="sum"), x)[0]
        with torch.no_grad():
            x = x + ALPHA * g.sign()
            return torch.min(torch.max(x, x0 - EPS), x0 + EPS).clamp_(0, 1)

    def loss(self):
        net, x, y = self.net, self.x, self.y
        if self.recipe == "ce":
            return F.cross_entropy(net(x), y)
        if self.recipe in ("grad-norm", "direction-matching"):
            x = x.detach().requires_grad_()
            ce = F.cross_entropy(net(x), y, reduction="sum")
            g = torch.autograd.grad(ce, x, create_graph=True)[0]
            if self.recipe == "grad-norm":
                penalty = g.square().flatten(1).sum(1).mean()
            else:
                penalty = (1 - F.cosine_similarity(-g.flatten(1), self.tau.flatten(1))).mean()
            return ce / len(y) + 0.1 * penalty
        if self.recipe == "fgsm-aug":
            x = x.detach().requires_grad_()
            ce = F.cross_entropy(net(x), y)
            g = torch.autograd.grad(ce, x, retain_graph=True)[0]
            with torch.no_grad():
                x_adv = (x + EPS * g.sign()).clamp_(0, 1)
            return 0.5 * ce + 0.5 * F.cross_entropy(net(x_adv), y)
        if self.recipe == "pgd-at":
            x_adv = (x + torch.empty_like(x).uniform_(-EPS, EPS)).clamp_(0, 1)
            for _ in range(STEPS):
                x_adv = self.ascend(x_adv, x)
            return F.cross_entropy(net(x_adv), y)
        raise SystemExit(f"no such recipe: {self.recipe}")

    def run(self):
        self.take()
        if self.device == "cuda":
            torch.cuda.synchronize()

    def take(self):
        if self.recipe == "attack":
            self.x = self.ascend(self.x, self.x0)
            return
        self.optimiser.zero_grad()
        self.loss().backward()
        self.optimiser.step()


def ceilings():
    """What the GPU can do: TFLOP/s of a large product of f32, TB/s of a copy, read and written bytes counted."""
    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = torch.randn(2, 8192, 8192, device="cuda")
    large = torch.empty(1 << 28, device="cuda")
    other = torch.empty_like(large)

    def best(f):
        times = []
        for _ in range(6):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            f()
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
        return min(times)

    return {"tflops": 2 * 8192**3 / best(lambda: a @ b) / 1e12, "tb": 2 * 4 * large.numel() / best(lambda: other.copy_(large)) / 1e12}


def measure(request, steps):
    """Warms up when a step is new; keeps one step alive at a time."""
    torch.set_num_threads(request["threads"])
    key = json.dumps([request.get(k) for k in ("model", "recipe", "batch", "threads", "device", "compile")])
    if key not in steps:
        steps.clear()
        steps[key] = Step(request)
        for _ in range(2):
            steps[key].run()
    step = steps[key]
    times, start = [], time.perf_counter()
    while len(times) < request.get("least", 3) or time.perf_counter() - start < request["seconds"]:
        begin = time.perf_counter()
        step.run()
        times.append(1e3 * (time.perf_counter() - begin))
    times.sort()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms_median": times[len(times) // 2], "ms_min": times[0], "n": len(times), "peak_rss_mb": rss}


def main():
    if len(sys.argv) > 1:
        print(json.dumps(measure(json.loads(sys.argv[1]), {})))
        return
    print(json.dumps({"torch": torch.__version__}), flush=True)
    steps = {}
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(ceilings() if "ceilings" in request else measure(request, steps)), flush=True)


main()
