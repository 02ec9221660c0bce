#!/bin/sh
# launcher.sh - tests of the preloom command.
#
# usage: launcher.sh PRELOOM    (the launcher, with libpreloom.so beside it or not)
# A copy of the launcher with an empty libpreloom.so beside it is tested, so that only the launcher counts.
# shellcheck disable=SC2016  # $LD_PRELOAD is for the shell that is started
set -u
[ $# -eq 1 ] || { echo "usage: $0 PRELOOM" >&2; exit 2; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/lib" "$dir/lib/preloom"
cp "$1" "$dir/bin/preloom"
p=$dir/bin/preloom
CC=${CC:-cc}
failed=0
unset LD_PRELOAD PRELOOM GOMAXPROCS

echo 'int preloom_is_here;' >"$dir/lib.c"
"$CC" -shared -fPIC -o "$dir/bin/libpreloom.so" "$dir/lib.c" || exit 1
"$CC" -shared -fPIC -o "$dir/other.so" "$dir/lib.c" || exit 1

# check NAME STATUS STDOUT STDERR-PATTERN COMMAND...: STDOUT exactly; '' as pattern means that stderr is empty
check()
{
	name=$1 status=$2 out=$3 err=$4
	shift 4
	timeout 20 "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	if [ "$got" -ne "$status" ]; then
		echo "FAIL $name: status $got, expected $status"
	elif [ "$(cat "$dir/out")" != "$out" ]; then
		echo "FAIL $name: output '$(cat "$dir/out")', expected '$out'"
	elif [ -z "$err" ] && [ -s "$dir/err" ]; then
		echo "FAIL $name: stderr '$(cat "$dir/err")'"
	elif [ -n "$err" ] && ! { [ "$(wc -l <"$dir/err")" -eq 1 ] && grep -q -- "$err" "$dir/err"; }; then
		echo "FAIL $name: stderr '$(cat "$dir/err")', expected one line '$err'"
	else
		echo "ok   $name"
		return
	fi
	failed=1
}

here=$(readlink -f "$dir")/bin/libpreloom.so
check 'preloads' 0 "$here" '' "$p" sh -c 'echo $LD_PRELOAD'
check 'run subcommand' 0 "$here" '' "$p" run -- sh -c 'echo $LD_PRELOAD'
check 'keeps LD_PRELOAD' 0 "$here:$dir/other.so" '' env LD_PRELOAD="$dir/other.so" "$p" sh -c 'echo $LD_PRELOAD'
check 'exit status' 37 '' '' "$p" sh -c 'exit 37'
check 'arguments' 0 'a b|-p|' '' "$p" printf '%s|' 'a b' -p
check 'GOMAXPROCS' 0 3 '' "$p" -p 3 sh -c 'echo $GOMAXPROCS'
check 'GOMAXPROCS, joined' 0 1024 '' "$p" -p1024 sh -c 'echo $GOMAXPROCS'
check 'options' 0 'a=1,b=2' '' env PRELOOM=a=1 "$p" -o b=2 sh -c 'echo $PRELOOM'
for bad in 0 1025 -1 2x '' 99999999999999999999; do
	check "-p '$bad'" 2 '' "^preloom: -p $bad: not a number from 1 to 1024" "$p" -p "$bad" true
done
check 'value missing' 2 '' 'value missing' "$p" -p
check 'unknown option' 2 '' 'unknown option' "$p" --frob true
check 'no program' 2 '' 'no program given' "$p"
check 'version' 0 "preloom $("$p" --version | cut -d' ' -f2)" '' "$p" --version
"$p" --help | grep -q '^usage: preloom' && echo 'ok   help' || { echo 'FAIL help'; failed=1; }

# Commands: done by preloom-inspect, beside the launcher or in libexec. A program of a command's name can be run.
cat >"$dir/inspect" <<'EOF'
#!/bin/sh
echo "inspect $*"
EOF
chmod 755 "$dir/inspect"
printf '#!/bin/sh\necho "program $*"\n' >"$dir/dump" && chmod 755 "$dir/dump"
check 'command without preloom-inspect' 126 '' '^preloom: dump: preloom-inspect not found' "$p" dump 1
cp "$dir/inspect" "$dir/bin/preloom-inspect"
check 'command' 0 'inspect 1 2' '' "$p" dump 1 2
mkdir -p "$dir/libexec/preloom" && mv "$dir/bin/preloom-inspect" "$dir/libexec/preloom/"
check 'command, installed' 0 'inspect 1' '' "$p" dump 1
check 'program named as a command, run' 0 'program x' '' env PATH="$dir:$PATH" "$p" run dump x
check 'program named as a command, --' 0 'program x' '' env PATH="$dir:$PATH" "$p" -- dump x
check 'program named as a command, path' 0 'program x' '' "$p" "$dir/dump" x
check 'help of an unknown command' 2 '' '^preloom: help frob: not a command' "$p" help frob
"$p" help dump | grep -q '^usage: preloom dump' && echo 'ok   help COMMAND' || { echo 'FAIL help COMMAND'; failed=1; }

check 'missing program' 127 '' "^preloom: no-such-program: not found" "$p" no-such-program
check 'missing path' 127 '' '^preloom: /no/such: not found' "$p" /no/such
: >"$dir/plain"
check 'not executable' 126 '' "^preloom: $dir/plain: Permission denied" "$p" "$dir/plain"
check 'directory' 126 '' "^preloom: $dir: Is a directory" "$p" "$dir"

# The launcher dies of its program's signal.
{ timeout 20 "$p" sh -c 'kill -TERM $$'; } 2>"$dir/err"
[ $? -eq 143 ] && echo 'ok   signal' || { echo 'FAIL signal'; failed=1; }
pid=$("$p" sh -c 'echo $$' & echo $! >"$dir/pid"; wait)
[ "$pid" = "$(cat "$dir/pid")" ] && echo 'ok   pid' || { echo 'FAIL pid'; failed=1; }

cat >"$dir/hello.c" <<'EOF'
#include <stdio.h>
#include <stdlib.h>
int main(void) { puts(getenv("LD_PRELOAD") ? "preloaded" : "plain"); return 5; }
EOF
"$CC" -o "$dir/hello" "$dir/hello.c" || exit 1
check 'dynamic program' 5 preloaded '' "$p" "$dir/hello"
"$CC" -static -o "$dir/static" "$dir/hello.c" || exit 1
check 'static program' 5 plain "^preloom: $dir/static: is statically linked; running it on kernel threads" "$p" "$dir/static"
"$CC" -static-pie -o "$dir/staticpie" "$dir/hello.c" || exit 1
check 'static-pie program' 5 plain 'is statically linked' "$p" "$dir/staticpie"
cp "$dir/hello" "$dir/suid" && chmod 4755 "$dir/suid"
check 'setuid program' 5 plain "^preloom: $dir/suid: is setuid; running it on kernel threads" "$p" "$dir/suid"
cp "$dir/hello" "$dir/sgid" && chmod 2755 "$dir/sgid"
check 'setgid program' 5 plain 'is setgid' "$p" "$dir/sgid"
if "$CC" -fsanitize=address -o "$dir/asan" "$dir/hello.c" 2>"$dir/err"; then
	check 'sanitizer build' 5 plain 'is built with a sanitizer' "$p" "$dir/asan"
fi
printf '.section .note.go.buildid,"a",@note\n.long 4, 4, 4\n.ascii "Go\\0\\0test"\n.section .note.GNU-stack,"",@progbits\n' >"$dir/note.s"
"$CC" -o "$dir/go" "$dir/hello.c" "$dir/note.s" || exit 1
check 'Go program' 5 plain "^preloom: $dir/go: is a Go program; running it on kernel threads" "$p" "$dir/go"

# An ELF header alone is enough to see the class; the kernel may or may not run the file.
head -c 64 "$dir/hello" >"$dir/elf32"
printf '\001' | dd of="$dir/elf32" bs=1 seek=4 conv=notrunc 2>"$dir/err"
printf '\003\000' | dd of="$dir/elf32" bs=1 seek=18 conv=notrunc 2>"$dir/err"
chmod 755 "$dir/elf32"
"$p" "$dir/elf32" 2>"$dir/err"
status=$?
if [ $status -eq 126 ] && grep -q "^preloom: $dir/elf32: is a 32-bit program; running it on kernel threads" "$dir/err"; then
	echo 'ok   32-bit program'
else
	echo "FAIL 32-bit program: status $status, '$(cat "$dir/err")'"
	failed=1
fi
cp "$dir/hello" "$dir/arm" && printf '\267\000' | dd of="$dir/arm" bs=1 seek=18 conv=notrunc 2>"$dir/err"
"$p" "$dir/arm" 2>"$dir/err"
grep -q "^preloom: $dir/arm: is for another architecture" "$dir/err" && echo 'ok   other architecture' ||
	{ echo "FAIL other architecture: '$(cat "$dir/err")'"; failed=1; }
head -c 40 "$dir/hello" >"$dir/short" && chmod 755 "$dir/short"
"$p" "$dir/short" 2>"$dir/err"
[ $? -eq 126 ] && echo 'ok   truncated file' || { echo 'FAIL truncated file'; failed=1; }

printf '#!/bin/sh\necho "script $1 ${LD_PRELOAD:+preloaded}"\n' >"$dir/script" && chmod 755 "$dir/script"
check 'script' 0 'script x preloaded' '' "$p" "$dir/script" x
check 'script in PATH' 0 'script y preloaded' '' env PATH="$dir:$PATH" "$p" script y
printf '#! %s arg\n' "$dir/static" >"$dir/script2" && chmod 755 "$dir/script2"
check 'script of a static interpreter' 5 plain 'is statically linked' "$p" "$dir/script2"
printf '#!%s\n' "$dir/script2" >"$dir/script3" && chmod 755 "$dir/script3"
check 'script of a script' 5 plain 'is statically linked' "$p" "$dir/script3"
printf 'echo shell\n' >"$dir/script4" && chmod 755 "$dir/script4"
check 'script without #!' 0 shell '' "$p" "$dir/script4"
printf '#!/no/such/interpreter\n' >"$dir/script5" && chmod 755 "$dir/script5"
check 'missing interpreter' 127 '' 'its interpreter was not found' "$p" "$dir/script5"

# Installed: bin/preloom with lib/libpreloom.so or lib/preloom/libpreloom.so.
mv "$dir/bin/libpreloom.so" "$dir/lib/preloom/libpreloom.so"
check 'lib/preloom' 0 "$(readlink -f "$dir")/lib/preloom/libpreloom.so" '' "$p" sh -c 'echo $LD_PRELOAD'
if unshare -m true 2>"$dir/err"; then
	check 'without /proc' 0 "$(readlink -f "$dir")/lib/preloom/libpreloom.so" '' \
		unshare -m sh -c 'mount -t tmpfs none /proc && exec "$0" sh -c "echo \$LD_PRELOAD"' "$p"
fi
mv "$dir/lib/preloom/libpreloom.so" "$dir/lib/libpreloom.so"
check 'lib' 0 "$(readlink -f "$dir")/lib/libpreloom.so" '' "$p" sh -c 'echo $LD_PRELOAD'
rm "$dir/lib/libpreloom.so"
check 'no library' 0 '' 'libpreloom.so not found' "$p" sh -c 'echo $LD_PRELOAD'

exit $failed
