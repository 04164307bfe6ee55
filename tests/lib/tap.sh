# shellcheck shell=bash
#
# Words of the Test Anything Protocol for tests written in bash, run by prove.
#
#   plan COUNT              how many tests there are; or done_testing at the end
#   ok NAME COMMAND...      passes if the command exits 0; its output is shown if not
#   not_ok NAME COMMAND...  passes if it exits with anything else
#   is NAME GOT WANTED      strings
#   like NAME GOT REGEX     a bash regular expression
#   within NAME GOT LOW HIGH   whole numbers, both ends included
#   pass NAME, fail NAME
#   skip ID NAME            a test that cannot run here
#   skip_all ID             the same for all of them; ends the test
#   diag WORDS              a note for people
#
# A skip's ID must stand in tests/allowed-skips: any other fails the test, so that
# nothing stays untested unseen.

TAP_COUNT=0
TAP_FAILED=0
TAP_LIB=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(cd -- "$TAP_LIB/../.." && pwd)
# The build whose programs are tested.
GIT_FS_BUILD=${GIT_FS_BUILD:-$CHECKOUT/build/release}
export GIT_FS_BUILD

plan() {
	printf '1..%d\n' "$1"
}

done_testing() {
	printf '1..%d\n' "$TAP_COUNT"
	[ "$TAP_FAILED" -eq 0 ]
}

diag() {
	local line

	while IFS= read -r line; do
		printf '# %s\n' "$line"
	done <<<"$*" >&2
}

pass() {
	TAP_COUNT=$((TAP_COUNT + 1))
	printf 'ok %d - %s\n' "$TAP_COUNT" "$1"
}

fail() {
	TAP_COUNT=$((TAP_COUNT + 1))
	TAP_FAILED=$((TAP_FAILED + 1))
	printf 'not ok %d - %s\n' "$TAP_COUNT" "$1"
}

ok() {
	local name=$1 output status=0

	shift
	output=$("$@" 2>&1) || status=$?
	if [ "$status" -eq 0 ]; then
		pass "$name"
		return
	fi
	fail "$name"
	diag "exit $status of: $*"
	diag "$output"
}

not_ok() {
	local name=$1

	shift
	if "$@" >/dev/null 2>&1; then
		fail "$name"
		diag "exit 0 of: $*"
	else
		pass "$name"
	fi
}

is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
		return
	fi
	fail "$1"
	diag "got:    $2"
	diag "wanted: $3"
}

like() {
	if [[ $2 =~ $3 ]]; then
		pass "$1"
		return
	fi
	fail "$1"
	diag "got:          $2"
	diag "wanted match: $3"
}

within() {
	if [[ $2 =~ ^-?[0-9]+$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
		pass "$1"
		return
	fi
	fail "$1"
	diag "got:    $2"
	diag "wanted: $3 to $4"
}

# The reason that tests/allowed-skips gives for ID; false where it has none.
skip_reason() {
	local id reason

	while read -r id reason; do
		if [ "$id" = "$1" ]; then
			printf '%s\n' "$reason"
			return 0
		fi
	done <"$CHECKOUT/tests/allowed-skips"
	return 1
}

skip() {
	local reason

	if reason=$(skip_reason "$1"); then
		pass "$2 # SKIP $reason"
	else
		fail "$2"
		diag "'$1' is no skip that tests/allowed-skips knows"
	fi
}

skip_all() {
	local reason

	if reason=$(skip_reason "$1"); then
		printf '1..0 # SKIP %s\n' "$reason"
		exit 0
	fi
	diag "'$1' is no skip that tests/allowed-skips knows"
	printf 'Bail out! a skip that is not allowed: %s\n' "$1"
	exit 1
}
