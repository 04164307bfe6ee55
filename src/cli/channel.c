/* Messages between a daemon and its watcher; see channel.h. */
#include "cli/channel.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int channel_open(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

int channel_send(int fd, enum channel_kind kind, uint64_t dev, const char *words)
{
	struct channel_message message;

	memset(&message, 0, sizeof(message));
	message.kind = kind;
	message.dev = dev;
	snprintf(message.words, sizeof(message.words), "%s", words);
	while (send(fd, &message, sizeof(message), MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int channel_recv(int fd, struct channel_message *out, const struct cancel *cancel, int wake_fd)
{
	struct pollfd fds[3] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN },
		{ .fd = wake_fd, .events = POLLIN },
	};
	struct channel_message message;
	ssize_t n;

	do {
		fds[0].revents = fds[1].revents = fds[2].revents = 0;
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents != 0 || fds[2].revents != 0)
			return ERR_CANCELLED;
	} while (fds[0].revents == 0);
	n = recv(fd, &message, sizeof(message), MSG_DONTWAIT);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n != (ssize_t)sizeof(message))
		return -EPIPE;
	message.words[sizeof(message.words) - 1] = '\0';
	*out = message;
	return 0;
}
