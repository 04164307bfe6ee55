/*
 * What the files of worktree/ share.
 */
#ifndef GIT_FS_WORKTREE_WORKTREE_INTERNAL_H
#define GIT_FS_WORKTREE_WORKTREE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/threads.h"
#include "worktree/change.h"
#include "worktree/datafile.h"
#include "worktree/local.h"
#include "worktree/node.h"
#include "worktree/node_table.h"
#include "worktree/worktree.h"

/*
 * Lock order: load_lock, then lock, then the lock of one local node, then what is
 * in journal, datafiles and store. Node ids are given out with load_lock held.
 *
 * `lock` guards the index, entries, children of folders, the list of locals and
 * node->local; whoever holds it for reading sees them whole. A node is freed only
 * when nothing names it and the kernel has forgotten it, so a pointer to the node of
 * a request under way stays good without a lock.
 */
struct worktree {
	struct store *store;
	struct node_table *table; /* guarded by load_lock */
	enum hash_algo algo;
	uint32_t uid, gid;
	struct oid commit;        /* set once, by worktree_start */
	struct timespec time;     /* set once: the commit's */
	bool table_renewed;       /* set once */
	pthread_mutex_t load_lock;
	pthread_rwlock_t lock;
	struct node_index index;
	atomic_ullong folders_read;
	atomic_ullong hidden;
	atomic_ullong resized;

	/* The overlay; NULL and unused where it is read-only. */
	struct journal *journal;
	struct datafiles *files;
	int overlay_fd;           /* its folder */
	bool inspect;
	bool had_failed;          /* a sync failed when it was open last */
	struct oid overlay_base;  /* set once: that of its changes; unset: none */
	struct local *locals;     /* guarded by lock, as the next two */
	uint64_t locals_count;
	uint64_t overrides_count;
	atomic_int failed;        /* 0, or why nothing can be changed any more */
	atomic_ullong unsynced;   /* data files with `unsynced` set */
	atomic_ullong syncing;    /* syncs of data files that have not ended */
	atomic_ullong condemned;
	atomic_ullong reverted;
	atomic_ullong compactions;
	struct journal_recovery recovery; /* set once */
	atomic_ullong pace_at;    /* bytes of the journal at which overlay_begin() looks */
	pthread_mutex_t compact_lock; /* one compaction at a time; before every other lock */
	struct upkeep {
		pthread_mutex_t lock; /* a leaf */
		pthread_cond_t wake;
		bool stop;            /* guarded by lock */
		bool started;
		pthread_t thread;
	} upkeep;
};

/* --- worktree.c --- */

/* The live node of an id, folders above it read where it is only remembered. */
int node_get(struct worktree *tree, uint64_t id, struct node **out, struct want *want)
	__attribute__((warn_unused_result));
/* The live folder of an id, its entries known. */
int folder_get(struct worktree *tree, uint64_t id, struct node **out, struct want *want)
	__attribute__((warn_unused_result));

/* --- folder.c --- */

/* Makes the entries of a live folder known. ERR_AGAIN with a want where its tree
 * is not here. Takes the locks. */
int folder_read(struct worktree *tree, struct node *folder, struct want *want)
	__attribute__((warn_unused_result));

/* --- read.c --- */

/* Bytes of the base's contents, or NODE_SIZE_UNKNOWN. */
uint64_t node_base_size(struct worktree *tree, struct node *node);
/* Attributes as they are in the base. */
struct meta node_base_meta(const struct worktree *tree, const struct node *node);
/* The caller holds `lock`; the node's own is taken. */
void attr_fill_locked(struct worktree *tree, struct node *node, struct worktree_attr *out);
/* ERR_AGAIN, wanting the contents of the node. Takes `lock`. */
int want_contents(struct worktree *tree, struct node *node, pid_t pid, struct want *want);
/* The size of a file of the base is known afterwards, or is wanted. Takes `lock`. */
int size_get(struct worktree *tree, struct node *node, pid_t pid, struct want *want);

/* --- overlay.c --- */

int overlay_open(struct worktree *tree, const struct worktree_config *config, struct err *err)
	__attribute__((warn_unused_result));
/* The base will be another commit, and nothing of it was read yet: what the journal said of
 * the old one is of no use, as nothing differs: places of nodes that are other ones now,
 * times of folders. */
void overlay_forget_base(struct worktree *tree);
/* The base is known: changes will be made to it. */
int overlay_start(struct worktree *tree, struct err *err) __attribute__((warn_unused_result));
void overlay_close(struct worktree *tree);
/* 0, or -EROFS where nothing may be changed. */
int overlay_writable(const struct worktree *tree);
/* The same before a change, with no lock held: who writes faster than upkeep compacts,
 * compacts as well. May block on the disk. */
int overlay_begin(struct worktree *tree);
#define OVERLAY_FAILED "failed" /* a file of the overlay's folder, after overlay_fail */
/* Nothing can be changed any more; `why` a negative errno. Returns -EROFS. When the overlay
 * is opened again everything is written anew. */
int overlay_fail(struct worktree *tree, int why);

/* A frame under construction: AUTO_BUF struct buf frame; frame_begin(&frame). */
int frame_begin(struct buf *frame) __attribute__((warn_unused_result));
/* Appends it; failures of the journal that are final make the worktree read-only. */
int frame_append(struct worktree *tree, const struct worktree_request *request, struct buf *frame,
		 enum journal_need need, struct journal_place *out)
	__attribute__((warn_unused_result));

/* The same with `data`, the end of the last item. */
int frame_append_data(struct worktree *tree, const struct worktree_request *request,
		      struct buf *frame, struct iovec data, enum journal_need need,
		      struct journal_place *out) __attribute__((warn_unused_result));
/* The item that says where the base has the node. */
int overlay_anchor_item(struct worktree *tree, struct buf *frame, struct node *node)
	__attribute__((warn_unused_result));

/* Gives a node a local, and the journal the place in the base of it and of what is
 * above. `lock` is held for writing. */
int overlay_pin_locked(struct worktree *tree, struct node *node)
	__attribute__((warn_unused_result));
/* The local of a node, pinned. Takes `lock`. */
int overlay_pin(struct worktree *tree, struct node *node, struct local **out)
	__attribute__((warn_unused_result));
/* Adds a new local to the list; `lock` is held for writing. */
void overlay_add_local(struct worktree *tree, struct local *local);
void overlay_remove_local(struct worktree *tree, struct local *local);
/* The entry is decided by the overlay, or is as in the base again. */
void overlay_set_override(struct worktree *tree, struct entry *entry, bool local);
/* What the attributes of a local are: those of the base where nothing was changed.
 * The local's lock is held. */
struct meta overlay_meta(struct worktree *tree, const struct local *local);
/* Remembers where a record about a local went. */
static inline void local_recorded(struct local *local, const struct journal_place *place)
{
	uint64_t oldest = __atomic_load_n(&local->segment, __ATOMIC_RELAXED);

	if (oldest == 0 || oldest > place->segment)
		__atomic_store_n(&local->segment, place->segment, __ATOMIC_RELAXED);
}
struct timespec time_now(void);

/* --- replay.c --- */

int overlay_replay(void *arg, const struct journal_frame *frame);
/* After the last frame: what belongs together, and what recovery must give up. */
int overlay_settle(struct worktree *tree) __attribute__((warn_unused_result));

/* --- contents.c, contents_file.c --- */

/* All of these but local_read and contents_sync: the local's lock is held, and `meta`
 * is its attributes, to be changed and recorded by the caller or, where it says so,
 * recorded at once. ERR_NOT_FOUND: contents of the base are needed and not here. */

/* Reads from a local whose contents are not the base's; -ENODATA: they are, ask the
 * store. Takes the local's lock. */
ssize_t local_read(struct worktree *tree, struct local *local, struct worktree_read *read);
/* Brings the base's contents into the overlay, recorded at once: as nobody's request, as
 * the one that it is done for is not done by that. */
int contents_copy_up(struct worktree *tree, struct local *local, struct meta *meta)
	__attribute__((warn_unused_result));
/* From the journal to a data file, recorded at once. */
int contents_spill(struct worktree *tree, struct local *local, struct meta *meta)
	__attribute__((warn_unused_result));
/* Writes to a file of which nothing is left or was there, in one step. */
int contents_write_new(struct worktree *tree, const struct worktree_request *request,
		       struct local *local, struct meta *meta, const struct worktree_write *write)
	__attribute__((warn_unused_result));
/* meta->size becomes `size`; what has to be done before the record is done. */
int contents_resize(struct worktree *tree, struct local *local, struct meta *meta, uint64_t size)
	__attribute__((warn_unused_result));
/* The attributes are recorded: they count from now on, and the data file follows. */
void contents_apply(struct worktree *tree, struct local *local, const struct meta *meta,
		    const struct journal_place *place);
/* Records the attributes alone, and applies them. */
int contents_record(struct worktree *tree, const struct worktree_request *request,
		    struct local *local, const struct meta *meta, enum journal_need need)
	__attribute__((warn_unused_result));
/* The same with a frame that was begun before. For what has happened to the data file
 * already: memory that runs out is to be found out in time. */
int contents_record_in(struct worktree *tree, const struct worktree_request *request,
		       struct local *local, const struct meta *meta, struct buf *frame,
		       enum journal_need need) __attribute__((warn_unused_result));
/* All bytes of a file in the journal, at most CONTENTS_LOG_MAX, into `data`. */
int contents_read_log(struct worktree *tree, const struct local *local, uint64_t offset,
		      uint8_t *data, size_t len) __attribute__((warn_unused_result));
/* The data file of these attributes, to be put back. -EIO: it is not there. */
int contents_datafile(struct worktree *tree, const struct local *local, const struct meta *meta,
		      struct datafile **out) __attribute__((warn_unused_result));
/* Whether the data file waits to be synced; counted. */
void contents_set_unsynced(struct worktree *tree, struct local *local, bool unsynced);
/* Copies the data file into a new one, which is synced: the kernel may take pages of the old
 * one for written that never were. Nobody else is there yet. */
int contents_renew(struct worktree *tree, struct local *local) __attribute__((warn_unused_result));
/* Whether there is a data file that may not be durable. */
bool contents_need_sync(const struct local *local);
/* Syncs the data file, and records that. Takes the local's lock. */
int contents_sync(struct worktree *tree, struct local *local) __attribute__((warn_unused_result));
/* Clears set-id bits as a write by a caller without CAP_FSETID does. */
void meta_kill_setid(const struct worktree_request *request, struct meta *meta);

/* --- names.c --- */

/* The kernel has forgotten a node without a name: it goes. `lock` is held for writing. */
void node_drop_locked(struct worktree *tree, struct node *node);

#endif
