#!/usr/bin/env bash
# A checkpoint that gauntlet writes loads into PyTorch with a strict load_state_dict and answers the same; those that
# PyTorch writes, safetensors and .pt, load into gauntlet and answer the same. The committed ones are still PyTorch's.
set -euo pipefail
cd "$(dirname "$0")"
python="$(bash setup.sh)"
gauntlet="${1:?usage: checkpoint.sh PATH_OF_GAUNTLET}"
"$python" -W ignore checkpoint_files.py ../../tests/golden/checkpoints --check
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$gauntlet" train --model lenet-small --recipe ce --data glyphs --epochs 1 --out "$folder/ours.safetensors" \
    --runs "$folder/runs" --quiet
"$python" checkpoint.py "$folder"
for file in ours.safetensors theirs.safetensors theirs.pt; do
    "$gauntlet" attack --model lenet-small --checkpoint "$folder/$file" --data glyphs --take 200 \
        --attack fgsm --eps 0.05 --json > "$folder/$file.json"
done
"$python" - "$folder" <<'PY'
import json, sys
ours, *theirs = (json.load(open(f"{sys.argv[1]}/{n}.json")) for n in ("ours.safetensors", "theirs.safetensors", "theirs.pt"))
for other in theirs:
    for key in ("checkpoint_sha256", "clean_accuracy", "robust_accuracy", "n"):
        assert ours[key] == other[key], (key, ours, other)
assert ours["n"] == 200 and any("state_dict" in note for note in theirs[1]["notes"]), theirs
print("round trip: the same weights and accuracies on 200 images from all three files:", ours["clean_accuracy"])
PY
