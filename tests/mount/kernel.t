#!/bin/bash
# Without each mechanism of the kernel's FUSE that git-fs uses, a mount is the same.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/odd.git" || exit 1
repo=$T/repos/odd.git
server_start full
url=$(server_url full)/odd.git

# use NAME MECHANISM: as status tells it
use() {
	git_fs status --json "$T/mnt/$1" | python3 -c 'import json, sys
print(*[m["use"] for m in json.load(sys.stdin)["mechanisms"] if m["name"] == sys.argv[1]])' "$2"
}

# equal NAME OPTION...: mounted so, cold and with some of it cached, it equals the commit
equal() {
	local name=$1

	shift
	mount_home "$name"
	ok "$name: mounts" mount_repo "$name" "$url" "$@"
	same_tree "$name: equals the commit" "$T/mnt/$name" "$repo" main
	same_tree "$name: and once more" "$T/mnt/$name" "$repo" main
	not_ok "$name: an absent name is absent" test -e "$T/mnt/$name/absent"
	not_ok "$name: and stays so" test -e "$T/mnt/$name/absent"
	is "$name: a link has its target" "$(readlink "$T/mnt/$name/links/relative")" ../sizes/s4095
	is "$name: nothing failed" "$(mount_status "$name" requests.failed)" 0
}

mapfile -t names < <(sed -n 's/^\t\[MECH_[A-Z_]*\] = { "\([a-z_]*\)".*/\1/p' \
	"$CHECKOUT/src/fuse/kernel.c")
within 'the source names mechanisms' "${#names[@]}" 8 40
equal all
for name in "${names[@]}"; do
	like "all: $name is used or missing" "$(use all "$name")" '^(used|missing)$'
done
is 'status names these and no others' "$(git_fs status --json "$T/mnt/all" |
	grep -c '"use":')" "${#names[@]}"
mount_stop all
off=''
for name in "${names[@]}"; do
	equal "no_$name" -o "no_$name"
	like "no_$name: status says so" "$(use "no_$name" "$name")" '^off$'
	mount_stop "no_$name"
	off+=",no_$name"
done
equal none -o "${off#,}"
is 'none: status says so of each' "$(git_fs status --json "$T/mnt/none" |
	grep -c '"use": "off"')" "${#names[@]}"
equal one-worker -o workers=1
is 'one worker: status says so' "$(mount_status one-worker requests.workers)" 1
equal no-polling -o workers=3,poll_us=0

# What is switched off shows: each request that then comes is counted.
requests_of() {
	local before

	before=$(mount_status "$1" requests.total)
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		cat "$T/mnt/$1/modes/plain" >/dev/null
		test -e "$T/mnt/$1/absent"
	done
	echo $(($(mount_status "$1" requests.total) - before))
}
ok 'mounts with all' mount_repo all "$url"
requests_of all >/dev/null
within 'warm, with all mechanisms, no request is left' "$(requests_of all)" 0 6
requests_of none >/dev/null
within 'without any there are some' "$(requests_of none)" 10 1000

mount_end
