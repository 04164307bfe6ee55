/*
 * An observer under base/io.h: hears of every change that this program makes to
 * a disk, when it has been made. Tests record with it what a power loss could
 * have left (tests/unit/powerloss.h); nothing else sets one.
 *
 * Calls come from whichever thread made the change, after the system call and
 * before the io_ function returns: what a thread has done before it starts
 * something else is heard in that order. Calls that fail are not heard of, of
 * one that did its work in part the part that was done. A member that is NULL
 * is not called. What an observer does by io_ functions itself is heard as well.
 */
#ifndef GIT_FS_BASE_IO_OBSERVE_H
#define GIT_FS_BASE_IO_OBSERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Paths are relative to `dirfd`, as they were given. */
struct io_observer {
	void *arg;
	/* Opened with O_CREAT, O_TMPFILE or O_TRUNC; the file may have been there. */
	void (*opened)(void *arg, int fd, int dirfd, const char *path, int flags);
	void (*wrote)(void *arg, int fd, uint64_t offset, const void *data, size_t len);
	void (*truncated)(void *arg, int fd, uint64_t size);
	void (*allocated)(void *arg, int fd, int mode, uint64_t offset, uint64_t len);
	/* A sync covers what was done before it was begun. */
	void (*sync_begins)(void *arg, int fd);
	void (*synced)(void *arg, int fd, bool data_only);
	void (*renamed)(void *arg, int dirfd, const char *from, const char *to);
	void (*linked)(void *arg, int dirfd, const char *from, const char *to);
	void (*unlinked)(void *arg, int dirfd, const char *path);
	void (*made_folder)(void *arg, int dirfd, const char *path);
};

/* `observer` (NULL for none) is borrowed until it is replaced and no io_
 * function runs any more. */
void io_observe(const struct io_observer *observer);

extern const struct io_observer *_Atomic io_observer_set; /* for the next line alone */
static inline const struct io_observer *io_observer(void)
{
	return atomic_load_explicit(&io_observer_set, memory_order_acquire);
}

/* Tells the observer, if there is one and it listens to that. */
#define IO_TELL(member, ...)                                        \
	do {                                                        \
		const struct io_observer *to_ = io_observer();      \
								    \
		if (to_ != NULL && to_->member != NULL)             \
			to_->member(to_->arg, __VA_ARGS__);         \
	} while (0)

#endif
