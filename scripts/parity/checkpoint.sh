#!/usr/bin/env bash
# A checkpoint that gauntlet writes loads into PyTorch with a strict load_state_dict and answers the same; one that
# PyTorch writes loads into gauntlet and answers the same.
set -euo pipefail
cd "$(dirname "$0")"
python="$(bash setup.sh)"
gauntlet="${1:?usage: checkpoint.sh PATH_OF_GAUNTLET}"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$gauntlet" train --model lenet-small --recipe ce --data glyphs --epochs 1 --out "$folder/ours.safetensors" --quiet
"$python" checkpoint.py "$folder"
"$gauntlet" attack --model lenet-small --checkpoint "$folder/theirs.safetensors" --data glyphs --take 200 \
    --attack fgsm --eps 0 --json > "$folder/theirs.json"
"$gauntlet" attack --model lenet-small --checkpoint "$folder/ours.safetensors" --data glyphs --take 200 \
    --attack fgsm --eps 0 --json > "$folder/ours.json"
"$python" - "$folder" <<'PY'
import json, sys
a, b = (json.load(open(f"{sys.argv[1]}/{n}.json")) for n in ("ours", "theirs"))
assert a["clean_accuracy"] == b["clean_accuracy"] and a["n"] == b["n"] == 200, (a, b)
print("round trip: the same accuracy on 200 images from both files:", a["clean_accuracy"])
PY
