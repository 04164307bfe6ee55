# shellcheck shell=bash
#
# What the tests of the protocol share; brings the harness along.
#
#   KINDS                         the ways to a repository: full, no-filter and
#                                 no-object-info are HTTP servers, local is a path
#   probe_servers                 starts those servers
#   probe_url KIND NAME           where repository NAME of $T/repos is
#   probe [OPTION...] URL COMMAND...   runs gitprobe (see its head): $OUT is what it
#                                 printed but the last two lines, $STATUS its exit
#                                 code; objects go to $T/out, which is empty before
#   $REQUESTS $RECEIVED $SENT $MEMORY  of the last probe
#   objects_of GIT_DIR DIR        DIR/TYPE/OID for the ids on stdin, as git has them
#   same_objects NAME DIR         a test: $T/out holds what DIR holds, byte for byte
#
# Needs a repository's ids often: repo_git NAME ARGUMENTS... is git in $T/repos/NAME.git.

# shellcheck source=../lib/tap.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib/tap.sh"
# shellcheck source=../lib/servers.sh
. "$TAP_LIB/servers.sh"
# shellcheck source=../lib/repos.sh
. "$TAP_LIB/repos.sh"

KINDS=(full no-filter no-object-info local)
PROBE_SECONDS=60
OUT='' STATUS=0 REQUESTS=0 RECEIVED=0 SENT=0 MEMORY=0
: "${KINDS[*]} $STATUS"

probe_servers() {
	server_start full
	server_start no-filter --no-filter
	server_start no-object-info --no-object-info
}

probe_url() {
	if [ "$1" = local ]; then
		printf '%s\n' "$T/repos/$2.git"
	else
		printf '%s/%s.git\n' "$(server_url "$1")" "$2"
	fi
}

repo_git() {
	local name=$1

	shift
	git -C "$T/repos/$name.git" "$@"
}

probe() {
	local all

	rm -rf "$T/out"
	STATUS=0
	all=$(timeout "$PROBE_SECONDS" "$GIT_FS_BUILD/tests/tools/gitprobe" --out "$T/out" "$@" \
		2>"$T/probe.err") || STATUS=$?
	if [ -s "$T/probe.err" ]; then
		diag "$(cat "$T/probe.err")"
	fi
	probe_parse "$all"
}

# Takes the traffic and the memory off what a probe printed.
probe_parse() {
	local last=$'\n'$1 traffic

	REQUESTS=0 RECEIVED=0 SENT=0 MEMORY=0
	if [[ $last =~ $'\n'(requests [^$'\n']*)$'\n'"memory "([0-9]+)$ ]]; then
		traffic=${BASH_REMATCH[1]} MEMORY=${BASH_REMATCH[2]}
		last=${last%$'\n'requests*}
		read -r _ REQUESTS _ RECEIVED _ SENT _ <<<"$traffic"
	fi
	OUT=${last#$'\n'}
	: "$OUT $REQUESTS $RECEIVED $SENT $MEMORY"
}

objects_of() {
	mkdir -p "$2"
	git -C "$1" cat-file --batch | perl -e '
		binmode STDIN;
		while (my $head = <STDIN>) {
			my ($oid, $type, $size) = $head =~ /^(\w+) (\w+) (\d+)$/ or die $head;
			mkdir "$ARGV[0]/$type";
			open my $file, ">", "$ARGV[0]/$type/$oid" or die "$oid: $!";
			binmode $file;
			my $got = read STDIN, my $data, $size + 1;
			die "cut off" unless $got == $size + 1;
			print $file substr $data, 0, $size;
			close $file or die "$oid: $!";
		}' "$2"
}

same_objects() {
	ok "$1" diff -r "$2" "$T/out"
}
