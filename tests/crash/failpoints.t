#!/bin/bash
# long-limit-s: 3600
# The daemon dies at each failpoint of the source, at several passes of it; then it is
# mounted again and holds what was acknowledged, no more and no less. Where a failpoint
# can make a call fail, that is told to the caller and harms nothing else. A failpoint
# that was never passed fails the test: it is one that nobody knows to be survived.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_plain_repo "$T/repos/plain.git"
git clone -q "$T/repos/plain.git" "$T/checkout"
rm -rf "$T/checkout/.git"
server_start full
url=$(server_url full)/plain.git
record=$T/record
top=$T/mnt/point
rewrite_mib=48 # more than the journal grows to before it is written anew

# churn COMMAND WORD...: tests/tools/churn.py on the mount
churn() {
	local command=$1

	shift
	timeout -k 5 90 python3 "$CHECKOUT/tests/tools/churn.py" "$command" "$top" "$record" "$@"
}

# points MACRO...: names of the failpoints in the source
points() {
	local macro

	for macro; do
		grep -rhoE "\\<$macro\\(\"[^\"]+\"" --include='*.c' "$CHECKOUT/src"
	done | cut -d '"' -f 2 | sort
}

# An overlay of its own; objects once fetched are everybody's.
new_overlay() {
	mount_home "$1"
	export XDG_CACHE_HOME="$T/homes/first/cache"
	timeout 20 python3 "$CHECKOUT/tests/tools/churn.py" begin "$record" "$T/checkout"
}

# A mount with this rule; true if there is a daemon afterwards.
mount_armed() {
	GIT_FS_FAILPOINT=$1 GIT_FS_FAILPOINT_LOG=$T/passed \
		mount_repo point --writable "$url" >/dev/null 2>&1 || true
	pid=$(mount_status point pid 2>/dev/null) && [ -n "$pid" ]
}

# Its daemon dies within SECONDS.
dies() {
	wait_for "$1" process_gone "$pid"
}

# Everything that a mount goes through, up to where it dies. True: it died; 2: a caller
# was told something else.
live_and_die() {
	mount_armed "$1" || return 0
	churn script >"$T/out/churn" 2>&1 || return 2
	process_gone "$pid" && return 0
	churn rewrite "$rewrite_mib" >"$T/out/churn" 2>&1 || return 2
	# What is done in the background has its time.
	dies 4 && return 0
	mount_stop point >/dev/null 2>&1 || true
	! mounted "$top" || return 0 # on its way down
	come_up_and_die "$1"
}

# What is passed on the way up only: over a data file that no record names yet, then
# over a segment without a record.
come_up_and_die() {
	mount_armed contents.file.begun=kill || return 2
	churn large >"$T/out/large" 2>&1 || return 2
	mount_armed "$1" || return 0
	dies 1 && return 0
	mount_kill point
	mount_armed "$1" || return 0
	dies 1
}

# Mounted again, as somebody would, it has what was acknowledged.
survives() {
	process_gone "${pid:-0}" || mount_stop point || return 1
	mount_repo point --writable "$url" || return 1
	churn check
}

# killed NAME N: dies at its Nth pass, and survives. "no" in $died where it never came
# that far.
killed() {
	local status=0

	pid=
	new_overlay "$1-$2"
	live_and_die "$1:$2=kill" || status=$?
	died=yes
	[ "$status" -ne 1 ] || died=no
	[ "$status" -ne 2 ] || fail "$1, pass $2: a caller was told something else"
	[ "$status" -ne 2 ] || diag "$(tail -n 5 "$T/out/churn")"
	ok "$1, pass $2 (died: $died): what was acknowledged is there" survives
	ok "$1, pass $2: unmounts" mount_stop point
}

# refused NAME: the call fails once. Its caller hears of it, and can go on, unless the
# disk can be trusted no more.
refused() {
	pid=
	new_overlay "$1-refused"
	if mount_armed "$1=ENOSPC"; then
		CHURN_RETRY=ENOSPC CHURN_END=EROFS,EIO ok "$1 fails: the rest goes on" churn script
		ok "$1 fails: nothing else has changed" churn check
	fi
	ok "$1 fails: the next mount has it all" survives
	ok "$1 fails: unmounts" mount_stop point
}

mapfile -t names < <(points FAILPOINT FAILPOINT_ERR)
within 'there are failpoints' "${#names[@]}" 5 200
is 'each has a name of its own' "$(printf '%s\n' "${names[@]}" | uniq -d)" ''
passes='1 4'
[ -z "${GIT_FS_LONG:-}" ] || passes='1 2 5 20 100'

# Without a rule: what the passes are, and that the workload is right.
new_overlay unarmed
pid=
not_ok 'nobody dies without a rule' live_and_die ''
is 'no caller was told anything' "$(cat "$T/out/churn")" ''
ok 'everything is there' survives
ok 'it unmounts' mount_stop point

for name in "${names[@]}"; do
	deaths=0
	for pass in $passes; do
		killed "$name" "$pass"
		[ "$died" != yes ] || deaths=$((deaths + 1))
		# Further passes than there are.
		[ "$died" = yes ] || break
	done
	within "$name: died there" "$deaths" 1 20
done
while read -r name; do
	refused "$name"
done < <(points FAILPOINT_ERR)

is 'every failpoint of the source was passed' \
	"$(comm -23 <(printf '%s\n' "${names[@]}" | sort -u) <(sort -u "$T/passed"))" ''
mount_end 'event=(mount_failed|upkeep_failed|journal_|overlay_)'
