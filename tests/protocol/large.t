#!/bin/bash
# Large files: streamed, so that memory stays small, and as deltas.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
probe_servers

# A sanitizer keeps freed memory for a while, which is not the program's.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=4
MEMORY_MAX=$((96 << 20))

# came_whole NAME REPOSITORY OID: as git has it
came_whole() {
	ok "$1" cmp "$T/out/blob/$3" <(repo_git "$2" cat-file blob "$3")
}

make_odd_repo "$T/repos/big.git" big
id=$(repo_git big rev-parse main:big.bin)
for kind in "${KINDS[@]}"; do
	probe "$(probe_url "$kind" big)" fetch "$id"
	is "$kind: a file of 128 MiB" "$STATUS $OUT" "0 $id blob 134217728
missing 0"
	came_whole "$kind: is whole" big "$id"
	within "$kind: little memory is used" "$MEMORY" 1000000 "$MEMORY_MAX"
done

# 256 MiB of nothing come as 256 KiB.
init_bare "$T/repos/zero.git" sha256
id=$(head -c $((256 << 20)) /dev/zero | repo_git zero hash-object -w --stdin)
tree=$(printf '100644 blob %s\tzero\n' "$id" | repo_git zero mktree)
repo_git zero update-ref refs/heads/main "$(odd_commit git -C "$T/repos/zero.git" commit-tree \
	-m zero "$tree")"
for kind in full local; do
	probe "$(probe_url "$kind" zero)" fetch "$id"
	is "$kind: a file of zeros" "$STATUS $OUT" "0 $id blob 268435456
missing 0"
	came_whole "$kind: is whole" zero "$id"
	within "$kind: few bytes come" "$RECEIVED" 100000 2000000
	within "$kind: little memory is used" "$MEMORY" 1000000 "$MEMORY_MAX"
done

# Versions of a large file, kept as a chain of deltas: each is like the one before.
init_bare "$T/repos/chain.git"
stream_bytes $((4 << 20)) >"$T/stream"
head -c $((3 << 20)) "$T/stream" >"$T/version"
for ((i = 0; i < 5; i++)); do
	dd if="$T/stream" of="$T/version" bs=100000 count=1 skip=$((32 + i)) seek=$((i * 5)) \
		conv=notrunc status=none
	printf 'version %d' "$i" >>"$T/version"
	repo_git chain hash-object -w "$T/version"
done >"$T/chain.ids"
tree=$(awk '{ printf "100644 blob %s\tv%d\n", $1, NR }' "$T/chain.ids" | repo_git chain mktree)
repo_git chain update-ref refs/heads/main "$(odd_commit git -C "$T/repos/chain.git" commit-tree \
	-m chain "$tree")"
repo_git chain repack -adfq
ok 'deltas are stored upon deltas' grep -q 'chain length = [3-5]' \
	<(repo_git chain verify-pack -v "$(echo "$T"/repos/chain.git/objects/pack/*.idx)")
objects_of "$T/repos/chain.git" "$T/chain" <"$T/chain.ids"
for kind in "${KINDS[@]}"; do
	probe "$(probe_url "$kind" chain)" fetch "@$T/chain.ids"
	same_objects "$kind: versions of a large file" "$T/chain"
	# 15 MiB that nothing can compress.
	within "$kind: come as deltas" "$RECEIVED" 3000000 4000000
done
done_testing
