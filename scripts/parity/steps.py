"""Golden values of whole steps: what a trick around the loss moves the weights by, as its authors' code does it.

steps.py FOLDER [--check]. The network, the batch and the inner attacks are those of recipes.py; SGD with momentum 0.9 and weight
decay 5e-4 takes one step of rate 0.1.
"""
import copy

import torch
import torch.nn.functional as F

from golden import gradients, store
from recipes import CASE, at_start, ce_each, f, net, pgd, uniform, x, y

EPS, STEPS, ALPHA = 0.1, 3, 0.025


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)


def at_examples():
    start = (x + at_start(lambda s: (2 * s.uniform() - 1) * EPS)).clamp(0, 1)
    return pgd(lambda at: ce_each(f(at)), STEPS, EPS, ALPHA, start)


def trades_examples():
    near = (x + 0.001 * at_start(lambda s: s.normal())).clamp(0, 1)
    p = F.softmax(f(x), 1).detach()
    return pgd(lambda at: F.kl_div(F.log_softmax(f(at), 1), p, reduction="sum"), STEPS, EPS, ALPHA, near)


def trades(model, adv):
    kl = F.kl_div(F.log_softmax(model(adv), 1), F.softmax(model(x), 1), reduction="sum") / len(x)
    return F.cross_entropy(model(x), y) + 6.0 * kl


def awp(loss, gamma):
    """Wu et al.: a proxy climbs by one step of SGD, its way is scaled to each weight's norm; the optimiser steps from there."""
    model = net(CASE)
    proxy = copy.deepcopy(model)
    proxy_optimiser = torch.optim.SGD(proxy.parameters(), lr=0.01)
    (-loss(proxy)).backward()
    proxy_optimiser.step()
    diff = {}
    for (name, old), (_, new) in zip(model.state_dict().items(), proxy.state_dict().items()):
        if old.dim() > 1 and "weight" in name:
            way = new - old
            diff[name] = old.norm() / (way.norm() + 1e-20) * way
    optimiser = sgd(model)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.add_(gamma * diff.get(name, 0))
    loss(model).backward()
    optimiser.step()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.sub_(gamma * diff.get(name, 0))
    return model


def sam(loss, rho, eta=None):
    """Foret et al.; with `eta` Kwon et al., whose biases keep the scale 1."""
    model = net(CASE)
    optimiser = sgd(model)
    loss(model).backward()
    scaled = {}
    for name, p in model.named_parameters():
        t = p.detach().abs() + eta if eta is not None and "weight" in name else torch.ones_like(p)
        scaled[name] = (t, t * p.grad)
    norm = torch.stack([g.norm() for _, g in scaled.values()]).norm() + (1e-12 if eta is None else 1e-16)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for name, p in model.named_parameters():
            t, g = scaled[name]
            p.add_(rho / norm * t * g)
    optimiser.zero_grad()
    loss(model).backward()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(before[name])
    optimiser.step()
    return model


def plain(loss):
    model = net(CASE)
    optimiser = sgd(model)
    loss(model).backward()
    optimiser.step()
    return model


def no_decay(loss):
    model = net(CASE)
    kept = [p for p in model.parameters() if p.dim() < 2]
    other = [p for p in model.parameters() if p.dim() > 1]
    optimiser = torch.optim.SGD([{"params": other}, {"params": kept, "weight_decay": 0.0}], lr=0.1, momentum=0.9, weight_decay=5e-4)
    loss(model).backward()
    optimiser.step()
    return model


def everything():
    attack = {"name": "pgd", "steps": STEPS, "alpha": "0.025"}
    at = {"name": "pgd-at", "eps": "0.1", "attack": attack}
    near = {**attack, "random_start": "0.001"}
    td = {"name": "trades", "eps": "0.1", "beta": 6.0, "attack": {**near, "objective": "kl"}}
    adv, adv_trades = at_examples(), trades_examples()
    on = lambda model: F.cross_entropy(model(adv), y)
    ce = lambda model: F.cross_entropy(model(x), y)
    smooth = lambda model: F.cross_entropy(model(adv), y, label_smoothing=0.1)
    smooth_trades = lambda model: trades(model, adv_trades) - ce(model) + F.cross_entropy(model(x), y, label_smoothing=0.1)
    begin = (x + uniform("score", x.shape[1:], -EPS, EPS)).clamp(0, 1)
    p = F.softmax(f(x), 1).detach()
    adv_score = pgd(lambda at: ((F.softmax(f(at), 1) - p) ** 2).sum(), STEPS, EPS, ALPHA, begin)
    target = (1 - 10 * 0.1 / 9) * F.one_hot(y, 10) + 0.1 / 9

    def score(model):
        nat, other = F.softmax(model(x), 1), F.softmax(model(adv_score), 1)
        return ((nat - target) ** 2).sum(1).mean() + 3.0 * ((other - nat) ** 2).sum(1).mean()

    cases = [
        ({"smoothing": 1 / 9}, {"name": "score", "eps": "0.1", "steps": STEPS, "alpha": 0.25}, plain(score)),
        ({"perturb": {"name": "awp", "gamma": 0.01}}, at, awp(on, 0.01)),
        ({"perturb": {"name": "awp", "gamma": 0.005}}, td, awp(lambda m: trades(m, adv_trades), 0.005)),
        ({"perturb": {"name": "sam", "rho": 0.05}}, {"name": "ce"}, sam(ce, 0.05)),
        ({"perturb": {"name": "asam", "rho": 0.5, "eta": 0.01}}, {"name": "ce"}, sam(ce, 0.5, 0.01)),
        ({"smoothing": 0.1}, at, plain(smooth)),
        ({"smoothing": 0.1}, td, plain(smooth_trades)),
        ({"smoothing": 0.1, "perturb": {"name": "awp", "gamma": 0.01}}, at, awp(smooth, 0.01)),
        ({"decay": "weights"}, {"name": "ce"}, no_decay(ce)),
        ({"accumulate": 3}, at, plain(on)),
    ]
    start = {name: p.detach() for name, p in net(CASE).named_parameters()}
    listed = []
    for tricks, recipe, model in cases:
        names = list(start)
        moved = [p.detach() - start[name] for name, p in model.named_parameters()]
        listed.append({"tricks": tricks, "recipe": recipe, "moved": gradients(names, moved)})
    return {"steps.json": {"cases": listed}}


if __name__ == "__main__":
    store(everything())
