/*
 * A TCP proxy that makes loopback as slow as a link with a given round-trip
 * time, for tests and benchmarks:
 *
 *   delayproxy --listen PORT --to HOST:PORT --rtt MS [--log FILE]
 *
 * PORT 0 takes a free one; "port N" on stdout says which. The model:
 *
 *   client             proxy                    server
 *     | connect  T       |                        |
 *     | bytes    t ----> | due max(t, T+rtt)      |
 *     |                  |     + rtt/2 ---------> |
 *     |                  |                        | bytes u
 *     | <--------------- | due max(u, T+1.5 rtt)  |
 *     |                  |     + rtt/2            |
 *
 * The kernel accepts for us at once, where SYN and SYN-ACK would take one rtt:
 * before T+rtt a client on such a link had not sent anything, and before
 * T+1.5 rtt the server had not known of it. So the first answer comes two rtt
 * after connect, and every later one rtt after its request. Bandwidth is
 * unlimited but for QUEUE_MAX bytes under way in a direction; a full direction
 * is not read from, so that TCP holds its sender back.
 *
 * A direction lives through: open -> ended (FIN or RST was read and queued like
 * bytes) -> over (it arrived, and was passed on). A connection is closed when
 * both are over, or when an RST arrives. What is queued towards a peer that
 * reset is dropped.
 *
 * One thread, epoll (edge-triggered: what a socket can do is remembered here),
 * one timerfd set to the earliest arrival. After every wake-up each connection
 * is looked at; a socket gives READ_MAX bytes at most before the next has its
 * turn. The log gets a line when a connection closes:
 *   conn ID up BYTES down BYTES ms LIFETIME
 * and on SIGUSR1 the sum since the start, "up" being bytes to the server:
 *   conns N up BYTES down BYTES
 * SIGTERM and SIGINT end it, with the log written.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "delayqueue.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define RTT_MAX_MS 60000U
#define READ_MAX ((size_t)64 << 10) /* bytes taken from a socket at once */
#define EVENTS_MAX 64

enum side { CLIENT, SERVER };

/* What an event belongs to; first in whatever is watched. */
enum kind { WATCH_LISTENER, WATCH_TIMER, WATCH_SIGNALS, WATCH_PEER };

struct watch {
	enum kind kind;
	int fd;
};

/* One end of a connection, and the bytes that came from it. */
struct peer {
	struct watch watch;
	struct queue queue;   /* from this peer to the other */
	uint64_t earliest_ns; /* this peer cannot have sent before */
	uint64_t passed;      /* bytes that arrived at the other */
	bool readable, writable, failed; /* what epoll said last of the socket */
	bool ended, over;                /* of the direction from here to the other */
};

struct conn {
	struct conn *next;
	struct peer peers[2];
	unsigned long id;
	uint64_t accepted_ns;
	bool dead; /* to be closed in this round */
};

struct proxy {
	struct watch listener, timer, signals;
	int epoll;
	FILE *log; /* NULL: none */
	struct sockaddr_storage to;
	socklen_t to_len;
	uint64_t rtt_ns;
	struct conn *conns; /* owned */
	unsigned long accepted;
	uint64_t up, down; /* of closed connections */
	bool paused;       /* no descriptor left: the listener waits for a close */
	bool quit;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

__attribute__((format(printf, 2, 3))) static void write_log(struct proxy *proxy,
							    const char *fmt, ...)
{
	va_list args;

	if (proxy->log == NULL)
		return;
	va_start(args, fmt);
	vfprintf(proxy->log, fmt, args);
	va_end(args);
	fflush(proxy->log);
}

static int watch_add(struct proxy *proxy, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, watch->fd, &event);
}

static void listen_again(struct proxy *proxy, bool on)
{
	struct epoll_event event = { .events = on ? EPOLLIN : 0, .data.ptr = &proxy->listener };

	epoll_ctl(proxy->epoll, EPOLL_CTL_MOD, proxy->listener.fd, &event);
	proxy->paused = !on;
}

/* Queues the end of a direction, to arrive like the bytes before it. */
static void end_direction(struct proxy *proxy, struct conn *conn, struct peer *from,
			  struct peer *to, enum queue_end end)
{
	uint64_t due = max_u64(now_ns(), from->earliest_ns) + proxy->rtt_ns / 2;

	from->ended = true;
	if (end == END_RESET)
		queue_clear(&to->queue);
	if (!queue_put(&from->queue, due, end, NULL, 0))
		conn->dead = true;
}

/* Takes what `from` sent, at most READ_MAX bytes. */
static void receive(struct proxy *proxy, struct conn *conn, struct peer *from, struct peer *to)
{
	static uint8_t data[READ_MAX];

	if (from->ended)
		return;
	if (from->failed) {
		end_direction(proxy, conn, from, to, END_RESET);
		return;
	}
	if (!from->readable || queue_full(&from->queue))
		return;

	ssize_t got = recv(from->watch.fd, data, sizeof(data), 0);
	if (got > 0) {
		uint64_t due = max_u64(now_ns(), from->earliest_ns) + proxy->rtt_ns / 2;

		if (!queue_put(&from->queue, due, END_NONE, data, (size_t)got))
			conn->dead = true;
	} else if (got == 0) {
		end_direction(proxy, conn, from, to, END_FIN);
	} else if (errno == EAGAIN) {
		from->readable = false;
	} else if (errno != EINTR) {
		end_direction(proxy, conn, from, to, END_RESET);
	}
}

/* Passes one piece on; false where the socket takes no more now. */
static bool pass_piece(struct conn *conn, struct peer *from, struct peer *to)
{
	struct piece *piece = from->queue.first;

	if (piece->end == END_RESET) {
		conn->dead = true;
		return false;
	}
	if (piece->end == END_FIN) {
		shutdown(to->watch.fd, SHUT_WR);
		from->over = true;
		conn->dead = to->over;
		queue_drop(&from->queue);
		return true;
	}

	ssize_t put = send(to->watch.fd, piece->data + piece->sent, piece->len - piece->sent,
			   MSG_NOSIGNAL);
	if (put < 0) {
		if (errno == EAGAIN)
			to->writable = false;
		else if (errno != EINTR)
			conn->dead = true;
		return errno == EINTR;
	}
	piece->sent += (size_t)put;
	from->passed += (uint64_t)put;
	if (piece->sent == piece->len)
		queue_drop(&from->queue);
	return true;
}

/* Passes on what has arrived by now. */
static void deliver(struct conn *conn, struct peer *from, struct peer *to)
{
	while (!conn->dead && to->writable && queue_due(&from->queue) <= now_ns()) {
		if (!pass_piece(conn, from, to))
			return;
	}
}

/* What the loop has to do next for any connection. */
struct next {
	uint64_t due_ns;
	bool at_once; /* bytes can be read now */
};

static void serve(struct proxy *proxy, struct conn *conn, struct next *next)
{
	for (int side = CLIENT; side <= SERVER; side++) {
		struct peer *from = &conn->peers[side], *to = &conn->peers[!side];

		receive(proxy, conn, from, to);
		deliver(conn, from, to);
		if (from->readable && !from->ended && !queue_full(&from->queue))
			next->at_once = true;
		if (to->writable && queue_due(&from->queue) < next->due_ns)
			next->due_ns = queue_due(&from->queue);
	}
}

static void close_conn(struct proxy *proxy, struct conn *conn)
{
	struct peer *client = &conn->peers[CLIENT], *server = &conn->peers[SERVER];
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	for (int side = CLIENT; side <= SERVER; side++) {
		struct peer *peer = &conn->peers[side];

		/* Closed before both ends came through: by an RST. */
		if (!client->over || !server->over)
			setsockopt(peer->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(peer->watch.fd);
		queue_clear(&peer->queue);
	}
	proxy->up += client->passed;
	proxy->down += server->passed;
	write_log(proxy, "conn %lu up %" PRIu64 " down %" PRIu64 " ms %" PRIu64 "\n", conn->id,
		  client->passed, server->passed, (now_ns() - conn->accepted_ns) / NS_PER_MS);
	free(conn);
	if (proxy->paused)
		listen_again(proxy, true);
}

static void init_peer(struct peer *peer, int fd, uint64_t earliest_ns)
{
	const int on = 1;

	*peer = (struct peer){ .watch = { WATCH_PEER, fd }, .earliest_ns = earliest_ns };
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Takes over client_fd and server_fd, whatever comes. */
static void add_conn(struct proxy *proxy, int client_fd, int server_fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	uint64_t now = now_ns();

	if (conn != NULL) {
		conn->id = ++proxy->accepted;
		conn->accepted_ns = now;
		init_peer(&conn->peers[CLIENT], client_fd, now + proxy->rtt_ns);
		init_peer(&conn->peers[SERVER], server_fd,
			  now + proxy->rtt_ns + proxy->rtt_ns / 2);
	}
	if (conn == NULL ||
	    watch_add(proxy, &conn->peers[CLIENT].watch, EPOLLIN | EPOLLOUT | EPOLLET) < 0 ||
	    watch_add(proxy, &conn->peers[SERVER].watch, EPOLLIN | EPOLLOUT | EPOLLET) < 0) {
		perror("delayproxy: new connection");
		close(client_fd);
		close(server_fd);
		free(conn);
		return;
	}
	conn->next = proxy->conns;
	proxy->conns = conn;
}

static void accept_conn(struct proxy *proxy)
{
	int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	/* First: once a client is accepted it must be served. */
	int server_fd = socket(proxy->to.ss_family, SOCK_STREAM | flags, 0);
	int client_fd = server_fd < 0 ? -1 : accept4(proxy->listener.fd, NULL, NULL, flags);

	if (client_fd < 0) {
		bool gone = errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;

		if (!gone)
			perror("delayproxy: accept");
		if (server_fd >= 0)
			close(server_fd);
		if (!gone)
			listen_again(proxy, false);
		return;
	}
	/* A refusal shows as an error of the socket, and is passed on as an RST. */
	(void)connect(server_fd, (const struct sockaddr *)&proxy->to, proxy->to_len);
	add_conn(proxy, client_fd, server_fd);
}

static void take_signal(struct proxy *proxy)
{
	struct signalfd_siginfo info;

	if (read(proxy->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		proxy->quit = true;
		return;
	}
	uint64_t up = proxy->up, down = proxy->down;
	for (const struct conn *conn = proxy->conns; conn != NULL; conn = conn->next) {
		up += conn->peers[CLIENT].passed;
		down += conn->peers[SERVER].passed;
	}
	write_log(proxy, "conns %lu up %" PRIu64 " down %" PRIu64 "\n", proxy->accepted, up, down);
}

static void take_event(struct proxy *proxy, const struct epoll_event *event)
{
	struct watch *watch = event->data.ptr;
	struct peer *peer = event->data.ptr;
	uint64_t ticks;

	switch (watch->kind) {
	case WATCH_LISTENER:
		accept_conn(proxy);
		break;
	case WATCH_TIMER:
		/* Its only work is to wake the loop. */
		(void)!read(watch->fd, &ticks, sizeof(ticks));
		break;
	case WATCH_SIGNALS:
		take_signal(proxy);
		break;
	case WATCH_PEER:
		if (event->events & (EPOLLIN | EPOLLHUP))
			peer->readable = true;
		if (event->events & EPOLLOUT)
			peer->writable = true;
		if (event->events & EPOLLERR)
			peer->failed = true;
		break;
	}
}

static void arm_timer(struct proxy *proxy, uint64_t due_ns)
{
	struct itimerspec at = { .it_value = { 0, 0 } };

	if (due_ns != NEVER) {
		at.it_value.tv_sec = (time_t)(due_ns / NS_PER_S);
		at.it_value.tv_nsec = (long)(due_ns % NS_PER_S);
	}
	timerfd_settime(proxy->timer.fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static struct next serve_all(struct proxy *proxy)
{
	struct next next = { .due_ns = NEVER, .at_once = false };

	for (struct conn **link = &proxy->conns; *link != NULL;) {
		struct conn *conn = *link;

		serve(proxy, conn, &next);
		if (conn->dead) {
			*link = conn->next;
			close_conn(proxy, conn);
		} else {
			link = &conn->next;
		}
	}
	return next;
}

static int run(struct proxy *proxy)
{
	struct epoll_event events[EVENTS_MAX];
	struct next next = { .due_ns = NEVER, .at_once = false };

	while (!proxy->quit) {
		int count = epoll_wait(proxy->epoll, events, EVENTS_MAX, next.at_once ? 0 : -1);

		if (count < 0 && errno != EINTR) {
			perror("delayproxy: epoll_wait");
			return 1;
		}
		for (int i = 0; i < count; i++)
			take_event(proxy, &events[i]);

		next = serve_all(proxy);
		arm_timer(proxy, next.due_ns);
	}
	return 0;
}

/* HOST:PORT to an address; 0 or 1. */
static int parse_target(struct proxy *proxy, const char *text)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(text, ':');
	struct addrinfo *found = NULL;
	char host[256];

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
		fprintf(stderr, "delayproxy: --to needs HOST:PORT\n");
		return 1;
	}
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	int rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc != 0) {
		fprintf(stderr, "delayproxy: %s: %s\n", text, gai_strerror(rc));
		return 1;
	}
	memcpy(&proxy->to, found->ai_addr, found->ai_addrlen);
	proxy->to_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* A decimal number up to max, or -1. */
static long parse_number(const char *text, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	return errno != 0 || end == text || *end != '\0' || value < 0 || value > max ? -1 : value;
}

static int open_listener(struct proxy *proxy, uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	proxy->listener = (struct watch){ WATCH_LISTENER, fd };
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&addr, len) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    watch_add(proxy, &proxy->listener, EPOLLIN) < 0) {
		perror("delayproxy: listen");
		return 1;
	}
	printf("port %u\n", (unsigned)ntohs(addr.sin_port));
	return fflush(stdout) == 0 ? 0 : 1;
}

static int open_watches(struct proxy *proxy)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	proxy->epoll = epoll_create1(EPOLL_CLOEXEC);
	proxy->timer.kind = WATCH_TIMER;
	proxy->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	proxy->signals.kind = WATCH_SIGNALS;
	proxy->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (proxy->epoll < 0 || proxy->timer.fd < 0 || proxy->signals.fd < 0 ||
	    watch_add(proxy, &proxy->timer, EPOLLIN) < 0 ||
	    watch_add(proxy, &proxy->signals, EPOLLIN) < 0) {
		perror("delayproxy");
		return 1;
	}
	return 0;
}

/* The listening port; -1 where an option is missing or wrong. */
static long parse_options(struct proxy *proxy, int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "to", required_argument, NULL, 't' },
		{ "rtt", required_argument, NULL, 'r' },
		{ "log", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	long port = -1, rtt_ms = -1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l') {
			port = parse_number(optarg, UINT16_MAX);
		} else if (option == 'r') {
			rtt_ms = parse_number(optarg, RTT_MAX_MS);
		} else if (option == 't') {
			if (parse_target(proxy, optarg) != 0)
				return -1;
		} else if (option != 'o') {
			return -1;
		} else if (proxy->log == NULL && (proxy->log = fopen(optarg, "ae")) == NULL) {
			perror(optarg);
			return -1;
		}
	}
	if (port < 0 || rtt_ms < 0 || proxy->to_len == 0 || optind != argc) {
		fprintf(stderr, "usage: delayproxy --listen PORT --to HOST:PORT --rtt MS "
				"[--log FILE]\n");
		return -1;
	}
	proxy->rtt_ns = (uint64_t)rtt_ms * NS_PER_MS;
	return port;
}

int main(int argc, char **argv)
{
	struct proxy proxy = { .to_len = 0 };
	long port = parse_options(&proxy, argc, argv);

	if (port < 0)
		return 2;
	if (open_watches(&proxy) != 0 || open_listener(&proxy, (uint16_t)port) != 0)
		return 1;
	int status = run(&proxy);
	while (proxy.conns != NULL) {
		struct conn *conn = proxy.conns;

		proxy.conns = conn->next;
		proxy.paused = false;
		close_conn(&proxy, conn);
	}
	if (proxy.log != NULL)
		fclose(proxy.log);
	return status;
}
