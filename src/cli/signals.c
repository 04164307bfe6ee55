/* Signals of a daemon; see signals.h. */
#include "cli/signals.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"

void signals_fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

void signals_unmount(struct signals *signals)
{
	struct session *session = atomic_load(&signals->session);

	if (session != NULL && !atomic_exchange(&signals->unmounted, true))
		session_unmount(session);
}

static void call_off(struct signals *signals)
{
	cancel_set(&signals->cancel);
	signals_unmount(signals);
}

static void *signals_run(void *arg)
{
	struct signals *signals = arg;
	struct pollfd fds[3] = {
		{ .fd = signals->stop.fd, .events = POLLIN },
		{ .fd = signals->signal_fd, .events = POLLIN },
		{ .fd = signals->channel, .events = 0 }, /* POLLHUP alone */
	};
	struct signalfd_siginfo info;

	while (!cancel_is_set(&signals->stop)) {
		if (atomic_load(&signals->ready))
			fds[2].fd = -1;
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents != 0 &&
		    io_read(signals->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			if (atomic_load(&signals->ready))
				log_line(LOG_INFO, "cli", "event=signal number=%u",
					 info.ssi_signo);
			call_off(signals);
		}
		if (fds[2].revents != 0) {
			if (!atomic_load(&signals->ready))
				call_off(signals);
			fds[2].fd = -1;
		}
	}
	return NULL;
}

int signals_start(struct signals *signals, int channel)
{
	sigset_t set;
	int ret;

	signals->channel = channel;
	atomic_init(&signals->ready, false);
	atomic_init(&signals->session, NULL);
	atomic_init(&signals->unmounted, false);
	signals_fill(&set);
	signals->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals->signal_fd < 0)
		return -errno;
	ret = cancel_init(&signals->cancel);
	if (ret < 0)
		goto fail_fd;
	ret = cancel_init(&signals->stop);
	if (ret < 0)
		goto fail_cancel;
	ret = thread_start(&signals->thread, "signals", signals_run, signals);
	if (ret < 0)
		goto fail_stop;
	return 0;
fail_stop:
	cancel_release(&signals->stop);
fail_cancel:
	cancel_release(&signals->cancel);
fail_fd:
	io_close(&signals->signal_fd);
	return ret;
}

void signals_stop(struct signals *signals)
{
	cancel_set(&signals->stop);
	pthread_join(signals->thread, NULL);
	cancel_release(&signals->stop);
	cancel_release(&signals->cancel);
	io_close(&signals->signal_fd);
}

void signals_set_session(struct signals *signals, struct session *session)
{
	atomic_store(&signals->session, session);
}

void signals_set_ready(struct signals *signals)
{
	atomic_store(&signals->ready, true);
}
