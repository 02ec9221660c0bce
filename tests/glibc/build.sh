# build.sh: downloads glibc's source package and builds programs of its tests; for scripts/test-glibc, which sources it after
# lib.sh. glibc's support library for tests is built once, a test when it is asked for.
# shellcheck shell=bash disable=SC2154

source=$PRELOOM_BUILD/glibc-src/glibc
work=$PRELOOM_BUILD/glibc-tests
folder=$logs/glibc

# The source package, from the archives that the machine has its packages from, with an index and a cache of apt's in the
# build tree. A repository without sources is no error here.
fetch_source() {
    local apt=${source%/*}/apt file options
    mkdir -p "$apt"/{sources,lists/partial,cache/archives/partial}
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
        [ ! -f "$file" ] || sed -E '/^deb-src\s/d; s/^deb(\s)/deb-src\1/; s/^Types:.*/Types: deb-src/' "$file" \
            > "$apt/sources/${file##*/}"
    done
    options=(-q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources" -o Dir::State::Lists="$apt/lists"
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update || true
    (cd "$apt" && rm -f glibc_* && apt-get "${options[@]}" source --download-only glibc)
    rm -rf "$apt/new"
    dpkg-source --no-check --extract "$apt"/glibc_*.dsc "$apt/new"
    mv "$apt/new" "$source"
}

# at_once COMMAND ITEM...: $workers at a time.
at_once() {
    local command=$1 item
    shift
    for item in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge "$workers" ]; do
            wait -n || true
        done
        "$command" "$item" &
    done
    wait
}

compile() {
    gcc -g -O2 -w -std=gnu11 -fgnu89-inline -D_GNU_SOURCE -DMODULE_NAME=testsuite -include tests/glibc/prelude.h \
        -Itests/glibc -I"$work/include" "$@"
}

build_support() {
    compile -I"$source/support" -c "$1" -o "$work/support/$(basename "$1" .c).o" 2> /dev/null || true
}

# build_test FILE: a program, or a library that tests load.
build_test() {
    local name=${1##*/} in=${1%/*} out log d include=() extra=()
    name=${name%.c}
    in=${in#"$source/"}
    out=$work/$in/$name
    log=$folder/${in//\//_}.$name.build.log
    for d in '' /sysdeps/pthread /nptl /sysdeps/nptl /sysdeps/unix/sysv/linux /sysdeps/x86/nptl /signal /rt /elf; do
        include+=(-idirafter "$source$d")
    done
    mkdir -p "$work/$in"
    case $name in
    tst-oncey*) extra=(-fno-exceptions -fno-asynchronous-unwind-tables) ;;
    tst-cancelx* | tst-cleanupx* | tst-oncex*) extra=(-fexceptions) ;;
    *mod | *mod[0-9] | *mod[a-f]) extra=(-fPIC -shared) && out+=.so ;;
    esac
    [ "$out" -nt "$1" ] ||
        compile "${include[@]}" "${extra[@]}" "$1" -rdynamic -o "$out" "$work/libsupport.a" -lm 2> "$log" || true
}

# prepare: the source and the support library, if they are not there.
prepare() {
    local files
    mkdir -p "$folder" "$work"/{include,support}
    if [ ! -d "$source" ]; then
        say "downloading glibc's source package"
        fetch_source > "$folder/download.log" 2>&1 || { tail -n 5 "$folder/download.log" && exit 1; }
    fi
    [ ! -f "$work/libsupport.a" ] || return 0
    say "building its support library"
    ln -sfn "$source"/{support,include/{array_length,intprops,libc-diag}.h} \
        "$source"/sysdeps/{generic/{mremap-failure,tst-stack-align},x86_64/{stackguard-macros,nptl/pthreaddef}}.h "$work/include"
    mapfile -t files < <(find "$source/support" -name '*.c' |
        grep -vE '/(tst-|test-|links-dso|.*-time64|[a-z]*-container|.*_nosupport)')
    at_once build_support "${files[@]}"
    ar rcs "$work/libsupport.a" "$work"/support/*.o
}
