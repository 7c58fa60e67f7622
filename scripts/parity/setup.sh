#!/usr/bin/env bash
# A virtual environment with PyTorch and the attacks that ours are compared with, made once. Prints its python.
set -euo pipefail
venv="${GAUNTLET_VENV:-$HOME/.cache/gauntlet-torch}"
if ! "$venv/bin/python" -c 'import torch, numpy, safetensors' 2>/dev/null; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6 safetensors==0.8.0 >&2
fi
if ! "$venv/bin/python" -c 'import foolbox, pyautoattack, torchvision, torchattacks, importlib.util as u; assert u.find_spec("adv_lib")' \
    2>/dev/null; then
    "$venv/bin/pip" install --quiet torchvision==0.29.2 scipy==1.17.1 eagerpy==0.30.0 GitPython==3.2.1 \
        requests==2.34.2 packaging==26.4 tqdm==4.70.1 >&2
    # Without what they ask for: adv-lib wants a plotting server.
    "$venv/bin/pip" install --quiet --no-deps pyautoattack==0.2.0 adv-lib==0.2.8 foolbox==3.3.4 torchattacks==3.5.1 >&2
fi
echo "$venv/bin/python"
