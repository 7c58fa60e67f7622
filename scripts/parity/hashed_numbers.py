"""Weights and inputs from one integer hash, written here and in tests/parity.rs: only results are stored."""
import torch

MASK = (1 << 64) - 1


def fnv1a(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def hashed(name, i):
    """SplitMix64 of (FNV-1a(name) + i), as a number in [0, 1) with 53 bits."""
    z = (fnv1a(name) + i * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return (z >> 11) / float(1 << 53)


def array(name, count):
    """`hashed(name, 0..count)`, in numpy's wrapping arithmetic."""
    import numpy as np

    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def tensor(name, shape, low, high):
    count = 1
    for d in shape:
        count *= d
    return (low + (high - low) * torch.from_numpy(array(name, count))).reshape(shape)


def summary(name, t):
    """A tensor in a few numbers: norm, sum, dot with a hash vector, and 16 entries at hash-chosen places."""
    flat = t.detach().double().flatten()
    n = flat.numel()
    probe = torch.from_numpy(array("probe/" + name, n)) * 2 - 1
    places = [int(hashed("places/" + name, i) * n) for i in range(16)]
    return {
        "norm": flat.norm().item(),
        "sum": flat.sum().item(),
        "dot": (flat @ probe).item(),
        "entries": [flat[p].item() for p in places],
    }
