#define FUSE_USE_VERSION 314

#include "fuse/notify.h"

#include <fuse_lowlevel.h>

#include "base/threads.h"

static void *notifier_thread(void *arg)
{
	struct notifier *notifier = arg;

	pthread_mutex_lock(&notifier->lock);
	for (;;) {
		while (notifier->count == 0 && !notifier->stopped)
			pthread_cond_wait(&notifier->filled, &notifier->lock);
		if (notifier->stopped)
			break;
		uint64_t id = notifier->inodes[notifier->first];

		notifier->first = (notifier->first + 1) % NOTIFY_MAX;
		notifier->count--;
		pthread_mutex_unlock(&notifier->lock);
		/* -ENOENT: the kernel does not know it any more; nothing to do then. */
		fuse_lowlevel_notify_inval_inode(notifier->se, id, 0, 0);
		pthread_mutex_lock(&notifier->lock);
	}
	pthread_mutex_unlock(&notifier->lock);
	return NULL;
}

int notifier_init(struct notifier *notifier, struct fuse_session *se)
{
	*notifier = (struct notifier){ .se = se };
	pthread_mutex_init(&notifier->lock, NULL);
	return cond_init(&notifier->filled);
}

int notifier_start(struct notifier *notifier)
{
	int rc = thread_start(&notifier->thread, "notify", notifier_thread, notifier);

	notifier->started = rc == 0;
	return rc;
}

void notifier_stop(struct notifier *notifier)
{
	if (!notifier->started)
		return;
	pthread_mutex_lock(&notifier->lock);
	notifier->stopped = true;
	pthread_cond_signal(&notifier->filled);
	pthread_mutex_unlock(&notifier->lock);
	pthread_join(notifier->thread, NULL);
	notifier->started = false;
}

void notifier_release(struct notifier *notifier)
{
	pthread_cond_destroy(&notifier->filled);
	pthread_mutex_destroy(&notifier->lock);
}

bool notifier_forget_inode(struct notifier *notifier, uint64_t id)
{
	WITH_LOCK(&notifier->lock);
	if (notifier->count == NOTIFY_MAX)
		return false;
	notifier->inodes[(notifier->first + notifier->count++) % NOTIFY_MAX] = id;
	pthread_cond_signal(&notifier->filled);
	return true;
}
