#!/bin/bash
# Repositories of this machine: paths of all kinds, folders of other people, and
# children that misbehave.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
make_odd_repo "$T/repos/odd.git"
tip=$(repo_git odd rev-parse main)
good="ref refs/heads/main $tip $tip"
real_git=$(command -v git)

# answers NAME ADDRESS
answers() {
	probe "$2" resolve HEAD ';' list tip 1
	is "$1" "$STATUS $(grep -c -e ' commit ' -e ' tree ' <<<"$OUT") ${OUT%%$'\n'*}" "0 2 $good"
}

# --- paths ---
answers 'a bare repository' "$T/repos/odd.git"
answers 'without its .git' "$T/repos/odd"
answers 'with slashes' "$T/repos//odd.git///"
answers 'as file://' "file://$T/repos/odd.git"
git clone -q "$T/repos/odd.git" --no-checkout "$T/clone"
answers 'a clone' "$T/clone"
answers 'the .git of a clone' "$T/clone/.git"
git -C "$T/clone" worktree add -q --no-checkout --detach "$T/worktree" main
probe "$T/worktree" resolve HEAD
is 'a worktree beside it' "$OUT" "ref HEAD $tip $tip"
ln -s "$T/repos/odd.git" "$T/link"
answers 'a symbolic link' "$T/link"
cd "$T/repos" || exit 1
answers 'a relative path' ./odd.git
answers 'a relative path of one word' odd.git
cd "$CHECKOUT" || exit 1
# shellcheck disable=SC2016 # names as they stand
for odd in 'with blank' "quote'\"s" '$(id)' '-rf' 'gr%C3%BCn' 'grün' 'semi;colon' 'a*b'; do
	cp -r "$T/repos/odd.git" "$T/repos/$odd"
	answers "a folder named '$odd'" "$T/repos/$odd"
done
probe "$T/repos/tab"$'\t'here resolve HEAD
like 'control bytes are refused' "$STATUS $OUT" '^1 error EINVAL .*control byte'
git clone -q --bare --shared "$T/repos/odd.git" "$T/repos/shared.git"
answers 'objects borrowed from elsewhere' "$T/repos/shared.git"
git clone -q --bare --depth=1 "file://$T/repos/odd.git" "$T/repos/shallow.git"
answers 'a shallow clone' "$T/repos/shallow.git"

init_bare "$T/repos/other.git"
export GIT_DIR=$T/repos/other.git GIT_NAMESPACE=elsewhere GIT_OBJECT_DIRECTORY=$T/none
answers 'whatever the environment says' "$T/repos/odd.git"
unset GIT_DIR GIT_NAMESPACE GIT_OBJECT_DIRECTORY
# What the owner forbids strangers, he may do himself.
cp -r "$T/repos/odd.git" "$T/repos/strict.git"
repo_git strict config uploadpack.allowFilter false
repo_git strict config transfer.advertiseObjectInfo false
answers 'filters that strangers may not use' "$T/repos/strict.git"
blob=$(repo_git odd rev-parse main:modes/tool)
probe "$T/repos/strict.git" fetch "$blob" ';' sizes "$blob"
is 'files and sizes, too' "$OUT" "$blob blob 9
missing 0
$blob 9"

# --- no repositories ---
mkdir "$T/repos/folder"
: >"$T/repos/file"
probe "$T/repos/folder" resolve HEAD
like 'a folder that is none' "$STATUS $OUT" "^1 error ENOENT .*$T/repos/folder.*not a git repository"
for path in "$T/repos/file" "$T/repos/missing" "$T/repos/file/below"; do
	probe "$path" resolve HEAD
	like "${path##*/repos/} is none" "$STATUS $OUT" "^1 error E(NOENT|INVAL|NOTDIR) .*${path##*/}"
done
cp -r "$T/repos/odd.git" "$T/repos/broken.git"
: >"$T/repos/broken.git/HEAD"
probe "$T/repos/broken.git" resolve HEAD
like 'a repository that git does not take for one' "$STATUS $OUT" '^1 error ENOENT .*broken.git'

# --- somebody else's ---
cp -r "$T/repos/odd.git" "$T/repos/theirs.git"
if [ "$(id -u)" -eq 0 ]; then
	chown -R nobody "$T/repos/theirs.git"
else
	export GIT_TEST_ASSUME_DIFFERENT_OWNER=1
fi
git config --global --unset-all safe.directory
probe "$T/repos/theirs.git" resolve HEAD ';' algo ';' fetch "$tip"
like 'it is said whose it is' "$STATUS $OUT" \
	"^1 error EACCES $T/repos/theirs.git: it belongs to somebody else; if you trust it, type: git "
is 'by each call' "$(grep -c '^error EACCES ' <<<"$OUT")" 3
read -r -a hint <<<"$(sed -n '1s/.* type: //p' <<<"$OUT")"
is 'and what to type' "${hint[*]}" "git config --global --add safe.directory $T/repos/theirs.git"
"${hint[@]}"
answers 'which helps' "$T/repos/theirs.git"
unset GIT_TEST_ASSUME_DIFFERENT_OWNER
git config --global --replace-all safe.directory '*'

# --- children that misbehave ---

# with_git SCRIPT COMMAND...: a probe whose `git` is a shell script
with_git() {
	printf '#!/bin/bash\n%s\n' "$1" >"$T/bin/git"
	chmod +x "$T/bin/git"
	PATH=$T/bin:$PATH probe --timeout 1000 "$T/repos/odd.git" "${@:2}" ';' clock
	within 'in good time' "${OUT##*clock }" 0 6000
	not_ok 'no child is left' pgrep -f "$T/bin/git"
}

mkdir "$T/bin"
with_git "'$real_git' \"\$@\" | (dd bs=1 count=1500 status=none; kill -KILL \$\$)" resolve HEAD ';' list tip 0
like 'an answer that is cut off' "$STATUS $OUT" '^1 .*error EHOSTUNREACH .*odd.git: git upload-pack ended'
is 'which leaves nothing half' "$(find "$T/out" -name 'large-*' 2>/dev/null | wc -l)" 0
with_git 'exit 3' resolve HEAD
like 'no answer at all' "$STATUS $OUT" '^1 error EHOSTUNREACH .*odd.git: git upload-pack ended without a word'
with_git "printf 'fatal: the disk is \\e[1mfull\\n' >&2; exit 128" resolve HEAD
like 'its last words' "$STATUS $OUT" '^1 error EPROTO .*git upload-pack ended: fatal: the disk is .x1b'
with_git 'exec cat /dev/zero' resolve HEAD
like 'zeros' "$STATUS $OUT" '^1 error EPROTO '
with_git 'echo hello, this is a shell; exec sleep 30' resolve HEAD
like 'something else' "$STATUS $OUT" '^1 error EPROTO .*not git'
with_git 'exec sleep 30' resolve HEAD
like 'silence' "$STATUS $OUT" '^1 error ETIMEDOUT .*no byte for 1000 ms'
with_git "'$real_git' \"\$@\" 2>&1 | (dd bs=1 count=300 status=none; sleep 3)" resolve HEAD ';' list tip 0
like 'silence in the middle' "$STATUS $OUT" '^1 .*error ETIMEDOUT .*no byte for 1000 ms'
with_git "trap '' TERM; sleep 3" cancel 300 ';' resolve HEAD
like 'a cancel while it is silent' "$STATUS $OUT" '^1 error ECANCELED '
with_git "yes 'warning: noise' | head -n 100000 >&2; exec '$real_git' \"\$@\"" resolve HEAD ';' \
	list tip 0
like 'much noise on its stderr' "$STATUS $OUT" "^0 $good"
with_git "GIT_PROTOCOL=version=0 exec '$real_git' \"\$@\"" resolve HEAD
like 'an old protocol' "$STATUS $OUT" '^1 error EOPNOTSUPP .*version 2'
mkdir "$T/nogit"
ln -s "$(command -v timeout)" "$(command -v rm)" "$T/nogit/"
PATH=$T/nogit probe "$T/repos/odd.git" resolve HEAD
like 'no git at all' "$STATUS $OUT" '^1 error [A-Z]+ .*git'
done_testing
