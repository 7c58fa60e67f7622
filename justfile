# The two commands of the README
run *args:
    cargo run --release -- {{args}}
test:
    cargo test --release

# Reports again, from their committed records
reports:
    bash scripts/reports.sh

# What CI runs
ci:
    bash .ci/run
fmt:
    cargo fmt --all
lint:
    cargo clippy --release --workspace --all-targets -- -D warnings
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
deny:
    cargo deny --offline check bans licenses sources

# A report in the programs it is for: Chromium, LaTeX, pandas, polars, R (installs them)
page *reports:
    bash scripts/page/run.sh {{reports}}

# The Python package: a wheel (or the one that is given), its tests, its example
python *wheel:
    bash scripts/python/run.sh {{wheel}}

# Networks exported by PyTorch, against ONNX Runtime (installs both into a virtual environment)
onnx *networks:
    bash scripts/onnx/run.sh {{networks}}

# Golden files from PyTorch (installs it into a virtual environment)
parity:
    bash scripts/parity/run.sh
