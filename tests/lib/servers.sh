# shellcheck shell=bash
#
# Real git servers on 127.0.0.1 for tests, and a private folder that is gone when
# the test ends, however it ends. Source tap.sh first.
#
#   harness_start                 makes $T, the private folder; $T/repos is served
#   server_start NAME [OPTION...] starts nginx with git http-backend:
#       --no-filter               no partial fetches
#       --no-object-info          no sizes without contents
#       --password USER:PASSWORD  HTTP basic authentication
#       --repos FOLDER            serves the bare repositories there
#       --rtt MS                  clients reach it over a link of that round-trip time
#   server_url NAME               http://127.0.0.1:PORT, through the link if there is one
#   server_stop NAME              stops it earlier than the test's end
#   server_log NAME               the lines of its requests, once all are written:
#                                 METHOD URI STATUS BYTES_SENT REQUEST_LENGTH CONNECTION
#   server_log_reset NAME         forgets them
#   server_requests NAME [REGEX]  how many (whose line matches an awk regex)
#   server_sent NAME              bytes sent, headers included
#   server_received NAME          bytes received, headers included
#   link_start NAME PORT MS       the slow link alone, in front of any PORT
#   link_port NAME                where clients reach it
#   link_counts NAME              "conns N up BYTES down BYTES" since its start
#   harness_adopt PID             ends that process, too, when the test ends
#
# Every server has its folder $T/servers/NAME with its configuration and logs. What
# starts or stops something must run in the test's own shell, not in $() or under
# `ok`: it remembers process ids.
# GIT_FS_TEST_KEEP=1 leaves $T behind.

T=
HARNESS_PIDS=()
declare -A SERVER_PORT=() SERVER_PIDS=() LINK_PORT=() LINK_PID=()

harness_start() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/git-fs-test.XXXXXX")
	mkdir -p "$T/repos" "$T/servers" "$T/home"
	trap harness_stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	# Neither the machine's nor the user's git configuration has a say.
	export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL="$T/home/.gitconfig" GIT_TERMINAL_PROMPT=0
	export HOME="$T/home" XDG_CACHE_HOME="$T/home/cache" XDG_STATE_HOME="$T/home/state"
	export XDG_CONFIG_HOME="$T/home/config"
	unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ASKPASS SSH_ASKPASS
	unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
	git config --global user.name 'Test Person'
	git config --global user.email 'test@example.org'
	git config --global init.defaultBranch main
	git config --global safe.directory '*'
	git config --global advice.detachedHead false
}

harness_adopt() {
	HARNESS_PIDS+=("$1")
}

harness_stop() {
	local status=$? pid

	# Whatever fails from here on, the rest is still to be done.
	set +e
	trap - EXIT
	trap '' INT TERM HUP
	cd /
	unmount_all
	for pid in "${HARNESS_PIDS[@]}"; do
		end_process "$pid"
	done
	if [ "$status" -ne 0 ] || [ "${TAP_FAILED:-0}" -ne 0 ]; then
		show_errors
	fi
	if [ -n "${GIT_FS_TEST_KEEP:-}" ]; then
		diag "kept: $T"
	else
		chmod -R u+rwX "$T" 2>/dev/null
		rm -rf --one-file-system "$T"
	fi
	exit "$status"
}

# What the servers complained about, for people.
show_errors() {
	local log

	for log in "$T"/servers/*/error.log; do
		if [ -s "$log" ]; then
			diag "$log ends so:"
			diag "$(tail -n 10 "$log")"
		fi
	done
}

# The mount points under $T, the innermost first.
mounts_below() {
	local point

	# The kernel writes a blank as \040, and so on.
	while read -r _ _ _ _ point _; do
		point=$(printf '%b' "${point//\\/\\0}")
		if [[ $point == "$T"/* ]]; then
			printf '%s\0' "$point"
		fi
	done </proc/self/mountinfo | sort -zr
}

unmount_all() {
	local point

	while IFS= read -r -d '' point; do
		timeout 10 fusermount3 -u "$point" 2>/dev/null ||
			timeout 10 fusermount3 -uz "$point" 2>/dev/null ||
			timeout 10 umount -l "$point" 2>/dev/null ||
			diag "cannot unmount $point"
	done < <(mounts_below)
}

process_runs() {
	local state

	state=$(ps -o state= -p "$1" 2>/dev/null) && [ -n "$state" ] && [ "$state" != Z ]
}

# Becomes a program that leads a process group of its own, so that all of it can be
# ended, and that is ended if the test's shell is killed.
leader() {
	exec setsid setpriv --pdeathsig TERM "$@"
}

# The same for one that leaves its workers behind when it is ended: what leads is a
# shell that ends the group.
guarded_leader() {
	# shellcheck disable=SC2016 # for the inner shell
	leader bash -c 'trap "trap : TERM; kill -TERM 0" TERM; "$@" & wait $!' guard "$@"
}

# SIGTERM to the process group that a process leads, or to it alone; SIGKILL after
# 3 s.
end_process() {
	local pid=$1 signal tries

	for signal in TERM KILL; do
		kill "-$signal" -- "-$pid" 2>/dev/null || kill "-$signal" "$pid" 2>/dev/null || true
		for ((tries = 0; tries < 60; tries++)); do
			process_runs "$pid" || break 2
			sleep 0.05
		done
	done
	wait "$pid" 2>/dev/null || true
}

# wait_for SECONDS COMMAND...: until it exits 0; false if it never does.
wait_for() {
	local tries=$(($1 * 20))

	shift
	while ! "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

port_answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port below those that the kernel gives out by itself, on which nobody answers.
free_port() {
	local port

	while :; do
		port=$((10240 + (RANDOM * 32768 + RANDOM) % 22000))
		port_answers "$port" || break
	done
	printf '%s\n' "$port"
}

# What `git config` of the server says, as fastcgi parameters: the environment
# overrides what stands in a repository.
server_git_config() {
	local filter=$1 object_info=$2 count=0 setting

	for setting in "safe.directory=*" "http.receivepack=true" "http.uploadpack=true" \
		"uploadpack.allowFilter=$filter" "transfer.advertiseObjectInfo=$object_info"; do
		printf '\t\t\tfastcgi_param GIT_CONFIG_KEY_%d "%s";\n' "$count" "${setting%%=*}"
		printf '\t\t\tfastcgi_param GIT_CONFIG_VALUE_%d "%s";\n' "$count" "${setting#*=}"
		count=$((count + 1))
	done
	printf '\t\t\tfastcgi_param GIT_CONFIG_COUNT "%d";\n' "$count"
}

# server_config FOLDER PORT REPOS CGI FILTER OBJECT_INFO PASSWORD
server_config() {
	local dir=$1 port=$2 repos=$3 cgi=$4 filter=$5 object_info=$6 password=$7

	if [ "$(id -u)" -eq 0 ]; then
		# Else the workers would be nobody, who cannot look into $T.
		printf 'user root root;\n'
	fi
	cat <<-CONF
		worker_processes 2;
		daemon off;
		pid $dir/nginx.pid;
		error_log $dir/error.log warn;
		events { worker_connections 512; }
		http {
			log_format requests '\$request_method \$request_uri \$status \$bytes_sent '
				'\$request_length \$connection';
			access_log $dir/access.log requests;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			client_max_body_size 0;
			keepalive_requests 100000;
			tcp_nodelay on;
			server {
				listen 127.0.0.1:$port;
	CONF
	if [ -n "$password" ]; then
		printf '\t\tauth_basic "git";\n\t\tauth_basic_user_file %s/users;\n' "$dir"
	fi
	cat <<-CONF
				location / {
					fastcgi_pass unix:$dir/fcgi.sock;
					fastcgi_buffering off;
					fastcgi_read_timeout 300s;
					fastcgi_param SCRIPT_FILENAME $cgi;
					fastcgi_param PATH_INFO \$uri;
					fastcgi_param QUERY_STRING \$query_string;
					fastcgi_param REQUEST_METHOD \$request_method;
					fastcgi_param CONTENT_TYPE \$content_type;
					fastcgi_param CONTENT_LENGTH \$content_length;
					fastcgi_param REMOTE_USER \$remote_user;
					fastcgi_param REMOTE_ADDR \$remote_addr;
					fastcgi_param SERVER_PROTOCOL \$server_protocol;
					fastcgi_param GIT_PROTOCOL \$http_git_protocol;
					fastcgi_param GIT_PROJECT_ROOT $repos;
					fastcgi_param GIT_HTTP_EXPORT_ALL 1;
					fastcgi_param GIT_CONFIG_NOSYSTEM 1;
					fastcgi_param GIT_CONFIG_GLOBAL /dev/null;
					fastcgi_param HOME $dir;
					fastcgi_param PATH "$PATH";
	CONF
	server_git_config "$filter" "$object_info"
	printf '\t\t}\n\t}\n}\n'
}

# server_nginx NAME FOLDER PORT: false where nginx could not have the port.
server_nginx() {
	local pid

	leader nginx -p "$2" -e "$2/error.log" -c "$2/nginx.conf" </dev/null >"$2/nginx.out" 2>&1 &
	pid=$!
	harness_adopt "$pid"
	SERVER_PIDS[$1]+=" $pid"
	wait_for 10 nginx_answers "$pid" "$3" && process_runs "$pid"
}

nginx_answers() {
	port_answers "$2" || ! process_runs "$1"
}

server_start() {
	local name=$1 repos=$T/repos filter=true object_info=true password='' rtt=''
	local dir=$T/servers/$1 cgi port tries

	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--no-filter) filter=false ;;
		--no-object-info) object_info=false ;;
		--password) password=$2 && shift ;;
		--repos) repos=$2 && shift ;;
		--rtt) rtt=$2 && shift ;;
		*) diag "server_start: no option $1" && return 2 ;;
		esac
		shift
	done
	mkdir -p "$dir"
	: >"$dir/access.log"
	cgi=$(git --exec-path)/git-http-backend
	[ "$object_info" = true ] || cgi=$TAP_LIB/no-object-info.cgi
	[ -z "$password" ] || printf '%s:{PLAIN}%s\n' "${password%%:*}" "${password#*:}" >"$dir/users"

	guarded_leader fcgiwrap -f -c 4 -s "unix:$dir/fcgi.sock" </dev/null >"$dir/fcgiwrap.out" 2>&1 &
	harness_adopt $!
	SERVER_PIDS[$name]=$!
	wait_for 10 test -S "$dir/fcgi.sock" || return 1
	for ((tries = 0; tries < 5; tries++)); do
		port=$(free_port)
		server_config "$dir" "$port" "$repos" "$cgi" "$filter" "$object_info" "$password" \
			>"$dir/nginx.conf"
		if server_nginx "$name" "$dir" "$port"; then
			SERVER_PORT[$name]=$port
			[ -z "$rtt" ] || link_start "$name" "$port" "$rtt"
			return
		fi
	done
	diag "nginx does not start:"
	diag "$(cat "$dir/nginx.out" "$dir/error.log")"
	return 1
}

server_stop() {
	local pid

	for pid in ${SERVER_PIDS[$1]} ${LINK_PID[$1]:-}; do
		end_process "$pid"
	done
}

server_url() {
	printf 'http://127.0.0.1:%s\n' "${LINK_PORT[$1]:-${SERVER_PORT[$1]}}"
}

# nginx writes a request's line after its last byte is sent: whoever got that byte
# may look too early.
server_log() {
	local log=$T/servers/$1/access.log before='' now tries

	for ((tries = 0; tries < 100; tries++)); do
		now=$(stat -c %s "$log")
		[ "$now" != "$before" ] || break
		before=$now
		sleep 0.1
	done
	cat "$log"
}

server_log_reset() {
	server_log "$1" >/dev/null
	: >"$T/servers/$1/access.log"
}

server_requests() {
	server_log "$1" | awk -v regex="${2:-}" '$0 ~ regex { n++ } END { print n + 0 }'
}

server_sent() {
	server_log "$1" | awk '{ n += $4 } END { print n + 0 }'
}

server_received() {
	server_log "$1" | awk '{ n += $5 } END { print n + 0 }'
}

link_start() {
	local name=$1 dir=$T/servers/$1

	mkdir -p "$dir"
	leader "$GIT_FS_BUILD/tests/tools/delayproxy" --listen 0 --to "127.0.0.1:$2" --rtt "$3" \
		--log "$dir/link.log" </dev/null >"$dir/link.out" 2>"$dir/link.err" &
	LINK_PID[$name]=$!
	harness_adopt $!
	wait_for 10 link_settled "${LINK_PID[$name]}" "$dir/link.out"
	LINK_PORT[$name]=$(sed -n 's/^port //p' "$dir/link.out")
	if [ -z "${LINK_PORT[$name]}" ]; then
		diag "delayproxy does not start: $(cat "$dir/link.err")"
		return 1
	fi
}

# It says where it listens, or it is gone.
link_settled() {
	grep -q '^port ' "$2" || ! process_runs "$1"
}

link_port() {
	printf '%s\n' "${LINK_PORT[$1]}"
}

link_lines() {
	grep -c '^conns ' "$T/servers/$1/link.log" || true
}

link_lines_beyond() {
	[ "$(link_lines "$1")" -gt "$2" ]
}

link_counts() {
	local before

	before=$(link_lines "$1")
	kill -USR1 "${LINK_PID[$1]}"
	wait_for 5 link_lines_beyond "$1" "$before" || return 1
	grep '^conns ' "$T/servers/$1/link.log" | tail -n 1
}
