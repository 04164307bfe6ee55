# shellcheck shell=bash
#
# Real mounts for tests. Source tap.sh and servers.sh first, call mount_start right
# after harness_start, end with mount_end.
#
#   mount_start               folders of their own for cache, state and sockets
#   mount_home NAME           others, by that name: new ones are a cold cache
#   git_fs WORD...            the program under test, which may take a minute
#   mount_repo NAME URL [OPTION...]   mounts on $T/mnt/NAME; false if it fails
#   mount_point NAME          $T/mnt/NAME
#   mounted DIR               whether anything is mounted there; nothing touches it
#   mount_status NAME KEY     one value of `status --json`; "fetch.failed" for one in a group
#   mount_stop NAME...        unmounts, as a user would
#   mount_kill NAME           SIGKILL to the daemon
#   mount_logs                all lines of all daemons' logs
#   mount_end [REGEX]         tests that all unmounts, that no daemon is left, that the logs
#                             have no warning or error but those that match; and the plan
#   same_tree NAME DIR REPO COMMIT [OPTION...]   tests DIR against git's own objects;
#                             options as of tests/tools/compare-tree.py
#   inodes DIR                the number of each file, sorted by name
#   now_ms                    a clock
#   sanitized                 whether the program is built to run slowly
#   server_stall, server_go_on, server_down, server_up NAME   of servers.sh's servers:
#                             it stops to answer; it refuses connections
#
# mount_repo, mount_kill and the server_* remember process ids: call them in the test's
# own shell.

GIT_FS=$GIT_FS_BUILD/src/cli/git-fs
COMPARE_TREE=$TAP_LIB/../tools/compare-tree.py

mount_start() {
	mkdir -p "$T/mnt" "$T/out"
	mount_home first
}

mount_home() {
	export XDG_CACHE_HOME="$T/homes/$1/cache" XDG_STATE_HOME="$T/homes/$1/state"
	# Sockets lie beside each other, so that list and status know all mounts.
	export XDG_RUNTIME_DIR="$T/run"
	mkdir -p "$XDG_CACHE_HOME" "$XDG_STATE_HOME" "$XDG_RUNTIME_DIR"
	chmod 700 "$XDG_RUNTIME_DIR"
}

git_fs() {
	timeout -k 5 60 "$GIT_FS" "$@"
}

mount_point() {
	printf '%s\n' "$T/mnt/$1"
}

mount_repo() {
	local name=$1 url=$2 status=0

	shift 2
	mkdir -p "$T/mnt/$name"
	git_fs mount "$@" "$url" "$T/mnt/$name" >"$T/out/$name.out" 2>"$T/out/$name.err" ||
		status=$?
	if [ "$status" -ne 0 ]; then
		diag "git-fs mount $* $url: exit $status"
		diag "$(cat "$T/out/$name.out" "$T/out/$name.err")"
	fi
	return "$status"
}

mounted() {
	awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' /proc/self/mountinfo
}

# An exit code of 1 says that something is wrong with the mount: that is a value, too.
mount_status() {
	git_fs status --json "$T/mnt/$1" 2>/dev/null | python3 -c '
import json, sys
value = json.load(sys.stdin)
for part in sys.argv[1].split("."):
    value = value[part]
print({True: "yes", False: "no", None: ""}.get(value, value) if not isinstance(value, int)
      or isinstance(value, bool) else value)' "$2"
}

mount_stop() {
	local name

	for name in "$@"; do
		git_fs unmount "$T/mnt/$name" || return 1
	done
}

mount_kill() {
	local pid

	pid=$(mount_status "$1" pid) && [ "$pid" -gt 1 ] && kill -KILL "$pid" &&
		wait_for 10 process_gone "$pid"
}

process_gone() {
	! process_runs "$1"
}

mount_logs() {
	find "$T/homes" -path '*/git-fs/mounts/*/log' -exec cat {} +
}

# The daemons that this test has started, whoever is their parent now.
daemons() {
	local file name

	for file in /proc/[0-9]*/comm; do
		name=''
		{ read -r name <"$file"; } 2>/dev/null
		if [ "$name" = git-fs ] &&
			grep -qsazxF "HOME=$HOME" "${file%comm}environ" 2>/dev/null; then
			file=${file%/comm}
			process_runs "${file#/proc/}" && printf '%s\n' "${file#/proc/}"
		fi
	done
}

no_daemons() {
	[ -z "$(daemons)" ]
}

# What people would have to worry about, but for lines that match $1.
mount_complaints() {
	local lines

	lines=$(mount_logs | grep -aE '^[^ ]* (warn|error) |ERROR: |WARNING: |runtime error:|Sanitizer' ||
		true)
	if [ -n "${1:-}" ]; then
		lines=$(grep -avE "$1" <<<"$lines" || true)
	fi
	head -n 20 <<<"$lines"
}

mount_end() {
	local point left=''

	while IFS= read -r -d '' point; do
		git_fs unmount "$point" || left+=" $point"
	done < <(mounts_below)
	is 'everything was unmounted' "$left" ''
	ok 'no daemon is left' wait_for 20 no_daemons
	is 'the logs have no complaint' "$(mount_complaints "${1:-}")" ''
	done_testing
}

same_tree() {
	local name=$1

	shift
	ok "$name" timeout -k 5 120 python3 "$COMPARE_TREE" "$@"
}

inodes() {
	find "$1" -printf '%P\0%i\0' | sort -z --stable | tr '\0' '\n' | sha256sum
}

now_ms() {
	local now=${EPOCHREALTIME/[.,]/}

	printf '%s\n' $((now / 1000))
}

sanitized() {
	grep -qaE '__(asan|tsan)_init' "$GIT_FS"
}

signal_server() {
	local pid

	for pid in ${SERVER_PIDS[$1]}; do
		if process_runs "$pid"; then
			kill "-$2" -- "-$pid"
		fi
	done
}

server_stall() {
	signal_server "$1" STOP
}

server_go_on() {
	signal_server "$1" CONT
}

# The last of a server's processes is nginx; git's own part may stay.
server_down() {
	end_process "${SERVER_PIDS[$1]##* }"
}

server_up() {
	server_nginx "$1" "$T/servers/$1" "${SERVER_PORT[$1]}"
}
