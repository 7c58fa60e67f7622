#!/usr/bin/env bash
# Every form of a report in the program it is for: the page in Chromium, LaTeX, CSV in pandas, polars and R, JSON against its
# schema. Installs what is missing (Debian's packages, npm, PyPI).
#
#     scripts/page/run.sh [--pictures FOLDER] REPORT...      REPORT: a folder that `gauntlet report -o` wrote
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
pictures=""
if [ "${1:-}" = "--pictures" ]; then
    pictures="$(realpath -m "$2")"
    shift 2
fi
if [ $# = 0 ]; then
    echo "give one or more folders that \`gauntlet report -o\` wrote" >&2
    exit 2
fi
reports=()
for report in "$@"; do reports+=("$(realpath "$report")"); done

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v Rscript >/dev/null || missing+=(r-base-core)
if ! command -v pdflatex >/dev/null || ! kpsewhich booktabs.sty >/dev/null; then missing+=(texlive-latex-recommended); fi
if [ ${#missing[@]} -gt 0 ]; then
    sudo="$([ "$(id -u)" = 0 ] || echo sudo)"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
cache="${GAUNTLET_PAGE_CACHE:-$HOME/.cache/gauntlet-ci/page}"
mkdir -p "$cache"
if ! cmp -s "$here/requirements.txt" "$cache/venv/requirements.txt"; then
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/venv/"
fi
if ! cmp -s "$here/package-lock.json" "$cache/node/package-lock.json"; then
    mkdir -p "$cache/node"
    cp "$here/package.json" "$here/package-lock.json" "$cache/node/"
    (cd "$cache/node" && npm ci --silent --no-audit --no-fund)
fi
# Modules are found beside the program that names them.
cp "$here/page.mjs" "$cache/node/"

"$cache/venv/bin/python" "$here/forms.py" "$here/../../docs/records.schema.json" "${reports[@]}"
Rscript --vanilla "$here/table.R" "${reports[@]}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
{
    echo '\documentclass{article}'
    echo '\usepackage{booktabs}'
    echo '\begin{document}'
    for report in "${reports[@]}"; do echo "\\input{$report/table.tex}\\clearpage"; done
    echo '\end{document}'
} > "$work/tables.tex"
if ! (cd "$work" && pdflatex -interaction=nonstopmode -halt-on-error tables.tex >tables.out); then
    cat "$work/tables.out" >&2
    exit 1
fi
test "$(grep -c '^! ' "$work/tables.out")" = 0
echo "LaTeX sets ${#reports[@]} tables"

for report in "${reports[@]}"; do
    node "$cache/node/page.mjs" "$report" ${pictures:+"$pictures"}
done
