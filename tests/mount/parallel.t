#!/bin/bash
# Many readers at once, of one mount and of several that share a cache.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" redis
repo=$T/repos/redis.git
server_start full
server_start sizeless --no-object-info
url=$(server_url full)/redis.git
some=$(git -C "$repo" ls-tree -r --name-only HEAD | sed -n 9p)

git clone -q "$repo" "$T/clone"
rm -rf "$T/clone/.git"
# sums DIR ORDER: of all files, read in that order
sums() {
	(cd "$1" && find . -type f -print0 | "$2" | xargs -0 sha256sum | LC_ALL=C sort)
}
forwards() {
	sort -z
}
backwards() {
	sort -zr
}
at_random() {
	shuf -z
}
orders=(forwards backwards at_random cat)
wanted=$(sums "$T/clone" cat | sha256sum)

# readers COUNT DIR...: so many at once, over the folders in turn; prints how many were right
readers() {
	local count=$1 i pids=() dirs right=0

	shift
	dirs=("$@")
	for ((i = 0; i < count; i++)); do
		sums "${dirs[i % ${#dirs[@]}]}" "${orders[i % 4]}" 2>"$T/out/reader$i.err" |
			sha256sum >"$T/out/reader$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
	for ((i = 0; i < count; i++)); do
		if [ "$(cat "$T/out/reader$i")" = "$wanted" ]; then
			right=$((right + 1))
		else
			diag "reader $i: $(head -n 3 "$T/out/reader$i.err")"
		fi
	done
	printf '%s\n' "$right"
}

mount_home cold
ok 'mounts' mount_repo cold "$url"
is 'sixteen readers of a cold mount all get the right bytes' "$(readers 16 "$T/mnt/cold")" 16
files=$(git -C "$repo" ls-tree -r -t HEAD | awk '{ print $3 }' | sort -u | wc -l)
within 'each object came about once' "$(mount_status cold fetch.objects)" \
	"$files" $((files + files / 10 + 20))
is 'sixteen readers of a warm one, too' "$(readers 16 "$T/mnt/cold")" 16
is 'nothing failed' "$(mount_status cold requests.failed)" 0

mount_home sizeless
ok 'mounts, without object-info' mount_repo sizeless "$(server_url sizeless)/redis.git"
is 'sixteen readers there' "$(readers 16 "$T/mnt/sizeless")" 16

# Two that fill one cache at the same time.
mount_home shared
ok 'one mounts' mount_repo one "$url"
ok 'another of the same repository mounts' mount_repo two "$url"
is 'eight readers over both' "$(readers 8 "$T/mnt/one" "$T/mnt/two")" 8
is 'their cache is one' "$(mount_status one store.folder)" "$(mount_status two store.folder)"
ok 'one goes' mount_stop one
ok 'the other still reads' cmp "$T/mnt/two/$some" "$T/clone/$some"

server_log_reset full
ok 'a third mounts' mount_repo three "$url"
is 'it reads all of it' "$(readers 1 "$T/mnt/three")" 1
within 'and asked the server for the ref and nothing else' "$(server_requests full)" 1 2
within 'which took few bytes' "$(server_sent full)" 1 4096
is 'by its own words, too' "$(mount_status three fetch.objects)" 0
ok 'both unmount' mount_stop two three

# Several commands at once.
mount_home once
pids=()
for i in 1 2 3 4 5 6 7 8; do
	mount_repo "once$i" "$url" &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
is 'eight mount at the same time with one cold cache' "$failed" 0
is 'and eight readers get the right bytes' "$(readers 8 "$T"/mnt/once[1-8])" 8

# One folder can have one mount.
mkdir -p "$T/mnt/race"
pids=()
for i in 1 2 3 4 5 6; do
	mount_repo race "$url" 2>/dev/null &
	pids+=($!)
done
won=0
for pid in "${pids[@]}"; do
	wait "$pid" && won=$((won + 1))
done
is 'of six that mount on one folder, one succeeds' "$won" 1
is 'there is one mount on it' \
	"$(awk -v dir="$T/mnt/race" '$5 == dir' /proc/self/mountinfo | wc -l)" 1
is 'and it reads well' "$(readers 1 "$T/mnt/race")" 1

mount_end
