"""Saved duels -> the reports about attacks. Nothing is measured here: the files are a function of the saved JSON."""
import csv
import gzip
import io
import json
import math
from statistics import median

from scipy import stats

from run import rank

FLOP = 1.219e6  # one forward of lenet-small on one image; an input gradient costs the same again
CHECKPOINTS = ["pgd-at", "ce", "grad-norm"]
DRAWS = ["apgd-ce", "apgd-t", "fab-t", "square"]
ENSEMBLE = [*DRAWS, "standard"]
ATTACKS = ["pgd", "deepfool", "cw-l2", "ddn", "ddn-unrounded", "fmn-l2", "fmn-linf", *ENSEMBLE]
LIBRARIES = ["official", "torchattacks", "foolbox", "art", "adv-lib"]
REQUIRED = {("pgd", "pgd-at"): 2.5, ("pgd", "ce"): 10, ("standard", "pgd-at"): 3, ("standard", "ce"): 10}
POINTS, EQUAL, LONGER = 0.3, 0.995, 1.02
LAST = "counts the last iterate alone, and steps every example to the end"
ONWARD = "multiplies each step by 1 + overshoot and goes on from there, where gauntlet sums the steps first"
REMARKS = {
    ("pgd", "torchattacks"): LAST,
    ("pgd", "foolbox"): LAST,
    ("pgd", "art"): f"{LAST}; two more passes for its success rate",
    ("pgd", "adv-lib"): "counts any misclassified iterate but the last one; shown, not among those whose speed counts",
    ("deepfool", "torchattacks"): "one image after the other, nearest of all classes; adds no 10⁻⁴ to a step, so where "
    f"the box cuts steps short it ends on the boundary to rounding, on either side of it; {ONWARD}",
    ("deepfool", "foolbox"): "a forward for every candidate class; images that fell wait for the last one",
    ("deepfool", "adv-lib"): ONWARD,
    ("cw-l2", "torchattacks"): "no reference: pixels at exactly 0 or 1 have an infinite atanh and never move, which "
    "is most of these images; one c and no search for it",
    ("cw-l2", "foolbox"): "gives a c up by the loss of the whole batch; measures the distance in the loss from the "
    "image's round trip through tanh; tests no point after the last step; its black images stand for no find and are "
    "not counted",
    ("cw-l2", "adv-lib"): "gives a c up when no image of the batch improves; tests no point after the last step",
    ("ddn", "adv-lib"): "the authors' code; tests no point after the last step",
    ("ddn-unrounded", "foolbox"): "tests no point after the last step",
    ("ddn-unrounded", "adv-lib"): "the authors' code; tests no point after the last step",
    ("fmn-l2", "foolbox"): "a defect: its projection divides a norm by itself, so that the radius never acts; a "
    "plain descent, which also breaks images where the box cuts the other two's steps short",
    ("fmn-l2", "adv-lib"): "tests no point after the last step",
    ("fmn-linf", "foolbox"): "tests no point after the last step",
    ("fmn-linf", "adv-lib"): "tests no point after the last step",
}


def read(folder):
    """The machine, and the duels in which both sides have run, in the order of the tables."""
    machine, duels = json.loads((folder / "machine.json").read_text()), []
    for path in sorted(folder.glob("*_*.json")):
        value = json.loads(path.read_text())
        s = value["setting"]
        names = {p["library"] for p in s["peers"]}
        value["rounds"] = [r for k, r in enumerate(value["rounds"]) if r["ours"] and (k or names <= set(r["theirs"]))]
        # What is left of other weights, or came from another machine, is not this comparison.
        here = s["weights"] == machine["checkpoints"][s["checkpoint"]]["sha256"] and s["cpu"] == machine["cpu"]
        if value["rounds"] and here:
            duels.append(value)

    def order(d):
        s = d["setting"]
        return ATTACKS.index(s["attack"]), CHECKPOINTS.index(s["checkpoint"]), -float(s["eps"] or 0)

    return machine, sorted(duels, key=order)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def threads(machine):
    return f"{machine['threads']} thread" + "s" * (machine["threads"] != 1)


def head(machine, duels):
    versions = machine["versions"]
    days = sorted({r["ours"]["when"][:10] for d in duels for r in d["rounds"]})
    libraries = ", ".join(f"{n} {versions[n]}" for n in LIBRARIES)
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    smoke = "**A smoke run: few images, steps and queries. The numbers mean nothing.**"
    commits = ", ".join(sorted({d["gauntlet"] for d in duels}))
    return [
        *([smoke, ""] if machine["smoke"] else []),
        f"{machine['cpu']}, {threads(machine)}; gauntlet {commits}, {machine['rustc']}; PyTorch {versions['torch']} "
        f"(CPU); {libraries}; {when}. `official` is Croce & Hein's own AutoAttack, as pyautoattack packages it.", "",
        f"{machine['model']} on the first {machine['take']} test images of {machine['data']}, pixels byte/255 in f32; "
        "both sides read the same checkpoint file and the same images:", "",
        "| checkpoint | recipe | clean accuracy | sha256 of the file (not of the weights alone, which `train` prints) |", "|---|---|---|---|",
        *(f"| {name} | `{c['recipe']}` | {clean(name, duels)} | `{c['sha256']}` |"
          for name, c in sorted(machine["checkpoints"].items(), key=lambda c: CHECKPOINTS.index(c[0]))), "",
    ]


def clean(name, duels):
    found = [d for d in duels if d["setting"]["checkpoint"] == name]
    if not found:
        return "—"
    largest = max(found, key=lambda d: d["setting"]["n"])
    return f"{100 * largest['rounds'][0]['ours']['clean_accuracy']:.1f} %"


def accuracy(fates):
    return 100 * fates.count("r") / len(fates)


def equal(a, b):
    return sum(p == q for p, q in zip(a, b)) / len(a)


def table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Packed without a time: the same rows are the same file.
    packed = path.suffix == ".gz"
    with io.TextIOWrapper(gzip.GzipFile(path, "wb", mtime=0), newline="") if packed else open(path, "w", newline="") as f:
        writer = csv.DictWriter(f, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def errors(duels):
    found = {(p["library"], d["setting"]["attack"], t["error"]) for d in duels for p in d["setting"]["peers"]
             for r in d["rounds"] for t in [r["theirs"].get(p["library"], {})] if "error" in t}
    return [f"{library} could not run {attack}: `{error}`" for library, attack, error in sorted(found)]


def write(folder, out):
    if not (folder / "machine.json").exists():
        raise SystemExit(f"nothing is saved in {folder}")
    machine, duels = read(folder)
    if duels:
        agreement(machine, duels, out / "attacks-agreement")
        speed(machine, duels, out / "performance")


# Agreement


def disputed(rounds):
    """Images (by place) on which the first two runs of each side do not all agree."""
    runs = [fates for r in rounds[:2] for fates in (r["theirs"]["official"].get("fates"), r["ours"]["fates"])]
    return [] if len(runs) < 4 or None in runs else [i for i, four in enumerate(zip(*runs)) if len(set(four)) > 1]


def fresh_seeds(duels):
    """One row for each attack whose disputed images were attacked with fresh seeds."""
    rows = []
    for d in duels:
        s, runs = d["setting"], d.get("fresh", [])
        if len(runs) < 2:
            continue
        which = disputed(d["rounds"])
        theirs, ours = [r["official"] for r in runs], [r["gauntlet"] for r in runs]
        broken = lambda side: [f.count("b") for f in side]
        points = 100 / s["n"]
        mean = lambda side: sum(broken(side)) / len(side) / len(which)
        # Images that were not disputed agree.
        same = lambda pairs: 1 - sum(sum(p != q for p, q in zip(a, b)) for a, b in pairs) / len(pairs) / s["n"]
        itself = lambda side: same([(a, b) for i, a in enumerate(side) for b in side[:i]])
        rows.append({
            "checkpoint": s["checkpoint"], "eps": s["eps"], "attack": s["attack"], "n": s["n"], "disputed": len(which),
            "seeds": len(runs), "official_broken": f"{mean(theirs):.4f}", "gauntlet_broken": f"{mean(ours):.4f}",
            **{k: f"{points * v:.3f}" for k, v in difference(broken(theirs), broken(ours)).items()},
            "official_self_equal": f"{itself(theirs):.4f}", "gauntlet_self_equal": f"{itself(ours):.4f}",
            "equal": f"{same([(a, b) for a in theirs for b in ours]):.4f}",
        })
    return rows


def difference(a, b):
    """Mean of a less mean of b, with Welch's 95 % interval. Runs are compared, not images: the official Square moves one
    window over all of them."""
    middle = sum(a) / len(a) - sum(b) / len(b)
    if len(set(a)) == len(set(b)) == 1:
        return {"points": middle, "points_low": middle, "points_high": middle}
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    return {"points": middle, "points_low": interval.low, "points_high": interval.high}


def fresh_text(rows):
    share = lambda value: f"{100 * float(value):.1f} %"
    return [
        "### Fresh seeds on the disputed images", "",
        "Images on which not all four runs above agree were attacked with further seeds of both sides (seeds from 10 on, "
        "which had no part in choosing the images). `broken`: how often, on average over images and seeds. `points`: robust "
        "accuracy on all images, gauntlet's less the official one, with Welch's 95 % interval over the runs; above 0 the "
        "official code breaks more. `equal`: outcomes that two runs share, averaged over all pairs of runs; images that "
        "were not disputed count as shared. Runs of one law agree across the sides as often as within one.", "",
        "| checkpoint | ε | attack | disputed | seeds | broken, official | broken, gauntlet | points | official with itself "
        "| gauntlet with itself | gauntlet with official |", "|---|---|---|---|---|---|---|---|---|---|---|",
        *(f"| {r['checkpoint']} | {r['eps']} | {r['attack']} | {r['disputed']} | {r['seeds']} | "
          f"{share(r['official_broken'])} | {share(r['gauntlet_broken'])} | {float(r['points']):+.2f} "
          f"({float(r['points_low']):+.2f} to {float(r['points_high']):+.2f}) | {share(r['official_self_equal'])} | "
          f"{share(r['gauntlet_self_equal'])} | {share(r['equal'])} |" for r in rows), "",
        "The table: [seeds.csv](seeds.csv); how often each image fell: [differences.csv](differences.csv).", "",
    ]


def ensemble(duels):
    """One row for each attack of AutoAttack, and the examples on which not all four runs agree."""
    rows, differing = [], []
    for d in duels:
        s = d["setting"]
        if s["attack"] not in ENSEMBLE or len(d["rounds"]) < 2:
            continue
        theirs = [r["theirs"]["official"] for r in d["rounds"][:2]]
        if any("error" in t for t in theirs):
            continue
        a, b = [t["fates"] for t in theirs], [r["ours"]["fates"] for r in d["rounds"][:2]]
        pairs = [(abs(accuracy(p) - accuracy(q)), equal(p, q)) for p in a for q in b]
        worst, least = max(p[0] for p in pairs), min(p[1] for p in pairs)
        beyond = sum(p == q != u == v for p, q, u, v in zip(*a, *b))
        row = {
            "checkpoint": s["checkpoint"], "eps": s["eps"], "attack": s["attack"], "n": s["n"],
            **{f"official_{k}": f"{accuracy(f):.2f}" for k, f in enumerate(a)},
            **{f"gauntlet_{k}": f"{accuracy(f):.2f}" for k, f in enumerate(b)},
            "official_self_points": f"{abs(accuracy(a[0]) - accuracy(a[1])):.2f}",
            "official_self_equal": f"{equal(*a):.4f}",
            "gauntlet_self_points": f"{abs(accuracy(b[0]) - accuracy(b[1])):.2f}",
            "gauntlet_self_equal": f"{equal(*b):.4f}",
            "worst_points": f"{worst:.2f}", "worst_equal": f"{least:.4f}", "beyond_seeds": beyond,
            "clean_differs": sum((p == "w") != (q == "w") for p, q in zip(a[0], b[0])),
            "official_invalid": sum(t["invalid"] for t in theirs),
            "passes": "yes" if worst <= POINTS + 1e-9 and least >= EQUAL - 1e-9 else "no",
        }
        rows.append(row)
        ids = d["rounds"][0]["ours"]["ids"]
        words = {"w": "wrong", "r": "robust", "b": "broken"}
        for place, i in enumerate(disputed(d["rounds"])):
            names = ["official_0", "official_1", "gauntlet_0", "gauntlet_1"]
            fresh = d.get("fresh", [])
            fell = lambda side: f"{sum(r[side][place] == 'b' for r in fresh)}/{len(fresh)}" if fresh else ""
            differing.append({
                "checkpoint": s["checkpoint"], "eps": s["eps"], "attack": s["attack"], "id": ids[i],
                "label": s["labels"][i], **{n: words[f[i]] for n, f in zip(names, (*a, *b))},
                "official_fresh": fell("official"), "gauntlet_fresh": fell("gauntlet")})
    return rows, differing


def ensemble_text(duels, rows):
    attacks = {d["setting"]["attack"]: d["setting"]["ours"] for d in duels if d["setting"]["attack"] in ENSEMBLE}
    text = [
        "## AutoAttack, against the official code", "",
        "Each attack alone on all correctly classified images, and the whole of `standard`, L∞. The official code "
        "draws its starts anew for every seed and moves Square's windows over a whole batch at once, so it is run with "
        "two seeds: its agreement with itself stands beside gauntlet's with it. `worst` is the least favourable of the "
        f"four pairs of an official and a gauntlet run; required are at most {POINTS} points and at least "
        f"{100 * EQUAL:.1f} % equal outcomes (wrong, robust or broken). `beyond seeds` counts images on which either "
        "side agrees with itself and not with the other.", "",
        "An official image counts as broken if PyTorch misclassifies it when it is classified again and it lies in the "
        "box and in the ball, to 10⁻⁶.", "",
        *(f"* {name}: gauntlet `{toml(attack)}`" for name, attack in attacks.items()), "",
        "| checkpoint | ε | attack | robust %, official | robust %, gauntlet | official with itself "
        "| gauntlet with itself | worst, gauntlet with official | beyond seeds | reached |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    share = lambda value: f"{100 * float(value):.1f} %"
    for r in rows:
        floor = float(r["official_self_points"]) <= POINTS and float(r["official_self_equal"]) >= EQUAL
        reached = "yes" if r["passes"] == "yes" else "**no**" if floor else "**no**, nor official with itself"
        text.append(
            f"| {r['checkpoint']} | {r['eps']} | {r['attack']} | {r['official_0']}, {r['official_1']} | "
            f"{r['gauntlet_0']}, {r['gauntlet_1']} | {r['official_self_points']} points, "
            f"{share(r['official_self_equal'])} | {r['gauntlet_self_points']} points, "
            f"{share(r['gauntlet_self_equal'])} | {r['worst_points']} points, {share(r['worst_equal'])} | "
            f"{r['beyond_seeds']} | {reached} |")
    invalid, clean = sum(r["official_invalid"] for r in rows), sum(r["clean_differs"] for r in rows)
    return text + [
        "", f"Misclassified images of the official code outside box or ball: {invalid}. Clean images on whose class the "
        f"two sides differ, all rows together: {clean}. Every image on which not all four runs agree: "
        "[differences.csv](differences.csv); the table: [agreement.csv](agreement.csv).", ""]


def descent_text(duels):
    text = ["## PGD", "", "Robust accuracy in percent, one seed; gauntlet and adv-lib count any misclassified iterate, "
            "the others the last one.", "",
            "| checkpoint | ε | gauntlet | " + " | ".join(LIBRARIES[1:]) + " |", "|---|---|---|---|---|---|---|"]
    for d in duels:
        s, first = d["setting"], d["rounds"][0]
        cells = [first["theirs"].get(name, {}) for name in LIBRARIES[1:]]
        cells = [f"{accuracy(c['fates']):.1f}" if "fates" in c else "—" for c in cells]
        ours = f"{accuracy(first['ours']['fates']):.1f}"
        text.append(f"| {s['checkpoint']} | {s['eps']} | {ours} | {' | '.join(cells)} |")
    return text + [""] + calls(duels[0]["setting"])


def calls(s):
    """How either side is called, and what is known of the libraries."""
    lines = [f"* gauntlet `{toml(s['ours'])}`"]
    for p in s["peers"]:
        remark = REMARKS.get((s["attack"], p["library"]))
        lines.append(f"* {p['library']} `{p['said']}`" + (f": {remark}" if remark else ""))
    return lines + [""]


def far(length):
    return "∞" if length == "inf" else length


def lengths(run, both):
    return [run["sizes"][i] if run["fates"][i] == "b" else math.inf for i in both]


def pairs(duels):
    """gauntlet and each library on the smallest perturbation: one row a pair."""
    rows = []
    for d in duels:
        s, first = d["setting"], d["rounds"][0]
        for p in s["peers"]:
            run = first["theirs"][p["library"]]
            if "error" in run:
                continue
            ours = first["ours"]
            both = [i for i in range(s["n"]) if run["fates"][i] != "w" and ours["fates"][i] != "w"]
            a, b = lengths(run, both), lengths(ours, both)
            if not both:
                continue
            theirs, mine = median(a), median(b)
            ratio = mine / theirs if math.isfinite(mine) and math.isfinite(theirs) else None
            reached = "—" if not p["counts"] else "yes" if mine <= LONGER * theirs else "no"
            rows.append({
                "attack": s["attack"], "checkpoint": s["checkpoint"], "norm": s["norm"], "library": p["library"],
                "n": len(both), "success_theirs": f"{sum(map(math.isfinite, a)) / len(a):.4f}",
                "success_gauntlet": f"{sum(map(math.isfinite, b)) / len(b):.4f}",
                "median_theirs": f"{theirs:.4f}", "median_gauntlet": f"{mine:.4f}",
                "ratio": "" if ratio is None else f"{ratio:.3f}",
                "no_longer": f"{sum(u <= LONGER * v for u, v in zip(b, a)) / len(a):.4f}", "reached": reached,
            })
    return rows


def smallest_text(duels, rows):
    text = [
        "## Smallest perturbations", "",
        "On correctly classified images: how many were broken at any size, and the median ‖δ‖, an image that was not "
        "broken counting as infinitely far. Required: gauntlet's median at most 2 % above the library's. `no longer` is "
        "the share of images on which gauntlet's δ is at most 2 % longer. Every size: [minimum.csv.gz](minimum.csv.gz); the "
        "tables: [minimum-medians.csv](minimum-medians.csv).", "",
    ]
    for attack in ATTACKS:
        own = [r for r in rows if r["attack"] == attack]
        if not own:
            continue
        s = next(d["setting"] for d in duels if d["setting"]["attack"] == attack)
        text += [f"### {attack}, {'L∞' if s['norm'] == 'linf' else 'L2'}, first {s['n']} images", "", *calls(s),
                 "| checkpoint | library | broken, library | broken, gauntlet | median ‖δ‖, library "
                 "| median ‖δ‖, gauntlet | gauntlet / library | no longer | reached |",
                 "|---|---|---|---|---|---|---|---|---|"]
        for r in own:
            mark = {"no": "**no**"}.get(r["reached"], r["reached"])
            text.append(
                f"| {r['checkpoint']} | {r['library']} | {float(r['success_theirs']):.1%} | "
                f"{float(r['success_gauntlet']):.1%} | {far(r['median_theirs'])} | {far(r['median_gauntlet'])} | "
                f"{r['ratio'] or '—'} | {float(r['no_longer']):.1%} | {mark} |")
        text.append("")
    return text


def agreement(machine, duels, out):
    rows, differing = ensemble(duels)
    descents = [d for d in duels if d["setting"]["attack"] == "pgd"]
    minimal = [d for d in duels if d["setting"]["eps"] is None]
    medians = pairs(minimal)
    text = ["# Agreement with the reference libraries", "", *head(machine, duels)]
    if rows:
        text += ensemble_text(duels, rows)
        table(out / "agreement.csv", list(rows[0]), rows)
        table(out / "differences.csv", ["checkpoint", "eps", "attack", "id", "label", "official_0", "official_1",
                                        "gauntlet_0", "gauntlet_1", "official_fresh", "gauntlet_fresh"], differing)
        fresh = fresh_seeds(duels)
        if fresh:
            text += fresh_text(fresh)
            table(out / "seeds.csv", list(fresh[0]), fresh)
    if descents:
        text += descent_text(descents)
    if medians:
        text += smallest_text(minimal, medians)
        table(out / "minimum-medians.csv", list(medians[0]), medians)
        table(out / "minimum.csv.gz", ["attack", "checkpoint", "id", "gauntlet", *LIBRARIES[1:]], [
            row for d in minimal for row in sizes(d)])
    text += ["## How the libraries were run", "", *(f"* {name}: {why}." for name, why in machine["patches"].items()),
             *(f"* {line}." for line in errors(duels)), "",
             "AutoAttack in other norms, on other networks: [end-to-end.md](end-to-end.md).", "",
             "Repeat with `scripts/compare/attacks.sh`."]
    out.mkdir(parents=True, exist_ok=True)
    (out / "agreement.md").write_text("\n".join(text) + "\n")


def sizes(d):
    s, first = d["setting"], d["rounds"][0]
    runs = {"gauntlet": first["ours"], **first["theirs"]}
    for i, example in enumerate(first["ours"]["ids"]):
        cells = {name: f"{run['sizes'][i]:.5g}" for name, run in runs.items()
                 if "sizes" in run and run["fates"][i] == "b"}
        if first["ours"]["fates"][i] != "w":
            yield {"attack": s["attack"], "checkpoint": s["checkpoint"], "id": example, **cells}


# Speed


def interval(ratios):
    """Median, both ends, and whether they are a 95 % interval (else: the range)."""
    ratios = sorted(ratios)
    certain = len(ratios) >= 6
    k = rank(len(ratios)) if certain else 1
    return median(ratios), ratios[k - 1], ratios[-k], certain


def speed_rows(machine, duels):
    rows, all_times = [], []
    for d in duels:
        s, rounds = d["setting"], d["rounds"]
        timed = s["checkpoint"] in ("pgd-at", "ce") and (s["eps"] is None or (
            s["eps"] == "0.3" and s["attack"] in ("pgd", "standard")))
        if not timed or len(rounds) < 2:
            continue
        times = {p["library"]: [r["theirs"].get(p["library"], {}).get("seconds") for r in rounds] for p in s["peers"]}
        times = {name: t for name, t in times.items() if t[0] is not None}
        whole = {p["library"]: times[p["library"]] for p in s["peers"]
                 if p["counts"] and None not in times.get(p["library"], [None])}
        if not whole:
            continue
        fastest = min(whole, key=lambda name: median(whole[name]))
        ours = [r["ours"]["seconds"] for r in rounds]
        ratio, low, high, certain = interval(t / o for t, o in zip(whole[fastest], ours))
        forwards, backwards = (int(median(r["ours"][k] for r in rounds)) for k in ("forwards", "backwards"))
        floor = (forwards + backwards) * FLOP / (1e9 * machine["peak_gflop_per_s"])
        required = REQUIRED.get((s["attack"], s["checkpoint"]), 3)
        rows.append({
            "attack": s["attack"], "checkpoint": s["checkpoint"], "eps": s["eps"] or "", "n": s["n"],
            "threads": machine["threads"], "library": fastest, "library_s": f"{median(whole[fastest]):.3f}",
            "gauntlet_s": f"{median(ours):.3f}", "ratio": f"{ratio:.2f}", "ratio_low": f"{low:.2f}",
            "ratio_high": f"{high:.2f}", "rounds": len(rounds), "interval": "95 %" if certain else "range",
            "required": required, "passes": "yes" if low >= required else "no", "forwards": forwards,
            "backwards": backwards, "floor_share": f"{floor / median(ours):.3f}",
            "took_turns": "no" if any(r["apart"] for r in rounds) else "yes",
        })
        cells = {name: [x for x in t if x is not None] for name, t in times.items()}
        all_times.append((s, cells, ours))
    return rows, all_times


def speed(machine, duels, out):
    rows, all_times = speed_rows(machine, duels)
    if not rows:
        return
    missed = [r for r in rows if r["passes"] == "no"]
    text = [
        "# Attacks: gauntlet and the reference libraries", "", *head(machine, duels),
        "Seconds of wall time; imports, loading and building the attack are outside on both sides. gauntlet's time "
        "holds its clean pass and the referee, a library's the call, with the passes it makes by itself. The libraries "
        f"get batches of {machine['batch']}, eval mode and frozen weights. Both sides take turns, theirs first; `ratio` "
        "is library / gauntlet, the median of paired ratios, in brackets the 95 % interval from order statistics, or "
        "the range where there are fewer than six pairs. A row is reached when the lower end is. A library more than "
        "1.5 times slower than the fastest one in the first round sits the others out.", "",
        "`forwards` and `backwards` are gauntlet's, in executed examples. `share` is what their arithmetic alone would "
        f"take at the speed of a large matrix product ({machine['peak_gflop_per_s']:.0f} GFLOP/s on {threads(machine)}; "
        f"{FLOP / 1e6} MFLOP for a forward, as much for an input gradient), as a share of gauntlet's time.", "",
        f"**{len(rows) - len(missed)} of {len(rows)} rows reach what is required.**", "",
        "| attack | checkpoint | ε | images | fastest library | its s | gauntlet s | ratio | required | forwards "
        "| backwards | share |", "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        mark = ("" if r["passes"] == "yes" else " **missed**") + (" †" if r["took_turns"] == "no" else "")
        kind = "" if r["interval"] == "95 %" else f", {r['rounds']} pairs"
        text.append(
            f"| {r['attack']} | {r['checkpoint']} | {r['eps'] or 'smallest'} | {r['n']} | {r['library']} | "
            f"{r['library_s']} | {r['gauntlet_s']} | {r['ratio']} ({r['ratio_low']} to {r['ratio_high']}{kind}){mark} | "
            f"{r['required']} | {r['forwards']:,} | {r['backwards']:,} | {float(r['floor_share']):.0%} |")
    if any(r["took_turns"] == "no" for r in rows):
        text += ["", "† The library's runs are older than gauntlet's, on the same machine: they did not take turns."]
    text += ["", "Median seconds of every library, and in how many rounds:", "",
             "| attack | checkpoint | " + " | ".join(LIBRARIES) + " | gauntlet |",
             "|---|---|" + "---|" * (len(LIBRARIES) + 1)]
    for s, cells, ours in all_times:
        said = [f"{median(cells[n]):.2f} ({len(cells[n])})" if n in cells else "—" for n in LIBRARIES]
        own = f"{median(ours):.2f} ({len(ours)})"
        text.append(f"| {s['attack']} | {s['checkpoint']} | {' | '.join(said)} | {own} |")
    text += ["", "Both sides' arguments, what is known of the libraries, and what the attacks find: "
             "[attacks-agreement](../attacks-agreement/agreement.md). Repeat with `scripts/compare/attacks.sh`."]
    table(out / "attacks.csv", list(rows[0]), rows)
    (out / "attacks.md").write_text("\n".join(text) + "\n")
