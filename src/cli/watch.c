/* Watching a daemon come up; see watch.h. */
#include "cli/watch.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/channel.h"
#include "cli/probe.h"
#include "cli/say.h"
#include "cli/signals.h"

#define ANSWER_TIMEOUT_MS 10000

/* Asks the mount and tells the daemon. `before` is what the folder was in. */
static int check_mount(int channel, const char *mount_point, dev_t before)
{
	char words[ERR_MSG_MAX];
	dev_t dev = before;
	int ret = probe_path(mount_point, ANSWER_TIMEOUT_MS, &dev);

	if (ret == 0 && dev != before)
		return channel_send(channel, CHANNEL_ANSWERS, dev, "");
	if (ret < 0)
		snprintf(words, sizeof(words), "the mount does not answer: %s", err_name(ret));
	else
		snprintf(words, sizeof(words), "nothing shows at %s after mounting", mount_point);
	return channel_send(channel, CHANNEL_DEAF, 0, words);
}

/* 1: go on; 0: the outcome is told and *code_out set; negative: no more of it. */
static int take_message(int channel, const char *mount_point, dev_t before,
			const struct channel_message *message, int *code_out)
{
	switch (message->kind) {
	case CHANNEL_STARTED:
		/* A daemon that is gone by now shows at the next message, or has left its last. */
		(void)!check_mount(channel, mount_point, before);
		return 1;
	case CHANNEL_NOTE:
		say("%s", message->words);
		return 1;
	case CHANNEL_READY:
		printf("%s\n", message->words);
		fflush(stdout);
		*code_out = 0;
		return 0;
	default:
		say("%s", message->words);
		*code_out = 1;
		return 0;
	}
}

/* Reaps the daemon and says how it ended where it could not say so itself. */
static void bury(pid_t daemon, bool told)
{
	int status = 0;

	if (daemon > 0) {
		while (waitpid(daemon, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (told)
		return;
	if (WIFSIGNALED(status))
		say("the daemon was ended by signal %d (%s); nothing is mounted", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		say("the daemon ended before the mount was ready");
}

int watch_daemon(int channel, const char *mount_point, dev_t before, pid_t daemon)
{
	AUTO_CLOSE int signal_fd = -1;
	struct channel_message message;
	sigset_t set;
	int code = 1;
	int ret;

	signals_fill(&set);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signal_fd < 0) {
		say("cannot watch the daemon: %s", strerror(errno));
		shutdown(channel, SHUT_RDWR);
		bury(daemon, true);
		return 1;
	}
	do {
		ret = channel_recv(channel, &message, NULL, signal_fd);
		if (ret == 0)
			ret = take_message(channel, mount_point, before, &message, &code);
	} while (ret > 0);
	if (ret == ERR_CANCELLED) {
		shutdown(channel, SHUT_RDWR);
		bury(daemon, true);
		say("called off; nothing is mounted");
		return 1;
	}
	if (code != 0)
		bury(daemon, ret == 0);
	return code;
}
