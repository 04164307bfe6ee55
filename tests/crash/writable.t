#!/bin/bash
# long-limit-s: 7200
# tests/mount/kill-writable.t with a thousand kills, where there is the time.
kills=100
[ -z "${GIT_FS_LONG:-}" ] || kills=1000
GIT_FS_KILLS=${GIT_FS_KILLS:-$kills} exec "$(dirname "$0")/../mount/kill-writable.t"
