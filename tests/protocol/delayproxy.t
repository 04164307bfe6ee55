#!/bin/bash
# The emulated link: its delays, its order, its ends, its counts. Benchmarks rely
# on it, so its accuracy is a test of its own.
set -u
cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh
. ../lib/servers.sh

harness_start

# A server that answers what it reads, byte for byte; one connection, one process.
# "banner": it speaks first. "reset": it resets the connection after the first bytes.
cat >"$T/echo.pl" <<'PERL'
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
$SIG{CHLD} = 'IGNORE';
my $how = shift // '';
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128, ReuseAddr => 1)
	or die "listen: $!\n";
print "port ", $listener->sockport, "\n";
close STDOUT;
while (my $peer = $listener->accept) {
	if (fork) {
		close $peer;
		next;
	}
	syswrite($peer, "banner\n") if $how eq 'banner';
	while (sysread($peer, my $data, 65536)) {
		for (my $at = 0; $at < length $data;) {
			$at += syswrite($peer, $data, length($data) - $at, $at) // exit 1;
		}
		if ($how eq 'reset') {
			setsockopt($peer, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
			close $peer;
			exit 0;
		}
	}
	syswrite($peer, "end\n") if $how eq 'end';
	exit 0;
}
PERL

# A client. Times are in microseconds.
cat >"$T/client.pl" <<'PERL'
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);
my ($what, $port, $count) = @ARGV;
my $start;
sub us { return int((clock_gettime(CLOCK_MONOTONIC) - $start) * 1e6) }
sub dial {
	my $peer = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die "connect: $!\n";
	setsockopt($peer, IPPROTO_TCP, TCP_NODELAY, 1);
	return $peer;
}
$start = clock_gettime(CLOCK_MONOTONIC);
my $peer = dial();
if ($what eq 'pings') {                 # each round trip, sorted
	my @times;
	for (0 .. $count) {
		$start = clock_gettime(CLOCK_MONOTONIC) if $_;
		syswrite($peer, 'x');
		sysread($peer, my $data, 1) or die "cut off\n";
		push @times, us();
	}
	my $first = shift @times;
	print "$first ", join(' ', sort { $a <=> $b } @times), "\n";
} elsif ($what eq 'banner') {           # until the server's first bytes
	sysread($peer, my $data, 100);
	print us(), " $data";
} elsif ($what eq 'half') {             # sends, ends its half, reads to the end
	syswrite($peer, 'hello ');
	$peer->shutdown(1);
	my $all = '';
	1 while sysread($peer, $all, 100, length $all);
	print "$all";
} elsif ($what eq 'reset') {            # what the end of a reset connection looks like
	syswrite($peer, 'hello');
	my ($all, $got) = ('');
	1 while $got = sysread($peer, $all, 100, length $all);
	print defined $got ? 'end' : $!{ECONNRESET} ? 'reset' : "$!", "\n";
} elsif ($what eq 'stuff') {            # sends without reading; the bytes taken in 1 s
	$peer->blocking(0);
	my ($sent, $select) = (0, IO::Select->new($peer));
	while ($select->can_write(1)) {
		$sent += syswrite($peer, 'x' x 65536) // 0;
	}
	print "$sent\n";
} elsif ($what eq 'many') {             # so many connections at once, a ping on each
	my @peers = ($peer, map { dial() } 2 .. $count);
	syswrite($_, 'x') for @peers;
	my $data;
	for (@peers) { sysread($_, $data, 1) or die "cut off\n" }
	print us(), "\n";
} elsif ($what eq 'copy') {             # stdin to the peer, its answer to stdout
	binmode STDIN;
	binmode STDOUT;
	my $pid = fork;
	if (!$pid) {
		while (sysread(STDIN, my $data, 65536)) {
			for (my $at = 0; $at < length $data;) {
				$at += syswrite($peer, $data, length($data) - $at, $at);
			}
		}
		$peer->shutdown(1);
		exit 0;
	}
	while (sysread($peer, my $data, 65536)) { print $data }
	waitpid($pid, 0);
}
PERL

# echo_start NAME HOW: its port is in $T/NAME.port
echo_start() {
	perl "$T/echo.pl" "$2" >"$T/$1.port" 2>"$T/$1.err" &
	harness_adopt $!
	wait_for 10 grep -q '^port ' "$T/$1.port"
}

echo_port() {
	sed -n 's/^port //p' "$T/$1.port"
}

client() {
	timeout 60 perl "$T/client.pl" "$1" "$(link_port "$2")" "${3:-}"
}

for how in echo banner end reset; do
	echo_start $how $how || exit 1
	link_start $how "$(echo_port $how)" 40 || exit 1
done
link_start zero "$(echo_port echo)" 0 || exit 1
nobody=$(free_port)
link_start nobody "$nobody" 20 || exit 1

# Accuracy. The median, and the fastest; the rest is the machine's.
read -r first times < <(client pings echo 41)
median=$(cut -d ' ' -f 21 <<<"$times")
within 'a round trip: never faster' "${times%% *}" 40000 42000
within 'a round trip: 40 ms' "$median" 40000 42000
within 'the first costs another one' "$first" 80000 90000
read -r first times < <(client pings zero 41)
within 'without delay: the proxy itself' "$(cut -d ' ' -f 21 <<<"$times")" 0 2000
read -r took words < <(client banner banner)
is 'a server may speak first' "$words" banner
within 'and is heard after two round trips' "$took" 80000 95000

# Ends and order.
is 'an end is passed on, the other half stays open' "$(client half end)" 'hello end'
is 'a reset is passed on' "$(client reset reset)" reset
is 'so is a refused connection' "$(client reset nobody)" reset
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c $((48 << 20)) >"$T/data"
start=$(date +%s%N)
client copy echo <"$T/data" >"$T/copy"
took=$((($(date +%s%N) - start) / 1000000))
ok '48 MiB come back as they were' cmp "$T/data" "$T/copy"
within 'and in less time than one buffer a round trip would take (ms)' "$took" 120 5000

# Bounds.
within 'who does not read is held back' "$(client stuff echo)" 8000000 64000000
# One after the other would take 24 s; most of the time is the echoing server's.
within '300 connections at once' "$(client many echo 300)" 80000 12000000
proxy=${LINK_PID[echo]}
# Much of it is ASan's, where that is in use.
within 'its memory stays small (KiB)' \
	"$(awk '/^VmHWM/ { print $2 }' "/proc/$proxy/status")" 1 262144
sleep 0.5
before=$(awk '{ print $14 + $15 }' "/proc/$proxy/stat")
sleep 1
after=$(awk '{ print $14 + $15 }' "/proc/$proxy/stat")
within 'idle, it does nothing (ticks of 100)' $((after - before)) 0 5

# Counts.
link_start counted "$(echo_port end)" 10 || exit 1
client half counted >"$T/out"
client half counted >"$T/out"
is 'the sum' "$(link_counts counted)" 'conns 2 up 12 down 20'
like 'a line for each connection' "$(grep '^conn 2' "$T/servers/counted/link.log")" \
	'^conn 2 up 6 down 10 ms [0-9]+$'
end_process "${LINK_PID[counted]}"
not_ok 'SIGTERM ends it' port_answers "$(link_port counted)"

# Usage.
program=$GIT_FS_BUILD/tests/tools/delayproxy
for arguments in '' '--listen 0 --rtt 1' '--listen 0 --to 127.0.0.1:1' \
	'--listen x --to 127.0.0.1:1 --rtt 1' '--listen 70000 --to 127.0.0.1:1 --rtt 1' \
	'--listen 0 --to 127.0.0.1:1 --rtt -1' '--listen 0 --to nowhere --rtt 1' \
	'--listen 0 --to 127.0.0.1:1 --rtt 1 more'; do
	# shellcheck disable=SC2086 # words
	timeout 5 "$program" $arguments >"$T/out" 2>"$T/words"
	is "refused: '$arguments'" "$? $(wc -c <"$T/out")" '2 0'
done

done_testing
