"""What a recipe written as a script costs: the shipped scripts and the built-in recipes of the same definition take turns.

Both programs stay alive and warm, one of them working at a time. The ratio is the median of the paired ratios script /
built-in of whole training steps, with a 95 % interval from order statistics. Prints two tables; needs nothing but Python and a
release build (`cargo build --release`).
"""
import argparse
from statistics import median

from run import Worker, gauntlet, rank

PAIRS = {
    "grad-norm": ('{ name = "grad-norm", norm = "l2", weight = 0.1 }', "script:grad-norm.rhai"),
    "direction-matching": (
        '{ name = "direction-matching", direction = "fixed", weight = 0.5 }', "script:direction-matching.rhai"),
    "fgsm-aug": ('{ name = "fgsm-aug", eps = "0.1" }', "script:fgsm-aug.rhai"),
}


def take_turns(name, model, batch, threads, options):
    """Medians of a step in milliseconds, built-in and script, measured one after the other."""
    workers: list[Worker] = [
        gauntlet(model, recipe, batch, threads, options.seconds, 3) for recipe in PAIRS[name]]
    for worker in workers:
        worker.read()
    pairs = []
    for i in range(options.alternations):
        # Who goes first changes from pair to pair.
        order = (0, 1) if i % 2 == 0 else (1, 0)
        found = {w: workers[w].ask("")["ms_median"] for w in order}
        pairs.append((found[0], found[1]))
    for worker in workers:
        worker.close()
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="lenet-small")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--alternations", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.15, help="of one turn")
    options = parser.parse_args()
    print(f"A linear model and one image, where a step takes next to nothing, {options.alternations} pairs")
    print("| recipe | built-in µs | script µs | script − built-in µs |")
    print("| :-- | --: | --: | --: |")
    for name in PAIRS:
        pairs = take_turns(name, "linear", 1, 1, options)
        built_in, script = median(a for a, _ in pairs), median(b for _, b in pairs)
        extra = median(b - a for a, b in pairs)
        print(f"| {name} | {1e3 * built_in:.1f} | {1e3 * script:.1f} | {1e3 * extra:.1f} |", flush=True)
    print(f"\n{options.model}, batch {options.batch}, {options.alternations} pairs of {options.seconds} s")
    print("| recipe | threads | built-in ms | script ms | script / built-in | 95 % interval |")
    print("| :-- | --: | --: | --: | --: | --: |")
    for name in PAIRS:
        for threads in options.threads:
            pairs = take_turns(name, options.model, options.batch, threads, options)
            ratios = sorted(script / built_in for built_in, script in pairs)
            k = rank(len(ratios))
            print(
                f"| {name} | {threads} | {median(a for a, _ in pairs):.3f} | {median(b for _, b in pairs):.3f} "
                f"| {median(ratios):.4f} | {ratios[k - 1]:.4f} to {ratios[-k]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
