#!/bin/bash
# Contents of files: around the sizes of pages and requests, of 128 MiB, in any order.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
repo=$T/repos/odd.git
make_odd_repo "$repo" big || exit 1
server_start full
url=$(server_url full)/odd.git

# Each size by one read and by small ones, with nothing cached.
mount_home sizes
ok 'mounts' mount_repo sizes "$url"
for size in 0 1 4095 4096 4097 131071 131072 131073 1048575 1048576 1048577; do
	file=$T/mnt/sizes/sizes/s$size
	wanted=$(stream_bytes "$size" | sha256sum)
	is "$size bytes, read at once" "$(cat "$file" | sha256sum)" "$wanted"
	is "$size bytes, read in pieces of 1009" \
		"$(dd if="$file" bs=1009 status=none | sha256sum)" "$wanted"
	is "$size bytes, read around the page cache" \
		"$(dd if="$file" bs=4096 iflag=direct status=none | sha256sum)" "$wanted"
	is "$size bytes by stat" "$(stat -c %s "$file")" "$size"
done

# A cold stat before any read, one file after the other.
mount_home stats
ok 'mounts' mount_repo stats "$url"
for size in 1048577 0 4096; do
	is "$size bytes by a cold stat" "$(stat -c %s "$T/mnt/stats/sizes/s$size")" "$size"
done

# big.bin is the same stream, so every place in it can be checked.
cat >"$T/random_reads.py" <<'PY'
import mmap, os, random, sys
path, wanted, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("seed", seed)
random.seed(seed)
got, good = os.open(path, os.O_RDONLY), os.open(wanted, os.O_RDONLY)
length = os.fstat(good).st_size
assert os.fstat(got).st_size == length, os.fstat(got).st_size
for _ in range(rounds):
    place = random.choice([random.randrange(length + 10), random.randrange(0, length, 4096),
                           length - random.randrange(5000)])
    count = random.choice([1, 100, 4096, 70000, 1 << 20, 3000000])
    a, b = os.pread(got, count, place), os.pread(good, count, place)
    assert a == b, (place, count, len(a), len(b))
with mmap.mmap(got, length, prot=mmap.PROT_READ) as a, \
        mmap.mmap(good, length, prot=mmap.PROT_READ) as b:
    for _ in range(rounds):
        place = random.randrange(length - 9000)
        assert a[place:place + 9000] == b[place:place + 9000], place
assert os.pread(got, 10, length) == b"" and os.pread(got, 10, length + 10**9) == b""
PY
stream_bytes $((128 << 20)) >"$T/big"
seed=$RANDOM
mount_home big
ok 'mounts' mount_repo big "$url"
ok 'random reads of a file of 128 MiB that is not here yet' \
	timeout 100 python3 "$T/random_reads.py" "$T/mnt/big/big.bin" "$T/big" "$seed" 100
ok 'it is the same as a whole' cmp "$T/big" "$T/mnt/big/big.bin"
is 'and has come once' "$(server_log full |
	awk '$4 > 100000000 { n++ } END { print n + 0 }')" 1
mount_stop big
ok 'mounts again' mount_repo big "$url"
ok 'random reads of it from what is cached' \
	timeout 100 python3 "$T/random_reads.py" "$T/mnt/big/big.bin" "$T/big" "$seed" 100

mount_end
