#!/bin/bash
# check-builds: release
# long-limit-s: 4500
# The model test of writable mounts: tests/tools/fsmodel does random operations on a mount
# and on a twin, a clone on this disk, and both have to answer and to look the same, after
# each batch, after unmounting, and after SIGKILL to the daemon. Every operation has to
# have met every state that an object can be in. A minute; an hour in the long runs.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
umask 022
fsmodel=$GIT_FS_BUILD/tests/tools/fsmodel
table=$T/table
actors=9
seed=${GIT_FS_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
diag "GIT_FS_TEST_SEED=$seed"
# How many batches fit into a round depends on the machine: these are what a run prints.
read -ra wanted_batches <<<"${GIT_FS_TEST_BATCHES:-}"
batches=()

# For each actor folders three deep, files around the sizes where something changes, names
# that .gitignore matches, links, executables, and gitlinks.
cat >"$T/make.py" <<'PY'
import random, sys
random.seed(20230101)
out = sys.stdout.buffer
SIZES = [0, 1, 100, 3000, 4095, 4096, 4097, 8000, 20000, 32767, 32768, 32769, 40000, 65536,
         70000, 131073, 300000]

def line(text):
    out.write(text.encode() + b"\n")

def data(content):
    line(f"data {len(content)}")
    out.write(content + b"\n")

def file(mode, path, content):
    line(f"M {mode} inline {path}")
    data(content)

line("commit refs/heads/main\ncommitter A Person <a@example.org> 1700000000 +0000")
data(b"What a model starts with")
file("100644", ".gitignore", b"*.o\n")
for actor in range(int(sys.argv[1])):
    top = f"a{actor:02}"
    for i in range(7):
        for j in range(4):
            folder = f"{top}/d{i}/s{j}" + (".o" if (i + j) % 5 == 0 else "")
            for name in ("f0.c", "f1.txt", "f2.o"):
                mode = "100755" if random.randrange(4) == 0 else "100644"
                file(mode, f"{folder}/{name}", random.randbytes(random.choice(SIZES)))
            # Nothing goes up: moved, it could lead out of the mount, where its twin is elsewhere.
            file("120000", f"{folder}/link", b"f0.c")
        file("120000", f"{top}/d{i}/link.o", b"nowhere/" * (1 + i * 20))
    for i in range(8):
        line(f"M 160000 {random.getrandbits(160):040x} {top}/sub{i}")
    for i in range(3):
        file("100644", f"common/{top}-base{i}", random.randbytes(random.choice(SIZES)))
PY
repo=$T/repos/model.git
init_bare "$repo"
python3 "$T/make.py" "$actors" | git -C "$repo" fast-import --quiet || exit 1
server_start full
url=$(server_url full)/model.git
submodules=()
while IFS= read -r path; do
	submodules+=(--submodule "$path")
done < <(git -C "$repo" ls-tree -r HEAD | sed -n 's/^160000[^\t]*\t//p')

# twin NAME: $T/NAME, as git checks it out
twin() {
	git clone -q "$repo" "$T/$1" 2>/dev/null && rm -rf "$T/$1/.git"
}

# That it can fail: two folders of this disk, and what differs between them is told.
noticed() {
	local what=$1

	shift
	rm -rf "$T/pair" "$T/pair.state"
	cp -a "$T/plain" "$T/pair"
	(cd "$T/pair/a00/d1/s1" && eval "$*") || fail "$what: cannot be made"
	not_ok "the program notices $what" \
		"$fsmodel" --compare --all --state "$T/pair.state" "$T/pair" "$T/plain"
}
ok 'a clone' twin plain
ln "$T/plain/a00/d1/s1/f0.c" "$T/plain/a00/d1/s1/linked"
touch -d @1000000000.123456789 "$T/plain/a00/d1/s1/f0.c"
head -c 5000 /dev/zero >"$T/plain/a00/d1/s1/f1.txt"
noticed 'a wrong byte' 'printf x | dd of=f1.txt bs=1 seek=4999 conv=notrunc status=none'
noticed 'a wrong size' 'truncate -s +1 f1.txt'
noticed 'a wrong mode' 'chmod 0640 f1.txt'
noticed 'a set-id bit' 'chmod u+s f1.txt'
noticed 'a name too many' 'mkdir more'
noticed 'a name too few' 'rm f2.o'
noticed 'another target' 'ln -sfn elsewhere link'
noticed 'a link that is a copy' 'cp -a --remove-destination f0.c linked'
noticed 'a time that was set' 'touch -d @1000000000.123456788 f0.c'
rm -rf "$T/pair" "$T/pair.state"
cp -a "$T/plain" "$T/pair"
not_ok 'the program notices a submodule that can be written' "$fsmodel" --batches 1 \
	"${submodules[@]}" --state "$T/pair.state" --table "$T/pair.table" "$T/pair" "$T/plain"
not_ok 'and a table with empty cells' "$fsmodel" --show --table "$T/pair.table"
rm -rf "$T/pair" "$T/pair.state" "$T/plain"
ok 'two clones' eval 'twin pair && twin plain'
ok 'are the same to it' "$fsmodel" --seconds 2 --seed "$seed" --state "$T/pair.state" \
	--table "$T/pair.table" "$T/pair" "$T/plain"
rm -rf "$T/pair" "$T/plain"

# round NAME SECONDS: operations; false if there was a difference
rounds=0
round() {
	local status=0 many=(--seconds "$2")

	if [ -n "${wanted_batches[rounds]:-}" ]; then
		many=(--batches "${wanted_batches[rounds]}")
	fi
	rounds=$((rounds + 1))
	timeout -k 5 $(($2 + 400)) "$fsmodel" --seed $((seed + rounds)) "${many[@]}" \
		--batch 200 "${submodules[@]}" "${xattr[@]}" --state "$T/state" --table "$table" \
		"$T/mnt/model" "$T/twin" >"$T/out/round" 2>&1 || status=$?
	diag "round $rounds: $(tail -n 1 "$T/out/round")"
	batches+=("$(sed -n 's/.* in \([0-9]*\) batches$/\1/p' "$T/out/round")")
	ok "$1" [ "$status" -eq 0 ]
	[ "$status" -eq 0 ] || diag "$(head -n 120 "$T/out/round")"
	return "$status"
}
# must NAME COMMAND...: as ok, and false if it failed
must() {
	local before=$TAP_FAILED

	ok "$@"
	[ "$TAP_FAILED" -eq "$before" ]
}
same() {
	local name=$1

	shift
	must "$name" timeout -k 5 400 "$fsmodel" --compare "$@" "${xattr[@]}" --state "$T/state" \
		"$T/mnt/model" "$T/twin"
}
# What a remount must not change, though the twin cannot tell: numbers, and all times. The
# links of a folder are known once it has been listed, and are 1 before that.
looks() {
	local words='%p %y %i %m %U:%G %s %T@ %C@'

	(cd "$T/mnt/model" && find . -type d -printf "$words\n" -o -printf "$words %n\n") |
		sort >"$T/out/looks.$1"
}
mounts() {
	must "$1" mount_repo model "$url" --writable "${options[@]}"
}

# cycle NUMBER SECONDS: on a cold cache, with an overlay of its own; the second of three with
# extended attributes, the third, which long runs come to, with the kernel's writeback. After
# a difference the trees are of no more use, so it ends there.
cycle() {
	local part=$(($2 / 3))

	options=() xattr=()
	case $(($1 % 3)) in
	2) options=(-o xattr) xattr=(--xattr) ;;
	0) options=(-o writeback) ;;
	esac
	rm -rf "$T/twin" "$T/state"
	twin twin || return 1
	mount_home "cycle$1"
	mounts "cycle $1: mounts" || return 1
	round "cycle $1: from nothing fetched, no difference" "$part" || return 1
	looks before
	must "cycle $1: it unmounts" mount_stop model || return 1
	mounts "cycle $1: and mounts" || return 1
	looks after
	must "cycle $1: numbers and times have not changed" diff "$T/out/looks.before" \
		"$T/out/looks.after" || return 1
	same "cycle $1: it is the same after that" || return 1
	round "cycle $1: and no difference" "$part" || return 1
	looks before
	must "cycle $1: the daemon is killed" mount_kill model || return 1
	mounts "cycle $1: it mounts over the dead mount" || return 1
	looks after
	must "cycle $1: nor have they after that" diff "$T/out/looks.before" \
		"$T/out/looks.after" || return 1
	same "cycle $1: nothing is missing" || return 1
	round "cycle $1: and no difference, again" "$part" || return 1
	mkdir "$T/mnt/model/shared"
	must "cycle $1: many on one file and in one folder" timeout -k 5 $((part / 2 + 100)) \
		"$fsmodel" --shared --seed "$seed" --seconds $((part / 2 + 1)) \
		"$T/mnt/model/shared" || return 1
	rm -r "$T/mnt/model/shared"
	must "cycle $1: the daemon is killed once more" mount_kill model || return 1
	mounts "cycle $1: it mounts" || return 1
	same "cycle $1: all contents are the same" --all || return 1
	must "cycle $1: unmounts" mount_stop model || return 1
	rm -rf "$T/homes/cycle$1/cache"
}

# An hour where everything else is as users have it; sanitizers look at other things.
if [ -z "${GIT_FS_LONG:-}" ]; then
	total=30 each=15
elif sanitized; then
	total=600 each=120
else
	total=3600 each=150
fi
end=$((SECONDS + total))
for ((number = 1; number <= 2 || SECONDS < end; number++)); do
	if ! cycle "$number" "$each"; then
		diag "again: GIT_FS_TEST_SEED=$seed GIT_FS_TEST_BATCHES='${batches[*]}'"
		break
	fi
done
status=0
"$fsmodel" --show --table "$table" >"$T/out/table" || status=$?
diag "$(cat "$T/out/table")"
ok 'every operation met every state' [ "$status" -eq 0 ]

mount_end
