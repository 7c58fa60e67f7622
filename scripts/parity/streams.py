"""gauntlet's random streams (crates/core/src/philox.rs, key.rs), so that a reference attack draws the same numbers."""
import math

MASK = (1 << 64) - 1
ATTACK_START = 5
RECIPE = 6
RECIPE_ATTACK = 9


def mix(a, b):
    z = (((a << 25) | (a >> 39)) & MASK) ^ ((b * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) & MASK)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def key(seed, purpose=ATTACK_START):
    return mix(mix(0x6761756E746C6574, seed), purpose)


def child(of, n):
    return mix(of, n)


def named(of, name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return mix(of, h)


class Stream:
    """The numbers of one (key, example, restart, step): Philox4x32-10."""

    def __init__(self, key, example, restart, step):
        self.key, self.counter = (key & 0xFFFFFFFF, key >> 32), [example, restart, step, 0]
        self.block, self.spare = [], None

    def u32(self):
        if not self.block:
            c, k = list(self.counter), list(self.key)
            for r in range(10):
                if r:
                    k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
                p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
                c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
            self.block = c
            self.counter[3] += 1
        return self.block.pop(0)

    def uniform(self):
        high = self.u32() >> 5
        return ((high << 26) | (self.u32() >> 6)) / float(1 << 53)

    def below(self, n):
        return (self.u32() * n) >> 32

    def sign(self):
        return 1.0 if self.u32() & 1 == 0 else -1.0

    def normal(self):
        if self.spare is not None:
            z, self.spare = self.spare, None
            return z
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        angle = math.tau * self.uniform()
        self.spare = radius * math.sin(angle)
        return radius * math.cos(angle)
