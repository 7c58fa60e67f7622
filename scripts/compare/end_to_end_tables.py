"""Saved runs of end_to_end.py -> the report. Nothing is measured here."""
import json

from tables import equal, table, toml

STAGES = {"standard": ["apgd-ce", "apgd-t", "fab-t", "square"], "rand": ["apgd-ce", "apgd-dlr"]}
SIDES = ["official", "gauntlet"]
NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1"}
# One image more than the seeds explain; points between the means of randomised runs.
IMAGES, POINTS = 1, 2.0
DIFFERENCES = ["case", "row", "label", "official_0", "official_1", "gauntlet_0", "gauntlet_1"]
WORDS = {"w": "wrong", "r": "robust", "b": "broken"}


def read(folder, cases):
    """The runs of every case of which both sides have the same weights, images and machine."""
    found = {}
    for key in cases:
        runs = {side: [json.loads(p.read_text()) for p in sorted((folder / "results").glob(f"{key}_{side}_*.json"))]
                for side in SIDES}
        settings = {json.dumps({k: r["setting"][k] for k in ("case", "weights", "rows", "cpu", "smoke")}, sort_keys=True)
                    for side in SIDES for r in runs[side]}
        if len(settings) == 1 and len(runs["official"]) > 1 and len(runs["gauntlet"]) > 1:
            found[key] = runs
    return found


def counts(runs, letter="r"):
    return [r["fates"].count(letter) for r in runs]


def differing(a, b):
    """Images on which two runs differ."""
    return round((1 - equal(a["fates"], b["fates"])) * len(a["fates"]))


def gap(a, b):
    """How far two sets of numbers lie apart; 0 where their ranges touch."""
    return max(min(a) - max(b), min(b) - max(a), 0)


def common(key, runs):
    s = runs["official"][0]["setting"]
    joined = lambda numbers: " ".join(map(str, numbers))
    return s, {
        "case": key, "norm": s["case"]["norm"], "eps": s["case"]["eps"], "n": len(s["rows"]),
        **{f"clean_{side}": joined(len(s["rows"]) - c for c in counts(runs[side], "w")) for side in SIDES},
        **{f"robust_{side}": joined(counts(runs[side])) for side in SIDES},
    }


def deterministic(found):
    """One row for each case whose network answers every question once; and the images on which not all runs agree."""
    rows, images = [], []
    for key, runs in found.items():
        s, row = common(key, runs)
        if "noise" in s["case"]:
            continue
        a, b = runs["official"], runs["gauntlet"]
        four = list(zip(*(r["fates"] for r in (*a[:2], *b[:2]))))
        beyond = sum(p == q != u == v for p, q, u, v in four)
        apart = gap(counts(a), counts(b))
        rows.append({
            **row, "official_self_differs": differing(*a[:2]), "gauntlet_self_differs": differing(*b[:2]),
            "worst_differs": max(differing(p, q) for p in a for q in b), "beyond_seeds": beyond, "counts_apart": apart,
            "official_invalid": sum(r["invalid"] for r in a),
            "passes": "yes" if beyond <= IMAGES and apart <= IMAGES else "no",
        })
        for place, fates in enumerate(four):
            if len(set(fates)) > 1:
                images.append(dict(zip(DIFFERENCES, (
                    key, s["rows"][place], s["labels"][place], *(WORDS[f] for f in fates)))))
    return rows, images


def randomised(found):
    """One row for each case with a randomised network."""
    rows = []
    for key, runs in found.items():
        s, row = common(key, runs)
        if "noise" not in s["case"]:
            continue
        points = {side: [100 * c / len(s["rows"]) for c in counts(runs[side])] for side in SIDES}
        drawn = {side: [100 * r["over_draws"] for r in runs[side]] for side in SIDES}
        row |= {"noise": s["case"]["noise"], "draws": s["case"]["draws"]}
        row |= {f"over_draws_{side}": " ".join(f"{v:.2f}" for v in drawn[side]) for side in SIDES}
        for name, values in (("points", points), ("over_draws_points", drawn)):
            row[name] = f"{mean(values['gauntlet']) - mean(values['official']):.2f}"
        close = [abs(mean(v["gauntlet"]) - mean(v["official"])) <= POINTS
                 or min(v["official"]) <= mean(v["gauntlet"]) <= max(v["official"]) for v in (points, drawn)]
        rows.append(row | {"passes": "yes" if all(close) else "no"})
    return rows


def mean(values):
    return sum(values) / len(values)


def stages(found):
    lines = ["| case | side | seed | " + "clean | after its attacks, in order | seconds |", "|---|---|---|---|---|---|"]
    for key, runs in found.items():
        for side in SIDES:
            for seed, r in enumerate(runs[side]):
                left = ", ".join(f"{name} {number}" for name, number in r["left"].items())
                lines.append(f"| {key} | {side} | {seed} | {len(r['fates']) - r['fates'].count('w')} | {left} | "
                             f"{r['seconds']:.0f} |")
    return lines


def write(folder, out, cases):
    found = read(folder, cases)
    if not found:
        return
    rows, images = deterministic(found)
    drawn = randomised(found)
    first = next(iter(found.values()))["official"][0]["setting"]
    versions = first["versions"]
    every = [r for runs in found.values() for side in SIDES for r in runs[side]]
    days = sorted({r["when"] for r in every})
    commits = ", ".join(sorted({r["gauntlet"] for runs in found.values() for r in runs["gauntlet"]}))
    mark = lambda r: "yes" if r["passes"] == "yes" else "**no**"
    text = [
        "# AutoAttack from end to end", "",
        *(["**A smoke run: few images, steps and queries. The numbers mean nothing.**", ""] if first["smoke"] else []),
        f"{first['cpu']}, {first['threads']} thread{'s' * (first['threads'] != 1)}; gauntlet {commits}; PyTorch "
        f"{versions['torch']} (CPU); official {versions['official']}; {days[0]}"
        f"{' to ' + days[-1] if len(days) > 1 else ''}. `official` is Croce & Hein's own AutoAttack, as pyautoattack "
        "packages it.", "",
        f"Whole runs of AutoAttack in the cases below, which [agreement.md](agreement.md) does not have. {first_n(found)} test images each, drawn by the sha256 of data set and row number. "
        "Both sides read the same checkpoint and the same images. gauntlet trained the checkpoints, seed 0; each "
        "recipe was chosen to leave 20 to 80 % of held-out training images, and no test image had a part in it.", "",
        "| case | network | recipe | training | sha256 of the checkpoint |", "|---|---|---|---|---|",
        *(network(key, runs["official"][0]["setting"]) for key, runs in found.items()), "",
    ]
    if rows:
        text += [
            "## `standard`", "",
            "Numbers of images. Every side has two seeds; `with itself` and `worst pair` count images on which two runs "
            "differ (wrong, robust or broken), `beyond seeds` those on which each side agrees with itself and not with the "
            f"other. Required: `beyond seeds` at most {IMAGES}, and the ranges of the two sides' robust images at most "
            f"{IMAGES} apart.", "",
            "| case | norm | ε | images | clean, official | clean, gauntlet | robust, official | robust, gauntlet "
            "| official with itself | gauntlet with itself | worst pair | beyond seeds | reached |",
            "|" + "---|" * 13,
            *(f"| {r['case']} | {NORMS[r['norm']]} | {r['eps']} | {r['n']} | {r['clean_official'].split()[0]} | "
              f"{r['clean_gauntlet'].split()[0]} | {r['robust_official'].replace(' ', ', ')} | "
              f"{r['robust_gauntlet'].replace(' ', ', ')} | {r['official_self_differs']} | {r['gauntlet_self_differs']} | "
              f"{r['worst_differs']} | {r['beyond_seeds']} | {mark(r)} |" for r in rows), "",
            f"Misclassified images of the official code outside box or ball: {sum(r['official_invalid'] for r in rows)}. "
            "The table: [end-to-end.csv](end-to-end.csv); every image on which not all four runs agree: "
            "[end-to-end-differences.csv](end-to-end-differences.csv).", "",
        ]
        table(out / "end-to-end.csv", list(rows[0]), rows)
        table(out / "end-to-end-differences.csv", DIFFERENCES, images)
    if drawn:
        text += [
            "## `rand`, on a network with noise", "",
            "N(0, s²) is added to every pixel in every forward. `robust`: one draw judges a proposal, as in the official code, "
            "and what it refutes goes on to the second attack. `over draws`: each of the two attacks runs on every image "
            "that is right in the one clean forward, each proposal is judged on all draws, and the one that fools more of "
            "them is judged anew on as many; the mean share of right answers (wrong before the attack: 0). Required of both: "
            f"the mean of gauntlet's seeds at most {POINTS:.0f} points from the mean of the official seeds, or within their "
            "range.", "",
            "| case | norm | ε | s | images | clean, official | clean, gauntlet | robust, official | robust, gauntlet "
            "| points | draws | over draws %, official | over draws %, gauntlet | points | reached |", "|" + "---|" * 15,
            *(f"| {r['case']} | {NORMS[r['norm']]} | {r['eps']} | {r['noise']} | {r['n']} | "
              + " | ".join(r[k].replace(" ", ", ") for k in (
                  "clean_official", "clean_gauntlet", "robust_official", "robust_gauntlet"))
              + f" | {float(r['points']):+.2f} | {r['draws']} | " + " | ".join(
                  r[k].replace(" ", ", ") for k in ("over_draws_official", "over_draws_gauntlet"))
              + f" | {float(r['over_draws_points']):+.2f} | {mark(r)} |" for r in drawn), "",
            "The table: [end-to-end-rand.csv](end-to-end-rand.csv).", "",
        ]
        table(out / "end-to-end-rand.csv", list(drawn[0]), drawn)
    text += ["## Attack by attack", "", "Images left, of the whole run. Runs may have shared the machine with others: seconds are no measure of speed.", "", *stages(found), "",
             "Repeat with `scripts/compare/end_to_end.sh`."]
    out.mkdir(parents=True, exist_ok=True)
    (out / "end-to-end.md").write_text("\n".join(text) + "\n")


def first_n(found):
    return len(next(iter(found.values()))["official"][0]["setting"]["rows"])


def network(key, s):
    c = s["checkpoint"]
    training = ", ".join(f"{k} {v}" for k, v in c["train"].items())
    return f"| {key} | {c['data']}, `{toml(c['model'])}` | `{toml(c['recipe'])}` | {training} | `{s['weights']}` |"
