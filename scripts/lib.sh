# lib.sh: what the scripts share: packages, building, steps with a time limit and a count. To be sourced by bash.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit
export PRELOOM_BUILD=${PRELOOM_BUILD:-$top/build}

# Debian's names of what is needed to build, to test and for the demonstration.
# shellcheck disable=SC2034
build_packages=(gcc g++ make cmake pkg-config python3 libzydis-dev libdw-dev zlib1g-dev libncurses-dev check libsubunit-dev libtbb-dev libunwind-dev)
# shellcheck disable=SC2034
test_packages=(clang-14 libomp-14-dev gdb tmux python3 perl ruby sysbench stress-ng rt-tests xz-utils pigz zstd linux-perf golang-go chromium)
# shellcheck disable=SC2034
demo_packages=(python3 sysbench stress-ng rt-tests xz-utils pigz)

say() {
    printf '== %s\n' "$*"
}

# need_packages NAME...: installs those that are missing; when none is, needs neither network nor privileges.
need_packages() {
    local name missing=()
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            missing+=("$name")
        fi
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    say "installing ${missing[*]}"
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
    "${as_root[@]}" "${apt[@]}" update > /dev/null
    "${as_root[@]}" "${apt[@]}" install --no-install-recommends "${missing[@]}"
}

# build_in FOLDER [CMAKE-OPTION...]: warnings are errors.
build_in() {
    local folder=$1
    shift
    cmake -S "$top" -B "$folder" -DCMAKE_COMPILE_WARNING_AS_ERROR=ON "$@"
    cmake --build "$folder" --parallel "$(nproc)"
}

passed=0
failed=0
logs=$PRELOOM_BUILD/test-logs

# step NAME SECONDS COMMAND...: runs it with a time limit and adds to the counts: what the command's last line says
# ('N passed, N failed', or ctest's sentence), else one.
step() {
    local name=$1 limit=$2 log status=0 begin=$SECONDS good=0 bad=0 line
    shift 2
    mkdir -p "$logs"
    log=$logs/step-${name//[^a-zA-Z0-9]/-}.log
    say "$name"
    # A function cannot be given to timeout: it runs in a shell of its own that reads this file again.
    if [ "$(type -t "$1")" = function ]; then
        set -- bash -c 'set -euo pipefail; . scripts/lib.sh; "$@"' - "$@"
    fi
    timeout --kill-after=10 "$limit" "$@" > "$log" 2>&1 || status=$?
    if line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1) && [ -n "$line" ]; then
        read -r good _ bad _ <<< "${line//,/}"
    elif line=$(grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -n 1) && [ -n "$line" ]; then
        bad=$(sed -E 's/.*passed, ([0-9]+) tests failed.*/\1/' <<< "$line")
        good=$(($(sed -E 's/.*out of ([0-9]+).*/\1/' <<< "$line") - bad))
    elif [ "$status" -eq 0 ]; then
        good=1
    fi
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        [ "$status" -eq 124 ] && echo "   stopped after $limit s"
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$bad" -ne 0 ]; then
        grep -E '^FAIL|error:|\(Failed\)|\(Timeout\)|must not' "$log" | head -n 40 || tail -n 30 "$log"
        echo "   log: ${log#"$top"/}"
    fi
    sed -n 's/^slowest/   &/p' "$log"
    echo "   $good passed, $bad failed, $((SECONDS - begin)) s"
    [ "$bad" -eq 0 ]
}

# finish: the last line, and the status.
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
