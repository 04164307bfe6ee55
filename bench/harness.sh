#!/bin/bash
# Repositories and servers for bench/run, by the harness of the tests.
#
#   bench/harness.sh RTT... -- REPO...    REPO: redis, git, or the path of a bare one
#
# Serves all of them over HTTP at each round-trip time (in ms; 0: no delay), says
#   folder DIR, env NAME=VALUE, server RTT URL, and in the end: ready
# on stdout, then answers the lines of stdin
#   reset RTT     ok, when the server's log is empty
#   count RTT     REQUESTS BYTES, those that it answered and sent since then
# and takes everything away, mounts too, when stdin ends.
# No -e: it would cut the harness's own cleaning short where a process ends by a signal.
set -uo pipefail

lib=$(dirname "${BASH_SOURCE[0]}")/../tests/lib
# shellcheck source=../tests/lib/tap.sh
. "$lib/tap.sh"
# shellcheck source=../tests/lib/servers.sh
. "$lib/servers.sh"
# shellcheck source=../tests/lib/repos.sh
. "$lib/repos.sh"

harness_start
mkdir -m 700 "$T/run" || exit
export XDG_RUNTIME_DIR="$T/run"

rtts=()
while [ "$1" != -- ]; do
	rtts+=("$1")
	shift
done
shift
for repo in "$@"; do
	case $repo in
	/*) ln -s "$repo" "$T/repos/" ;;
	*) sample_repo "$T/repos" "$repo" ;;
	esac || exit
done
echo "folder $T"
for name in HOME GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL GIT_TERMINAL_PROMPT \
	XDG_CACHE_HOME XDG_STATE_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR; do
	echo "env $name=${!name}"
done
for rtt in "${rtts[@]}"; do
	if [ "$rtt" = 0 ]; then
		server_start "$rtt" || exit
	else
		server_start "$rtt" --rtt "$rtt" || exit
	fi
	echo "server $rtt $(server_url "$rtt")"
done
echo ready

while read -r word name; do
	case $word in
	reset) server_log_reset "$name" && echo ok ;;
	count) server_log "$name" | awk '{ sent += $4 } END { print NR, sent + 0 }' ;;
	esac
done
