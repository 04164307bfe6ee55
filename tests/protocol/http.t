#!/bin/bash
# The git remote over HTTP: what is asked for, how often, and what comes, against
# git http-backend behind nginx; and what becomes of answers that are not git's.
# shellcheck source=../lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=../lib/servers.sh
. "$TAP_LIB/servers.sh"
# shellcheck source=../lib/repos.sh
. "$TAP_LIB/repos.sh"

probe=$GIT_FS_BUILD/tests/tools/remoteprobe
harness_start

sha1=$T/repos/odd.git
sha256=$T/repos/odd256.git
make_odd_repo "$sha1"
make_odd_repo "$sha256" sha256
git init -q --bare "$T/repos/empty.git"
server_start full
server_start plain --no-filter
server_start noinfo --no-object-info
server_start secret --password 'me:geheim'

# oids REPOSITORY REVISION...: with commas between
oids() {
	git -C "$1" rev-parse "${@:2}" | paste -sd,
}

# What a call printed, without the objects and the count of requests.
words() {
	grep -v -e '^object ' -e '^requests '
}

# Objects in what a probe printed, one a line: TYPE OID
objects() {
	sed -n 's/^object \([a-z]*\) \([0-9a-f]*\) .*/\1 \2/p' | sort
}

# All trees of a commit, and the commit, as objects() prints them.
trees_of() {
	git -C "$1" rev-list --objects --filter=blob:none --no-walk "$2" | cut -d' ' -f1 |
		git -C "$1" cat-file --batch-check='%(objecttype) %(objectname)' | sort
}

# --- the first ls: two requests, whatever the repository's size ---
for repository in "$sha1" "$sha256"; do
	name=${repository##*/}
	commit=$(oids "$repository" main)
	server_log_reset full
	out=$("$probe" "$(server_url full)/$name" resolve= list=1)
	is "$name: HEAD is resolved" "$(words <<<"$out")" "ref refs/heads/main $commit $commit"
	is "$name: commit and top tree come, nothing else" "$(objects <<<"$out")" \
		"commit $commit"$'\n'"tree $(oids "$repository" main:)"
	within "$name: on one connection" \
		"$(server_log full | awk '{ print $6 }' | sort -u | wc -l)" 1 1
done
server_log_reset full
"$probe" "$(server_url full)/odd.git" resolve= list=1 >/dev/null
is 'ls-refs and fetch are all that is sent' "$(server_requests full)" 2
is 'nothing was asked about the server' "$(server_requests full '^GET')" 0
within 'few bytes are received' "$(server_sent full)" 1 4096
server_log_reset full
"$probe" "$(server_url full)/odd256.git" resolve= list=1 >/dev/null
is 'sha256 is found out by discovery, once' "$(server_requests full '^GET')" 1
is 'and costs two requests more' "$(server_requests full)" 4

server_start far --rtt 200
started=$(date +%s%N)
"$probe" "$(server_url far)/odd.git" resolve= list=1 >/dev/null
within 'three round trips of 200 ms' $((($(date +%s%N) - started) / 1000000)) 600 790

# --- levels, fetches, sizes ---
out=$("$probe" "$(server_url full)/odd.git" resolve= list=0)
is 'all trees come in one list' "$(objects <<<"$out")" "$(trees_of "$sha1" main)"
out=$("$probe" "$(server_url full)/odd.git" resolve=v1 "tree=$(oids "$sha1" main:long),1")
is 'a tree comes alone' "$(objects <<<"$out")" "tree $(oids "$sha1" main:long)"

mapfile -t files < <(git -C "$sha1" ls-tree --format='%(objectname)' main:many | head -n 500)
batch=$(IFS=,; printf '%s' "${files[*]}")
server_log_reset full
out=$("$probe" "$(server_url full)/odd.git" resolve= "fetch=$batch" features)
is '500 files come in one fetch' "$(objects <<<"$out")" \
	"$(printf 'blob %s\n' "${files[@]}" | sort)"
is 'in one request' "$(server_requests full)" 2
within 'whose body is packed' "$(server_received full)" 1 18000

blob=$(oids "$sha1" main:sort.txt)
gone1=$(printf '%040d' 1)
gone2=$(printf '%040d' 2)
out=$("$probe" "$(server_url full)/odd.git" "fetch=$gone1,$blob,$gone2")
is 'unknown ids are left out of a fetch' "$(words <<<"$out")" 'missing 2'
is 'and the others come' "$(objects <<<"$out")" "blob $blob"

out=$("$probe" "$(server_url full)/odd.git" "sizes=$blob,$gone1,$(oids "$sha1" main:sizes/s0)" \
	"sizes=$blob" features algo)
is 'sizes are told without contents' "$(words <<<"$out")" "size $blob 8
size $gone1 ?
size $(oids "$sha1" main:sizes/s0) 0
size $blob 8
features lists-cheaply tells-sizes
algo sha1"
server_log_reset noinfo
out=$("$probe" "$(server_url noinfo)/odd.git" "sizes=$blob" "sizes=$blob" features)
like 'a server that does not tell sizes is known as such' "$(words <<<"$out")" \
	'error EOPNOTSUPP: .*features lists-cheaply$'
is 'it is asked once' "$(server_requests noinfo)" 1

# --- without filters ---
server_log_reset plain
out=$("$probe" "$(server_url plain)/odd.git" resolve= list=1 features)
is 'without filters a list brings contents' \
	"$(objects <<<"$out" | wc -l)" "$(git -C "$sha1" rev-list --objects --no-walk main | wc -l)"
like 'which is known then' "$(words <<<"$out")" 'features tells-sizes$'
is 'the guess cost two requests' "$(server_requests plain)" 4
out=$("$probe" "$(server_url plain)/odd.git" "fetch=$blob" "fetch=$blob")
is 'files still come one by one' "$(objects <<<"$out" | uniq -c | tr -s ' ')" " 2 blob $blob"

# --- filters that a host refuses ---
git clone -q --bare "$sha1" "$T/repos/picky.git"
git -C "$T/repos/picky.git" config uploadpackfilter.combine.allow false
out=$("$probe" "$(server_url full)/picky.git" resolve=main list=2 list=2 list=1 features)
is 'the next coarser filter is taken' "$(objects <<<"$out" | sort -u)" "$(trees_of "$sha1" main)"
is 'a refusal is remembered' "$(grep -c '^requests 1 ' <<<"$out")" 3
like 'and names still come cheaply' "$(words <<<"$out")" 'lists-cheaply'

# --- names ---
out=$("$probe" "$(server_url full)/odd.git" resolve=v1 resolve=nested resolve=tags/light)
is 'tags are peeled' "$(words <<<"$out" | cut -d' ' -f2,4)" "refs/tags/v1 $(oids "$sha1" main)
refs/tags/nested $(oids "$sha1" main)
refs/tags/light $(oids "$sha1" main)"
out=$("$probe" "$(server_url full)/odd.git" resolve=nothing)
like 'what is not there is named' "$out" "error ENOENT: .*odd.git has no branch, tag or ref 'nothing'"
out=$("$probe" "$(server_url full)/empty.git" resolve=)
like 'an empty repository says so' "$out" 'error ENOENT: .*is empty'
out=$("$probe" "$(server_url full)/gone.git" resolve=)
like 'no repository' "$out" 'error ENOENT: .*gone.git: .*status 404'
git -C "$T/repos/picky.git" update-ref refs/heads/moving main
out=$("$probe" "$(server_url full)/picky.git" resolve=moving watch=refs/heads/moving,200)
like 'a watch ends' "$out" 'unmoved'
(sleep 0.5; git -C "$T/repos/picky.git" update-ref refs/heads/moving empty) &
out=$("$probe" "$(server_url full)/picky.git" resolve=moving watch=refs/heads/moving,10000)
wait $!
like 'a watch sees a ref move' "$out" "moved $(oids "$sha1" empty)"

# --- passwords ---
secret=$(server_url secret)
out=$("$probe" "$secret/odd.git" resolve=)
like 'a password is wanted' "$out" 'error EACCES: .*status 401'
out=$("$probe" "http://me:geheim@${secret#http://}/odd.git" resolve= list=1)
like 'that of the address is used' "$out" "ref refs/heads/main"
is 'at no further request' "$(grep -c '^requests 1 ' <<<"$out")" 2
out=$("$probe" "http://me:falsch@${secret#http://}/odd.git" resolve=)
like 'a wrong one is refused' "$out" 'error EACCES: .*status 401'
not_ok 'and never shown' grep -q falsch <<<"$out"

# --- servers that are none ---

# canned MODE [TARGET]: starts one; its address is then in $canned, its log in $log
canned() {
	log=$(mktemp "$T/canned.XXXXXX")
	"$TAP_LIB/canned.py" "$@" </dev/null >"$log" 2>/dev/null &
	harness_adopt $!
	wait_for 10 grep -q '^port ' "$log" || fail "canned.py $1 does not start"
	port=$(sed -n 's/^port //p' "$log")
	canned=http://127.0.0.1:$port
}

# refused NAME REGEX [OPTION...]: what a resolve says of the server
refused() {
	local name=$1 regex=$2 out

	shift 2
	out=$("$probe" "$@" "$canned/x.git" resolve=)
	like "$name" "$out" "$regex"
	not_ok "$name: no escape sequence" grep -q $'\033' <<<"$out"
}

canned status-403 && refused '403' 'error EACCES: .*status 403 .*go .*away'
canned status-404 && refused '404' 'error ENOENT: .*status 404'
canned status-418 && refused '418' 'error EPROTO: .*status 418'
canned status-500 && refused '500' 'error EPROTO: .*status 500'
canned status-503 && refused '503' 'error EHOSTUNREACH: .*status 503'
canned html && refused 'a page for people' 'error EPROTO: .*text/html'
canned dumb && refused 'a dumb server' 'error EPROTO: .*text/plain'
canned v0 && refused 'protocol version 0' 'error EOPNOTSUPP: .*version 2'
canned empty && refused 'an empty answer' 'error EPROTO: .*empty or cut off'
canned cut && refused 'a cut answer' 'error EPROTO: .*empty or cut off'
canned trailing && refused 'bytes after the answer' 'error EPROTO: .*after the end'
canned stall && refused 'silence in an answer' 'error ETIMEDOUT: .*no byte for 300 ms' --timeout 300
canned silent && refused 'silence' 'error ETIMEDOUT: .*no byte for 300 ms' --timeout 300
started=$(date +%s%N)
canned silent && refused 'a cancel while nothing comes' 'error ECANCELED: ' --cancel 300
within 'which takes no longer than it must' $((($(date +%s%N) - started) / 1000000)) 300 3000
canned redirect-to 'ftp://127.0.0.1/x/info/refs?service=git-upload-pack'
refused 'a redirect to another protocol' 'error EPROTO: '
canned redirect-to "$(server_url full)/elsewhere"
refused 'a redirect to something else' 'error (EPROTO|ENOENT): '
canned redirect-to "$(server_url full)/odd.git/info/refs?service=git-upload-pack&x=1"
refused 'a redirect to nothing of a repository' 'error EPROTO: .*no repository'
canned redirect-post "$(server_url full)"
refused 'a redirect of a request' 'error EPROTO: .*status 307'

canned good
elsewhere=$canned elsewhere_log=$log
canned redirect "$elsewhere"
server_log_reset full
out=$("$probe" "http://me:geheim@127.0.0.1:$port/x.git" resolve= resolve=)
is 'a redirect is followed' "$(words <<<"$out" | uniq)" \
	"ref refs/heads/main $(printf 'a%.0s' {1..40}) $(printf 'a%.0s' {1..40})"
is 'and remembered' "$(grep -c ^ "$log")" 3
is 'the password goes to the host it is for' "$(grep -c 'Basic bWU6Z2VoZWlt$' "$log")" 2
is 'and to no other' "$(grep -c -e '-$' "$elsewhere_log")" 3

canned one-per-conn
out=$("$probe" "$canned/x.git" resolve= resolve= resolve=)
is 'a connection closed while idle is opened again' "$(grep -c '^ref ' <<<"$out")" 3
is 'each request is sent once more' "$(grep -c '^POST' "$log")" 5

out=$("$probe" http://127.0.0.1:1/x resolve=)
like 'nobody there' "$out" 'error EHOSTUNREACH: '
out=$("$probe" http://nosuch.invalid/x resolve=)
like 'no such host' "$out" 'error EHOSTUNREACH: .*nosuch.invalid'

done_testing
