/* The log that powerloss.c writes, powerloss_state.c makes states of, and
 * powerloss_run.c goes through. */
#ifndef GIT_FS_TESTS_POWERLOSS_INTERNAL_H
#define GIT_FS_TESTS_POWERLOSS_INTERNAL_H

#include <pthread.h>

#include "base/buf.h"
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

/* What has come of what was not synced. */
enum names { NAMES_KEPT, NAMES_LOST, NAMES_SOME, NAMES_FIRST_SOME, NAMES_KINDS };
enum contents {
	CONTENTS_KEPT,
	CONTENTS_LOST,
	CONTENTS_SIZE_ONLY, /* as of an allocation that was delayed: zeros */
	CONTENTS_CUT,       /* what lies before some sector */
	CONTENTS_BEHIND,    /* what lies behind it: written back out of order */
	CONTENTS_STEP,      /* as they were in between */
	CONTENTS_PAGES,     /* each page for itself */
	CONTENTS_SECTORS,   /* each sector for itself */
	CONTENTS_MIXED,     /* each file otherwise */
};

struct kind {
	enum names names;
	enum contents contents;
};

struct link {
	uint32_t folder;
	uint32_t node;
	const char *name; /* NULL: taken away */
};

struct state {
	const struct powerloss *loss;
	size_t point; /* events before it have happened */
	struct kind kind;
	uint64_t random;
	size_t *covered;      /* for each node: events before this one are kept */
	struct link *links;
	size_t link_count;
	char **paths;         /* for each node that has a name: in the state's folder */
	struct buf *contents; /* for each of these nodes */
	uint64_t *sizes;      /* ... with zeros behind the contents up to here */
};

static inline bool is_about_names(const struct event *event)
{
	return event->kind == EVENT_NAME || event->kind == EVENT_UNNAME ||
	       event->kind == EVENT_RENAME;
}

static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3U;
	return hash;
}

void *grow_list(void *list, size_t count, size_t size);
uint64_t draw(uint64_t *random);

/* state->covered, for state->point. */
void find_covered(struct state *state);
/* The state in memory; its hash. Cleared afterwards. */
uint64_t state_make(struct state *state);
void state_clear(struct state *state);
/* The state on a disk, in `dir`, which is made. */
void state_write(const struct state *state, const char *dir);

#endif
