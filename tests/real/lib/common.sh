# common.sh: what the scripts of tests/real share. Each prints only what must be the same in every run.
# shellcheck shell=sh
set -eu

build=${PRELOOM_BUILD:-build}

# A folder of the script's own, removed at its end.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# input_file: the path of a file to compress, made once: 16 MB, or 100 MB with REAL_LONG=1; text, and noise that is the
# same each time.
input_file() {
    if [ "${REAL_LONG:-0}" = 1 ]; then numbers=13000000; else numbers=2200000; fi
    input=$build/test-data/numbers-$numbers
    if [ ! -f "$input" ]; then
        mkdir -p "$build/test-data"
        LD_PRELOAD='' awk -v n="$numbers" 'BEGIN { x = 1; for (i = 0; i < n; i++) {
            if (i % 8 == 0) x = (x * 16807) % 2147483647; print (i % 8 ? i : x) } }' > "$work/input"
        mv "$work/input" "$input"
    fi
    echo "$input"
}
