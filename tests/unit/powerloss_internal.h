/* The log that powerloss.c writes and powerloss_state.c makes states of. */
#ifndef GIT_FS_TESTS_POWERLOSS_INTERNAL_H
#define GIT_FS_TESTS_POWERLOSS_INTERNAL_H

#include <pthread.h>

#include "base/io_observe.h"
#include "powerloss.h"

#define NO_NODE UINT32_MAX

enum event_kind {
	EVENT_NAME,     /* `node` has name[0] in folder[0] */
	EVENT_UNNAME,   /* ... has it no more */
	EVENT_RENAME,   /* ... has instead of it name[1] in folder[1] */
	EVENT_WRITE,    /* data */
	EVENT_ZERO,     /* [offset, offset + len) is zeros, the size stays */
	EVENT_TRUNCATE, /* the size is `offset` */
	EVENT_GROW,     /* the size is at least `offset` */
	EVENT_SYNC,     /* all events before `covers` that are about `node` are kept */
	EVENT_MARK,
};

struct event {
	enum event_kind kind;
	uint32_t node;
	uint32_t folder[2];
	char *name[2]; /* owned */
	uint64_t offset;
	uint64_t len;
	uint8_t *data; /* owned */
	size_t covers;
	unsigned mark;
	uint64_t value;
};

/* A file or folder, for as long as it exists: numbers of inodes are used again. */
struct node {
	ino_t ino;
	bool folder;
	bool gone; /* its inode is another node's by now */
};

struct powerloss {
	struct io_observer observer;
	pthread_mutex_t lock;
	dev_t dev;
	struct node *nodes; /* node 0 is the folder itself */
	uint32_t node_count;
	struct event *events;
	size_t event_count;
	size_t base_count; /* events that stand for what was there at the start: kept */
};

void *grow_list(void *list, size_t count, size_t size);

#endif
