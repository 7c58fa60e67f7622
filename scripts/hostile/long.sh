#!/usr/bin/env bash
# The property tests of everything that reads files, for long: bash scripts/hostile/long.sh [MINUTES]
#
# Suite, manifest, record, journal, checkpoint, pickle, parquet, idx and script are harmed at random, from a new seed in every round, until the
# minutes (10) are over; CARGO and its arguments may be given in GAUNTLET_CARGO. Ends with 1 at the first file that a reader does not survive, which it
# prints. A short run of the same is part of `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
minutes="${1:-10}"
cargo="${GAUNTLET_CARGO:-cargo}"
export PROPTEST_CASES="${PROPTEST_CASES:-5000}"
targets=9
packages=(-p gauntlet-records -p gauntlet-core -p gauntlet-data -p gauntlet-engine -p gauntlet-script)
$cargo test --release --locked --no-run --quiet "${packages[@]}"
end=$((SECONDS + 60 * minutes))
rounds=0
while [ "$rounds" = 0 ] || [ "$SECONDS" -lt "$end" ]; do
    if ! out="$($cargo test --release "${packages[@]}" -- no_harm_to 2>&1)"; then
        printf '%s\n' "$out"
        exit 1
    fi
    passed="$(grep -c '^test .*no_harm_to.* ok$' <<<"$out" || true)"
    if [ "$passed" != "$targets" ]; then
        printf '%s\n%s targets ran, and there are %s\n' "$out" "$passed" "$targets" >&2
        exit 1
    fi
    rounds=$((rounds + 1))
    echo "round $rounds, $SECONDS s: $targets targets, $PROPTEST_CASES files each, all survived"
done
