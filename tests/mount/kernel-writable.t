#!/bin/bash
# check-builds: release
# Without each mechanism of the kernel's FUSE that git-fs uses, a writable mount is the same
# (read-only ones: kernel.t): tests/tools/smoke.py changes a little of everything.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/odd.git" || exit 1
server_start full
url=$(server_url full)/odd.git
options=(--writable)
if [ "$(id -u)" -eq 0 ]; then
	options+=(--allow-other)
else
	skip posix-root 'set-id bits, and files of other users'
fi

# use NAME MECHANISM: as status tells it
use() {
	git_fs status --json "$T/mnt/$1" | python3 -c 'import json, sys
print(*[m["use"] for m in json.load(sys.stdin)["mechanisms"] if m["name"] == sys.argv[1]])' "$2"
}
smoke() {
	timeout -k 5 60 python3 "$CHECKOUT/tests/tools/smoke.py" "$@"
}
mapfile -t names < <(sed -n 's/^\t\[MECH_[A-Z_]*\] = { "\([a-z_]*\)".*/\1/p' \
	"$CHECKOUT/src/fuse/kernel.c")
within 'the source names mechanisms' "${#names[@]}" 8 40

# Each mount has an overlay of its own and the cache of the first.
# changes NAME TMPFILE OPTION...: the same is done, the same is there, and stays
changes() {
	local name=$1 tmpfile=$2

	shift 2
	ok "$name: mounts" mount_repo "$name" "$url" "${options[@]}" --overlay "$name" "$@"
	ok "$name: a little of everything" smoke change "$T/mnt/$name" "$tmpfile"
	smoke list "$T/mnt/$name" --still >"$T/out/$name.still"
	ok "$name: what is there then is what always is" diff "$T/out/all.still" "$T/out/$name.still"
	is "$name: nothing failed" "$(mount_status "$name" requests.failed)" 0
}
# stays NAME LIST_OPTION OPTION...: "" compares times and numbers as well
stays() {
	local name=$1 how=$2

	shift 2
	smoke list "$T/mnt/$name" ${how:+"$how"} >"$T/out/$name.list"
	ok "$name: unmounts" mount_stop "$name"
	ok "$name: and mounts" mount_repo "$name" "$url" "${options[@]}" --overlay "$name" "$@"
	smoke list "$T/mnt/$name" ${how:+"$how"} >"$T/out/$name.again"
	ok "$name: all is there" diff "$T/out/$name.list" "$T/out/$name.again"
	ok "$name: unmounts again" mount_stop "$name"
}

# The first one tells what there is afterwards; that it is right, the steps say.
ok 'mounts' mount_repo first "$url" "${options[@]}" --overlay first
tmpfile=$([ "$(use first tmpfile)" = used ] && echo yes || echo no)
ok 'a little of everything' smoke change "$T/mnt/first" "$tmpfile"
smoke list "$T/mnt/first" --still >"$T/out/all.still"
within 'there are files' "$(wc -l <"$T/out/all.still")" 2000 3000
for name in "${names[@]}"; do
	wanted='^(used|missing)$'
	[ "$name" != writeback ] || wanted='^unused$'
	like "$name is used" "$(use first "$name")" "$wanted"
done
ok 'unmounts' mount_stop first

off=''
for name in "${names[@]}"; do
	can=$tmpfile
	[ "$name" != tmpfile ] || can=no
	changes "no_$name" "$can" -o "no_$name"
	is "no_$name: status says so" "$(use "no_$name" "$name")" off
	like "no_$name: to people, too" "$(git_fs status "$T/mnt/no_$name")" "off:[a-z_ ]* $name"
	stays "no_$name" "" -o "no_$name"
	off+=",no_$name"
done
changes none no -o "${off#,}"
is 'none: status says so of each' "$(git_fs status --json "$T/mnt/none" |
	grep -c '"use": "off"')" "${#names[@]}"
stays none "" -o "${off#,}"
changes one-worker "$tmpfile" -o workers=1,poll_us=0
stays one-worker "" -o workers=1,poll_us=0
changes writeback "$tmpfile" -o writeback
# The kernel keeps times then, and does not tell each: writeback.t.
stays writeback --still -o writeback
mount_end
