#!/bin/bash
# The server goes away, stalls, and comes back, under a mount and before one.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" redis
repo=$T/repos/redis.git
server_start full
url=$(server_url full)/redis.git
# One file of each folder, as what lies beside a file that is read may come along.
mapfile -t files < <(git -C "$repo" ls-tree -r -l HEAD | awk '$1 ~ /^1006/ && $4 > 100 && !oids[$3]++ {
	folder = $5
	sub("[^/]*$", "", folder)
	if (!folders[folder]++)
		print $5
}')
elsewhere=${files[21]}

# equals FILE: what the mount shows of it is what git has
equals() {
	cmp "$top/$1" <(git -C "$repo" show "HEAD:$1")
}
trees_are_here() {
	[ "$(mount_status here fetch.trees_complete)" = yes ]
}

ok 'mounts' mount_repo here "$url" --timeout 3
top=$T/mnt/here
ok 'the folders come' wait_for 20 trees_are_here
ok 'a file is read' equals "${files[1]}"
ok 'status is content' git_fs status "$top"

server_down full
ok 'the server gone: a file that is here can be read' equals "${files[1]}"
is 'names can be listed' "$(find "$top" -mindepth 1 | wc -l)" \
	"$(git -C "$repo" ls-tree -r -t --name-only HEAD | wc -l)"
start=$(now_ms)
like 'another file is an I/O error' "$(cat "$top/${files[20]}" 2>&1)" 'Input/output error'
within 'soon' $(($(now_ms) - start)) 0 4000
like 'a size that is not known, too' "$(stat "$top/$elsewhere" 2>&1)" 'Input/output error'
not_ok 'status is not content' git_fs status "$top"
is 'it says so' "$(mount_status here state)" failing
like 'and why' "$(mount_status here problem)" '127.0.0.1|connect|refused'
like 'the log has a line that names the file' "$(mount_logs)" "warn fuse event=failed .*path=/${files[20]}"

server_up full
ok 'the server back: the same file is read' equals "${files[20]}"
ok 'and the one without a size' equals "$elsewhere"
is 'and all is well again' "$(mount_status here state)" ok
same_tree 'all is there' "$top" "$repo" HEAD

# A server that accepts and says nothing: given up after --timeout.
mount_home stalled
ok 'mounts, with nothing cached' mount_repo stalled "$url" --timeout 3
top=$T/mnt/stalled
server_stall full
start=$(now_ms)
like 'a stalled server is given up' "$(timeout 30 cat "$top/${files[30]}" 2>&1)" 'Input/output error'
within 'after the time-out' $(($(now_ms) - start)) 2500 12000
server_go_on full
ok 'when it goes on, the file is read' wait_for 20 equals "${files[30]}"
ok 'it unmounts' mount_stop stalled

# With a cache a mount comes up offline and says so; without one it fails.
server_down full
mount_home first
ok 'it unmounts without the server, too' mount_stop here
ok 'mounts offline' mount_repo here "$url" --timeout 3
top=$T/mnt/here
like 'and says so' "$(cat "$T/out/here.out")" 'offline'
is 'status says so, too' "$(mount_status here offline)" yes
same_tree 'what was read before is all there' "$top" "$repo" HEAD
ok 'it unmounts' mount_stop here
mount_home nothing
mkdir -p "$T/mnt/nothing"
git_fs mount --timeout 3 "$url" "$T/mnt/nothing" >"$T/out/stdout" 2>"$T/out/words"
is 'without a cache it does not mount' $? 1
like 'and says why' "$(tail -n 1 "$T/out/words")" '^git-fs: .*(refused|connect|reach)'
not_ok 'nothing is mounted' mounted "$T/mnt/nothing"
mount_home first
git_fs mount --ref nonesuch --timeout 3 "$url" "$T/mnt/nothing" >"$T/out/stdout" 2>"$T/out/words"
is 'nor does a ref that was never asked for' $? 1

# What the server has no more is an error of that file alone.
server_up full
mount_home gone
cp -R "$repo" "$T/repos/gone.git"
server_start sizeless --no-object-info
gone=$(server_url sizeless)/gone.git
ok 'mounts' mount_repo gone "$gone"
top=$T/mnt/gone
ok 'a file is read' equals "${files[1]}"
mv "$T/repos/gone.git" "$T/repos/gone-for-now.git"
like 'the repository gone: an I/O error' "$(cat "$top/${files[40]}" 2>&1)" 'Input/output error'
mv "$T/repos/gone-for-now.git" "$T/repos/gone.git"
ok 'the repository back: it is read' equals "${files[40]}"

mount_end 'event=failed op=(read|getattr|lookup) .*reason='
