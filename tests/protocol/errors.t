#!/bin/bash
# What a server says no with, in words for people; and passwords, which are in none.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
make_odd_repo "$T/repos/odd.git"
tip=$(repo_git odd rev-parse main)
good="ref refs/heads/main $tip $tip"

# --- answers of an nginx that is no git server, or one in front of it ---

# odd_server PORT: the locations are the cases
odd_server() {
	local dir=$T/servers/odd

	mkdir -p "$dir"
	[ "$(id -u)" -ne 0 ] || printf 'user root root;\n' >"$dir/nginx.conf"
	cat >>"$dir/nginx.conf" <<-CONF
		daemon off;
		pid $dir/nginx.pid;
		error_log $dir/error.log warn;
		events { worker_connections 64; }
		http {
			access_log off;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			default_type text/html;
			server {
				listen 127.0.0.1:$1;
				location /401/ { add_header WWW-Authenticate 'Basic realm="r"' always; return 401; }
				location /403/ { default_type text/plain; return 403 "not for \\x1b[31myou"; }
				location /404/ { return 404; }
				location /410/ { return 410; }
				location /429/ { return 429; }
				location /500/ { return 500; }
				location /502/ { proxy_pass http://127.0.0.1:1; }
				location /503/ { return 503; }
				location /200/ { return 200 "<html>Welcome</html>"; }
				location /none/ { return 204; }
				location /close/ { return 444; }
				location /text/ { types { } default_type text/plain; return 200 "hello"; }
				location /lies/ {
					types { }
					default_type application/x-git-upload-pack-result;
					return 200 "hello, this is not git";
				}
				location /big/ { types { } default_type text/html; root $dir; }
				location /loop/ { return 302 /loop/\$request_uri; }
			}
		}
	CONF
	mkdir -p "$dir/big/x.git/info"
	head -c 5000000 /dev/zero >"$dir/big/x.git/info/refs"
	server_nginx odd "$dir" "$1"
}

# says PATH REGEX: what a resolve says
says() {
	probe "$odd_url/$1/x.git" resolve HEAD ';' clock
	like "/$1/: $2" "$STATUS $OUT" "^1 error $2"
	like "/$1/: the address is named" "$OUT" "$odd_url/$1/x.git"
	not_ok "/$1/: nothing reaches for the terminal" grep -q $'\e' <<<"$OUT"
	within "/$1/: at once" "${OUT##*clock }" 0 5000
}

port=$(free_port)
odd_server "$port" || diag "$(cat "$T/servers/odd/nginx.out" "$T/servers/odd/error.log")"
odd_url=http://127.0.0.1:$port
says 401 'EACCES .*status 401 \(access denied\)'
says 403 'EACCES .*status 403 \(access denied\): not for .*you'
says 404 'ENOENT .*status 404 \(no such repository\)'
says 410 'ENOENT .*status 410'
says 429 'EHOSTUNREACH .*status 429'
says 500 'EPROTO .*status 500'
says 502 'EHOSTUNREACH .*status 502'
says 503 'EHOSTUNREACH .*status 503'
says 200 'EPROTO .*text/html.*not git'
says none 'EPROTO .*status 204'
says close 'EHOSTUNREACH .*'
says text 'EPROTO .*text/plain.*not git'
says lies 'EPROTO .*not git'
says big 'EPROTO .*not git'
within '/big/: and is not read to its end' "$RECEIVED" 0 2000000
says loop 'EPROTO .*redirect'

# --- passwords ---
# No colon: the password file of nginx has its own use for it.
secret='p@ss/w rd%'
server_start locked --password "user:$secret"
server_start open
host=$(server_url locked)
host=${host#http://}
escaped='p%40ss%2Fw%20rd%25'

# says_no NAME URL: refused, and no password in it
says_no() {
	probe "$2" resolve HEAD ';' list "$tip" 1 ';' sizes "$tip" ';' algo
	like "$1: refused" "$STATUS $OUT" '^1 error EACCES .*status 401 \(access denied\)'
	is "$1: by each call" "$(grep -c '^error EACCES ' <<<"$OUT")" 4
	not_ok "$1: the password is not shown" grep -q -e 'p@ss' -e 'p%40ss' -e 'wrong' <<<"$OUT"
}

probe "http://user:$escaped@$host/odd.git" resolve HEAD ';' list tip 1 ';' \
	sizes "$(repo_git odd rev-parse main:modes/tool)"
is 'with the password: exit code' "$STATUS" 0
is 'with the password: the ref' "${OUT%%$'\n'*}" "$good"
is 'with the password: the names' "$(grep -c -e ' commit ' -e ' tree ' <<<"$OUT")" 2
is 'with the password: a size' "${OUT##* }" 9
not_ok 'with the password: it is not shown' grep -q -e 'p@ss' -e 'p%40ss' <<<"$OUT"
is 'with the password: it is sent at once' "$(server_requests locked ' 401 ')" 0
says_no 'without one' "http://$host/odd.git"
says_no 'a wrong one' "http://user:wrong@$host/odd.git"
says_no 'another user' "http://other:$escaped@$host/odd.git"
says_no 'a name alone' "http://user@$host/odd.git"
probe "http://user:$escaped@$host/missing.git" resolve HEAD
like 'no such repository' "$STATUS $OUT" "^1 error ENOENT http://$host/missing.git: .*404"
not_ok 'no such repository: no password is shown' grep -q -e 'p@ss' -e 'p%40ss' -e user <<<"$OUT"
server_stop locked
probe "http://user:$escaped@$host/odd.git" resolve HEAD
like 'nobody there' "$STATUS $OUT" "^1 error EHOSTUNREACH http://$host/odd.git: "
not_ok 'nobody there: no password is shown' grep -q -e 'p@ss' -e 'p%40ss' <<<"$OUT"
open=$(server_url open)
probe "http://user:$escaped@${open#http://}/odd.git" resolve HEAD
is 'a password that nobody asks for does no harm' "$OUT" "$good"

# --- addresses ---
probe http://127.0.0.1:1/x.git resolve HEAD
like 'a closed port' "$STATUS $OUT" '^1 error EHOSTUNREACH http://127.0.0.1:1/x.git: '
probe http://nowhere.invalid/x.git resolve HEAD
like 'a host that is not' "$STATUS $OUT" '^1 error EHOSTUNREACH http://nowhere.invalid/x.git: '
for url in ftp://127.0.0.1/x.git ext::true http:///x.git -x "http://127.0.0.1/a"$'\n'b; do
	probe -- "$url" resolve HEAD
	like "'${url//$'\n'/?}' is no address" "$STATUS $OUT" '^1 error E(INVAL|OPNOTSUPP|NOENT) .'
done
done_testing
