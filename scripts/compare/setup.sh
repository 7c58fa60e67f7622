#!/usr/bin/env bash
# The virtual environment of scripts/parity with every reference library. Prints its python.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$(bash scripts/parity/setup.sh)"
needed=(
    torchvision==0.29.2 scipy==1.17.1 scikit-learn==1.9.1 six==1.17.0 packaging==26.4 tqdm==4.70.1 eagerpy==0.30.0
    GitPython==3.2.1 requests==2.34.2 pyarrow==26.0.1 pillow==13.0.0 onnx==1.23.2 onnxscript==0.7.2
)
# Without what they ask for: torchattacks pins an old requests, adv-lib wants a plotting server.
peers=(
    pyautoattack==0.2.0 torchattacks==3.5.1 foolbox==3.3.4 adversarial-robustness-toolbox==1.20.1 adv-lib==0.2.8
)
installed() {
    "$python" - "$@" <<'PYTHON' 2>/dev/null
import sys
from importlib.metadata import version
sys.exit(any(version(pin.split("==")[0]) != pin.split("==")[1] for pin in sys.argv[1:]))
PYTHON
}
if ! installed "${needed[@]}" "${peers[@]}"; then
    "$python" -m pip install --quiet "${needed[@]}" >&2
    "$python" -m pip install --quiet --no-deps "${peers[@]}" >&2
fi
echo "$python"
