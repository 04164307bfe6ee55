#!/bin/bash
# tests/mount/kill.t with ten times as many kills: 200 amid cold reads.
GIT_FS_KILL_CACHES=${GIT_FS_KILL_CACHES:-50} exec "$(dirname "$0")/../mount/kill.t"
