#!/bin/bash
# Connections: kept open, shared by threads up to a number, packed, and opened again
# where the server was gone.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
server_start full
make_odd_repo "$T/repos/odd.git"
make_odd_repo "$T/repos/odd256.git" sha256

# How many connections the requests in the log came by.
connections() {
	server_log full | cut -d ' ' -f 6 | sort -u | wc -l
}

# probe_start URL COMMAND...: a probe in the background, which pauses; its output is in
# $T/session
probe_start() {
	rm -rf "$T/out" "$T/commands"
	mkfifo "$T/commands"
	"$GIT_FS_BUILD/tests/tools/gitprobe" --out "$T/out" "$@" <"$T/commands" >"$T/session" 2>&1 &
	session=$!
	harness_adopt "$session"
	exec 9>"$T/commands"
}

paused() {
	[ "$(grep -c '^paused$' "$T/session")" -ge "$1" ]
}

# Until it paused for the Nth time.
probe_pauses() {
	wait_for 30 paused "$1" || diag "no pause: $(cat "$T/session")"
}

probe_goes_on() {
	printf '\n' >&9
}

# Its end: $OUT and $STATUS as of probe.
probe_ends() {
	exec 9>&-
	STATUS=0
	wait "$session" || STATUS=$?
	probe_parse "$(cat "$T/session")"
}

# The nginx of a server: stops, and comes back on its port.
nginx_stops() {
	end_process "${SERVER_PIDS[$1]##* }"
}
nginx_starts() {
	server_nginx "$1" "$T/servers/$1" "${SERVER_PORT[$1]}" || diag 'nginx does not come back'
}

# nginx_limits NAME RATE: restarts it, to send so many bytes a second (which it can do
# only with what it buffers); 0 is no limit
nginx_limits() {
	local conf=$T/servers/$1/nginx.conf

	sed -i "s/fastcgi_buffering .*/fastcgi_buffering on; limit_rate $2;/" "$conf"
	nginx_stops "$1"
	nginx_starts "$1"
}

mapfile -t ids < <(repo_git odd ls-tree --format='%(objectname)' main:many)
printf '%s\n' "${ids[@]}" >"$T/ids"
objects_of "$T/repos/odd.git" "$T/wanted" <"$T/ids"

# --- kept open ---
commands=()
for id in "${ids[@]:0:20}"; do
	commands+=(fetch "$id" ';')
done
server_log_reset full
probe "$(server_url full)/odd.git" "${commands[@]}" traffic
is '20 fetches: all come' "$(grep -c ' blob ' <<<"$OUT")" 20
is '20 requests' "$(server_requests full)" 20
is 'by one connection' "$(connections)" 1
like 'which is open at the end' "$OUT" "connections 1$"
server_log_reset full
probe "$(server_url full)/odd.git" resolve HEAD ';' fetch "${ids[0]}" \
	"$(printf none | sha1sum | cut -d ' ' -f 1)" ';' list tip 1 ';' sizes "${ids[0]}"
is 'refusals are words, not the end of a connection' "$(connections)" 1
probe "$T/repos/odd.git" "${commands[@]}" traffic
is 'local: one child serves them all' "$REQUESTS" 21

# --- shared ---
for most in 1 2 4; do
	server_log_reset full
	probe --connections "$most" "$(server_url full)/odd.git" spread 8 "@$T/ids"
	is "8 threads, $most connections: exit code" "$STATUS" 0
	same_objects "8 threads, $most connections: all come" "$T/wanted"
	within "8 threads, $most connections: no more" "$(connections)" 1 "$most"
	probe --connections "$most" "$T/repos/odd.git" spread 8 "@$T/ids"
	same_objects "8 threads, $most children: all come" "$T/wanted"
done

# --- packed ---
# A want of sha1 has 50 bytes on the wire, one of sha256 has 74.
server_log_reset full
probe "$(server_url full)/odd.git" fetch "${ids[@]:0:500}"
within '500 ids are sent packed' "$(server_received full)" 5000 $((500 * 50 * 7 / 10))
within 'which is what was counted' "$(($(server_received full) - SENT))" 100 600
repo_git odd256 ls-tree --format='%(objectname)' main:many | head -n 500 >"$T/ids256"
server_log_reset full
probe "$(server_url full)/odd256.git" fetch "@$T/ids256"
is '500 ids of sha256: all come' "${OUT##*$'\n'}" 'missing 0'
within '500 ids of sha256 are sent packed' "$SENT" 5000 $((500 * 74 * 7 / 10))

# --- closed while idle ---
probe_start "$(server_url full)/odd.git" resolve main ';' pause ';' resolve main ';' list tip 1
probe_pauses 1
nginx_stops full
nginx_starts full
probe_goes_on
probe_ends
is 'a server that was restarted meanwhile: no error' "$STATUS" 0
is 'and all answers' "$(grep -c -e '^ref ' -e ' commit ' -e ' tree ' <<<"$OUT")" 4

probe_start "$T/repos/odd.git" resolve main ';' pause ';' fetch "${ids[0]}"
probe_pauses 1
child=$(ps -o pid= --ppid "$session")
kill -KILL "${child// /}"
probe_goes_on
probe_ends
is 'local: a child that died meanwhile: no error' "$STATUS ${OUT##*$'\n'}" '0 missing 0'

# --- gone, and back ---
probe_start "$(server_url full)/odd.git" resolve main ';' pause ';' resolve main ';' \
	fetch "${ids[0]}" ';' pause ';' resolve main ';' fetch "${ids[0]}"
probe_pauses 1
nginx_stops full
probe_goes_on
probe_pauses 2
nginx_starts full
probe_goes_on
probe_ends
mapfile -t lines <<<"$OUT"
like 'a server that is gone: words' "${lines[2]}" \
	'^error EHOSTUNREACH http://127.0.0.1:[0-9]*/odd.git: .*(refused|connect)'
like 'a server that is gone: for each call' "${lines[3]}" '^error EHOSTUNREACH '
like 'a server that is back' "${lines[5]}" '^ref refs/heads/main '
is 'a server that is back: objects' "${lines[7]}" 'missing 0'

# --- killed in the middle ---
big=$(stream_bytes $((24 << 20)) | repo_git odd -c core.compression=0 hash-object -w --stdin)
repo_git odd tag big "$big"
nginx_limits full 4m
probe_start "$(server_url full)/odd.git" fetch "$big" ';' pause ';' fetch "${ids[0]}"
half_there() {
	find "$T/out" -name 'large-*' -size +1024k 2>/dev/null | grep -q .
}
wait_for 30 half_there || diag 'the transfer does not start'
kill -KILL -- "-${SERVER_PIDS[full]##* }"
probe_pauses 1
like 'killed in the middle: words' "$(head -n 1 "$T/session")" \
	'^error (EHOSTUNREACH|EPROTO) http://127.0.0.1:[0-9]*/odd.git: .'
not_ok 'killed in the middle: no object' test -e "$T/out/blob/$big"
is 'killed in the middle: nothing is left of it' "$(find "$T/out" -type f | wc -l)" 0
nginx_limits full 0
probe_goes_on
probe_ends
is 'and the same remote goes on' "${OUT##*$'\n'}" 'missing 0'
probe "$(server_url full)/odd.git" fetch "$big"
ok 'and the file is whole' cmp "$T/out/blob/$big" <(repo_git odd cat-file blob "$big")

# --- given up ---
nginx_limits full 4m
for delay in 100 2500; do
	probe "$(server_url full)/odd.git" cancel "$delay" ';' fetch "$big" ';' clock
	like "a cancel after $delay ms ends a transfer" "$STATUS $OUT" '^1 error ECANCELED '
	within 'soon' "${OUT##*clock }" "$delay" $((delay + 800))
	is 'nothing is left of it' "$(find "$T/out" -type f 2>/dev/null | wc -l)" 0
done
within 'the last one in the middle of it' "$RECEIVED" 100000 20000000
done_testing
