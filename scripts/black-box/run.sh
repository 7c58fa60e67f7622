#!/usr/bin/env bash
# A model behind a pipe from end to end: a network is trained, written as ONNX, and served by black_box.py (ONNX Runtime). Attacks by
# decisions and by scores must break of it what they break of the same file read here; a program that dies in the middle loses nothing.
#
#     scripts/black-box/run.sh [GAUNTLET]
set -euo pipefail
cd "$(dirname "$0")/../.."
gauntlet="${1:-target/release/gauntlet}"
python=$(bash scripts/parity/setup.sh)
if ! "$python" -c 'import onnx, onnxscript, onnxruntime' 2>/dev/null; then
    "$(dirname "$python")/pip" install --quiet onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 >&2
fi
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
"$gauntlet" --quiet train --model lenet-small --recipe ce --data glyphs --epochs 2 --runs "$made/runs" --out "$made/net.safetensors" >/dev/null
"$gauntlet" export --model lenet-small --checkpoint "$made/net.safetensors" --data glyphs --out "$made/net.onnx" >/dev/null

program="\"$python\", \"scripts/black-box/black_box.py\", \"$made/net.onnx\""
accuracy() { "$python" -c 'import json, sys; r = json.load(sys.stdin); print(r["clean_accuracy"], r["robust_accuracy"])'; }
compare() {
    local answers="$1" attack="$2" norm="$3" eps="$4" words="$program"
    if [ "$answers" = logits ]; then words="$program, \"--logits\""; fi
    local common=(--data glyphs --take 40 --attack "$attack" --norm "$norm" --eps "$eps" --json)
    local pipe here
    pipe=$("$gauntlet" --quiet attack --model "{ name = \"command\", answers = \"$answers\", command = [$words] }" "${common[@]}" | accuracy)
    here=$("$gauntlet" --quiet attack --model "onnx:$made/net.onnx" "${common[@]}" | accuracy)
    echo "$attack, $norm $eps: behind the pipe $pipe, read here $here"
    "$python" - "$pipe" "$here" <<'PYTHON'
import sys

(clean, robust), (own_clean, own_robust) = (map(float, text.split()) for text in sys.argv[1:])
# Logits of two programs differ in their last bits: an image on the edge of the budget may fall on either side.
sys.exit(clean != own_clean or abs(robust - own_robust) > 1.5 / 40 or not 0 < robust < clean)
PYTHON
}
compare labels '{ name = "hopskipjump", steps = 8 }' l2 1.0
compare labels '{ name = "rays", queries = 600 }' linf 0.03
compare logits '{ name = "square", queries = 300 }' linf 0.03

# What goes by more than the program tells is refused before it is asked anything.
if "$gauntlet" --quiet attack --model "{ name = \"command\", command = [$program] }" --data glyphs --take 5 --attack pgd --eps 0.03 \
    2>"$made/refused"; then exit 1; fi
grep -q 'pgd goes by gradients' "$made/refused"

# Dies after 700 questions: what was found until then is in the journal, and the same line goes on.
cat > "$made/mortal.py" <<'PYTHON'
import os, runpy, sys

served, path = 0, os.path.join(os.path.dirname(sys.argv[0]), "killed")


class Lines:
    """Standard input that dies once, after 700 lines."""

    def __iter__(self):
        global served
        for line in sys.__stdin__:
            served += 1
            if served > 700 and not os.path.exists(path):
                open(path, "w").close()
                sys.exit("out of memory")
            yield line


sys.stdin = Lines()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
PYTHON
mortal="{ name = \"command\", command = [\"$python\", \"$made/mortal.py\", \"scripts/black-box/black_box.py\", \"$made/net.onnx\"] }"
attack() {
    "$gauntlet" --quiet attack --model "$mortal" --data glyphs --take 30 --attack '{ name = "rays", queries = 300 }' --eps 0.03 \
        --slots 4 --journal "$1" --json
}
if attack "$made/journal.jsonl" >/dev/null 2>"$made/died"; then exit 1; fi
grep -q 'before it answered; it wrote: out of memory' "$made/died"
kept=$(wc -l < "$made/journal.jsonl")
test "$kept" -gt 1
resumed=$(attack "$made/journal.jsonl" | accuracy)
whole=$(attack "$made/undisturbed.jsonl" | accuracy)
echo "died with $kept lines in the journal, went on: $resumed; undisturbed: $whole"
test "$resumed" = "$whole"
