#!/bin/bash
# What is git's remote over HTTP alone: how many requests its guesses cost, servers
# that are no git servers, redirects, and connections that a server closes.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
server_start full
server_start no-filter --no-filter
make_odd_repo "$T/repos/odd.git"
make_odd_repo "$T/repos/odd256.git" sha256

# requests_so_far: requests at each `traffic` of the last probe, and at its end, with
# blanks between
requests_so_far() {
	sed -n 's/^requests \([0-9]*\) .*/\1/p' <<<"$OUT"$'\n'"requests $REQUESTS " | paste -sd ' '
}

# --- guesses ---
server_log_reset full
probe "$(server_url full)/odd256.git" resolve HEAD ';' list tip 1
commit=$(repo_git odd256 rev-parse main)
is 'sha256: the ref' "$STATUS ${OUT%%$'\n'*}" "0 ref refs/heads/main $commit $commit"
is 'sha256 is found out by discovery, once' "$(server_requests full '^GET')" 1
is 'and costs two requests more' "$(server_requests full)" 4
is 'all on one connection' "$(server_log full | cut -d ' ' -f 6 | sort -u | wc -l)" 1

mapfile -t files < <(repo_git odd ls-tree --format='%(objectname)' main:many | head -n 500)
server_log_reset full
probe "$(server_url full)/odd.git" fetch "${files[@]}"
is '500 files come' "$(grep -c ' blob ' <<<"$OUT") ${OUT##*$'\n'}" '500 missing 0'
is 'in one request, the first of all' "$(server_requests full)" 1

probe "$(server_url no-filter)/odd.git" resolve HEAD ';' list tip 1 ';' traffic ';' list tip 1
is 'no filters: the guess cost two requests, once' "$(requests_so_far)" '4 5'

# Of a server of which nothing is known, its offer is learnt first, and the same asked again.
git clone -q --bare "$T/repos/odd.git" "$T/repos/picky.git"
repo_git picky config uploadpackfilter.combine.allow false
probe "$(server_url full)/picky.git" resolve main ';' list tip 2 ';' traffic ';' list tip 2 ';' \
	traffic ';' list tip 1 ';' features
read -r first second third <<<"$(requests_so_far)"
is 'a filter that is refused: three requests more, once' \
	"$STATUS $first $((second - first)) $((third - second))" '0 5 1 1'
like 'names still come cheaply' "$OUT" $'\nfeatures lists'

# --- servers that are none ---

# canned MODE [TARGET]: starts one; its address is then in $canned, its log in $log
canned() {
	log=$(mktemp "$T/canned.XXXXXX")
	"$TAP_LIB/canned.py" "$@" </dev/null >"$log" 2>/dev/null &
	harness_adopt $!
	wait_for 10 grep -q '^port ' "$log" || fail "canned.py $1 does not start"
	canned=http://127.0.0.1:$(sed -n 's/^port //p' "$log")
}

# refused NAME REGEX [OPTION...]: what a resolve says of the server
refused() {
	probe "${@:3}" "$canned/x.git" resolve HEAD ';' clock
	like "$1" "$STATUS $OUT" "^1 error $2"
	within "$1: at once" "${OUT##*clock }" 0 5000
}

canned status-403
refused 'words of the server, without its escape sequence' \
	'EACCES .*status 403 \(access denied\): go .*away'
not_ok 'which does not reach the terminal' grep -q $'\e' <<<"$OUT"
canned status-418
refused 'a status that means nothing' 'EPROTO .*status 418'
canned dumb
refused 'a dumb server' 'EPROTO .*text/plain'
canned v0
refused 'protocol version 0' 'EOPNOTSUPP .*version 2'
canned empty
refused 'an empty answer' 'EPROTO .*empty or cut off'
canned cut
refused 'a cut answer' 'EPROTO .*empty or cut off'
canned trailing
refused 'bytes after the answer' 'EPROTO .*after the end'
canned stall
refused 'silence in an answer' 'ETIMEDOUT .*no byte for 300 ms' --timeout 300
canned silent
refused 'silence' 'ETIMEDOUT .*no byte for 300 ms' --timeout 300
probe "$canned/x.git" cancel 300 ';' resolve HEAD ';' clock
like 'a cancel while nothing comes' "$STATUS $OUT" '^1 error ECANCELED '
within 'which ends it soon' "${OUT##*clock }" 250 1300

# --- redirects ---
canned redirect-to 'ftp://127.0.0.1/x/info/refs?service=git-upload-pack'
refused 'a redirect to another protocol' 'EPROTO '
canned redirect-to "$(server_url full)/elsewhere"
refused 'a redirect to something else' '(EPROTO|ENOENT) '
canned redirect-to "$(server_url full)/odd.git/info/refs?service=git-upload-pack&x=1"
refused 'a redirect to nothing of a repository' 'EPROTO .*no repository'
canned redirect-post "$(server_url full)"
refused 'a redirect of a request' 'EPROTO .*status 307'

canned good
elsewhere=$canned elsewhere_log=$log
canned redirect "$elsewhere"
probe "http://me:geheim@${canned#http://}/x.git" resolve HEAD ';' resolve HEAD
id=$(printf 'a%.0s' {1..40})
is 'a redirect is followed' "$STATUS $OUT" "0 ref refs/heads/main $id $id
ref refs/heads/main $id $id"
is 'and remembered' "$(grep -c '^[GP]' "$log") $(grep -c '^POST' "$elsewhere_log")" '2 2'
is 'the password goes to the host it is for' "$(grep -c 'Basic bWU6Z2VoZWlt$' "$log")" 2
is 'and to no other' "$(grep -c '^[GP].* -$' "$elsewhere_log")" "$(grep -c '^[GP]' "$elsewhere_log")"

# --- connections that the server closes ---
canned one-per-conn
probe "$canned/x.git" resolve HEAD ';' resolve HEAD ';' resolve HEAD
is 'a connection closed while idle is opened again' "$STATUS $(grep -c '^ref ' <<<"$OUT")" '0 3'
is 'each request is sent once more' "$(grep -c '^POST' "$log")" 5
done_testing
