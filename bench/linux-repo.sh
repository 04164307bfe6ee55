#!/bin/bash
# Makes FOLDER/linux.git, one commit of Linux as Debian's package linux-source-6.1 has it
# (about 78,000 files), and prints its path; one that is there stays. The package is
# taken where it is installed, or, with BENCH_LINUX=1, by `apt-get download`. Takes a few
# minutes and 2 GB for a while; exits 3 where there is no source.
#
#   bench/linux-repo.sh FOLDER
set -euo pipefail

folder=$1
repo=$folder/linux.git
installed=/usr/src/linux-source-6.1.tar.xz

if [ -d "$repo" ]; then
	echo "$repo"
	exit 0
fi
if [ ! -f "$installed" ] && [ "${BENCH_LINUX:-}" != 1 ]; then
	exit 3
fi
mkdir -p "$folder"
work=$(mktemp -d "$folder/linux.XXXXXX")
trap 'rm -rf "$work"' EXIT

source_tar() {
	local debs

	if [ -f "$installed" ]; then
		cat "$installed"
		return
	fi
	(cd "$work" && apt-get download -q linux-source-6.1) >&2
	debs=("$work"/*.deb)
	dpkg-deb --fsys-tarfile "${debs[0]}" | tar -xO ./usr/src/linux-source-6.1.tar.xz
}

# The same commit each time: whoever's name and clock it is made with.
as_nobody() {
	GIT_AUTHOR_NAME=Bench GIT_AUTHOR_EMAIL=bench@example.org \
		GIT_COMMITTER_NAME=Bench GIT_COMMITTER_EMAIL=bench@example.org \
		GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' "$@"
}

echo "making $repo, once" >&2
mkdir "$work/tree"
source_tar | tar -xJ --strip-components=1 -C "$work/tree"
rm -f "$work"/*.deb
git init -q --bare --initial-branch=main "$work/linux.git"
export GIT_DIR=$work/linux.git GIT_WORK_TREE=$work/tree
git -c core.autocrlf=false -c core.safecrlf=false add -A -f .
commit=$(as_nobody git commit-tree -m 'Linux 6.1' "$(git write-tree)")
git update-ref refs/heads/main "$commit"
rm -rf "$work/tree" "$work/linux.git/index"
unset GIT_WORK_TREE
git repack -q -a -d
git prune-packed -q
mv "$work/linux.git" "$repo"
echo "$repo"
