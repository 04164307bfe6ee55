#!/bin/bash
# Installs the Debian packages that are missing, and only those.
#
#   scripts/deps.sh GROUP...      build, test, lint
#
# Says nothing where nothing is missing. Servers that come with a test package
# (nginx, sshd, fcgiwrap) are neither started nor enabled: the tests start their
# own, on loopback.
set -euo pipefail

declare -A groups=(
	[build]="ca-certificates fuse3 gcc git libc6-dev libcurl4-openssl-dev libdeflate-dev
		libfuse3-dev liblmdb-dev libssl-dev make meson ninja-build pkg-config scdoc zlib1g-dev"
	[test]="fcgiwrap libcmocka-dev nginx-light openssh-client openssh-server perl procps
		python3 python3-dulwich e2fsprogs openssl patch rsync sqlite3 util-linux vim-tiny"
	[lint]="clang clang-format clang-tidy libclang-rt-14-dev shellcheck"
)
policy=/usr/sbin/policy-rc.d

print_missing() {
	local package status
	for package in "$@"; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$status" = installed ] || echo "$package"
	done
}

# What deb-systemd-invoke and invoke-rc.d ask before they start a server. One that
# stands there already is the administrator's, and stays.
forbid_servers() {
	[ ! -e "$policy" ] || return 0
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

# Only those that were not there before.
disable_servers() {
	command -v systemctl >/dev/null || return 0
	local package
	for package in "$@"; do
		case $package in
		nginx-light) systemctl --quiet disable nginx.service ;;
		openssh-server) systemctl --quiet disable ssh.service ;;
		fcgiwrap) systemctl --quiet disable fcgiwrap.service fcgiwrap.socket ;;
		esac
	done
}

install_as_root() {
	local log
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
	forbid_servers
	if ! { apt-get update -q &&
		apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
	} </dev/null >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		echo "deps: apt-get failed; it was asked for: $*" >&2
		return 1
	fi
	rm -f "$log"
	disable_servers "$@" >/dev/null 2>&1 || true
}

if [ "${1-}" = --as-root ]; then
	shift
	install_as_root "$@"
	exit
fi

wanted=()
for group in "$@"; do
	# shellcheck disable=SC2206 # words, one a package
	wanted+=(${groups[$group]:?unknown group $group})
done
if ! command -v dpkg-query >/dev/null; then
	echo "deps: this is no Debian; these packages, or their like, are needed: ${wanted[*]}" >&2
	exit 0
fi
mapfile -t missing < <(print_missing "${wanted[@]}")
[ ${#missing[@]} -gt 0 ] || exit 0

self=$(readlink -f "$0")
echo "deps: installing ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
	exec "$self" --as-root "${missing[@]}"
fi
if command -v sudo >/dev/null && sudo "$self" --as-root "${missing[@]}"; then
	exit 0
fi
{
	echo "deps: packages are missing, and could not be installed. As root, type:"
	echo "apt-get update && apt-get install --no-install-recommends ${missing[*]}"
} >&2
exit 1
