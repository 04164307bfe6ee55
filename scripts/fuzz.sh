#!/bin/bash
# Runs each fuzzer for so many seconds: scripts/fuzz.sh SECONDS
#
# What a fuzzer finds new stays in build/corpus; an input that breaks something is
# left in build/fuzz and named. Inputs worth keeping go to tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh fuzz

failed=0
ran=0
for fuzzer in build/fuzz/tests/fuzz/fuzz_*; do
	if [ ! -f "$fuzzer" ]; then # its folder of objects
		continue
	fi
	name=${fuzzer##*/fuzz_}
	found=build/corpus/$name
	log=build/fuzz/$name.log
	mkdir -p "$found"
	ran=$((ran + 1))
	if timeout $(($1 + 120)) "$fuzzer" -max_total_time="$1" -timeout=20 -rss_limit_mb=2048 \
		-artifact_prefix="build/fuzz/$name-" "$found" "tests/fuzz/corpus/$name" \
		</dev/null >"$log" 2>&1; then
		echo "ok $name: $(grep -o 'Done .*' "$log" || true)"
	else
		failed=$((failed + 1))
		tail -n 60 "$log" >&2
		echo "not ok $name: $log"
	fi
done
[ "$ran" -gt 0 ] || { echo "no fuzzer was built" >&2 && exit 1; }
echo "$((ran - failed)) passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
