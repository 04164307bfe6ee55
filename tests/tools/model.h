/*
 * What the parts of fsmodel share. Its model stands at the head of fsmodel.c.
 */
#ifndef GIT_FS_TESTS_MODEL_H
#define GIT_FS_TESTS_MODEL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MODEL_PATH_MAX 1024 /* paths below the two roots; longer ones are not made */
#define MODEL_DEPTH_MAX 9U
#define MODEL_BUFFER_SIZE ((size_t)4 << 20) /* larger than any file may grow */
#define MODEL_ACTORS_MAX 64U
#define MODEL_HANDLES 8U
#define MODEL_XATTRS 4U /* names of them */
#define MODEL_LOG_LINES 12U
#define MODEL_LOG_WIDTH 640U
#define MODEL_OPS_MAX 64U
#define MODEL_USER 1234U /* who a part of the operations is done as */

/* Each operation is done on the twin first: what it answers is what is expected. */
enum side { TWIN,
	    MOUNT,
	    SIDES };

enum state { CLEAN,
	     UNFETCHED,
	     DIRTY,
	     ORPHAN,
	     RENAMED,
	     SUBMODULE,
	     IGNORED,
	     STATES };

/* What is known of an inode of the twin; one that is not known was made by an actor. */
enum known {
	KNOWN_BASE = 1,	     /* it came from the commit */
	KNOWN_READ = 2,	     /* its contents, target or listing were read through the mount */
	KNOWN_DATA = 4,	     /* its contents or entries were changed */
	KNOWN_META = 8,	     /* its mode, owner, times or names were changed */
	KNOWN_MOVED = 16,    /* a folder that was renamed */
	KNOWN_SUBMODULE = 32 /* a gitlink's folder */
};

/* Kinds of objects, as a set; PARENT is a folder that something is to be made in. */
enum kind { FILES = 1,
	    LINKS = 2,
	    SPECIALS = 4,
	    FOLDERS = 8,
	    PARENT = 16 };

struct handle {
	int fd[SIDES]; /* -1: free */
};

/* Of one thread of one worker, in memory that all workers share: it goes on over batches. */
struct actor {
	uint64_t random;
	unsigned number;
	uint64_t done;				    /* operations, all batches */
	uint32_t guide[MODEL_OPS_MAX][STATES];	    /* what this actor has covered */
	char log[MODEL_LOG_LINES][MODEL_LOG_WIDTH]; /* the last operations, a ring */
	bool busy, failed;
	unsigned entries;		      /* below its folder, counted before the batch */
	struct handle handles[MODEL_HANDLES]; /* of this batch */
	unsigned char *buffer[SIDES];	      /* of this batch, MODEL_BUFFER_SIZE each */
};

struct model {
	int root[SIDES];
	const char *root_path[SIDES];
	uint64_t seed;
	unsigned workers, threads, batch_ops;
	bool xattr, tmpfile[SIDES];
	bool root_only; /* nothing is done as a user */
	uint64_t without; /* operations that are left out, a bit for each row */
	struct known_table *known;
	uint64_t (*table)[STATES]; /* counts: MODEL_OPS_MAX rows */
	struct actor *actors;	   /* workers * threads of them */
	FILE *report;
};

struct target {
	char path[MODEL_PATH_MAX]; /* "" where it is a handle's */
	struct handle *handle;	   /* NULL: by path */
	struct stat st;		   /* the twin's */
	unsigned states;	   /* a bit for each enum state */
	unsigned depth;
	bool shared; /* the folder is one that other actors change, too */
};

/* One object whose attributes are compared before and after an operation. */
struct watch {
	char path[MODEL_PATH_MAX];
	int fd[SIDES]; /* -1: by path */
	struct stat before[SIDES], after[SIDES];
	bool had[SIDES], has[SIDES];
	bool no_times; /* others change it meanwhile */
};

#define WATCHES_MAX 6U

/* One operation under way. */
struct call {
	struct model *model;
	struct actor *actor;
	const struct operation *op;
	struct target target, other; /* other: a second object, or the folder of `name` */
	char name[MODEL_PATH_MAX];   /* a path that something gets */
	enum state wanted;	     /* STATES: any */
	enum side first;	     /* MOUNT where the twin has nothing to answer */
	uid_t user;
	int fd[SIDES]; /* -1: none; the runner closes them */
	long ret[SIDES];
	int err[SIDES];
	bool skipped;	       /* it did not apply after all */
	bool no_times;	       /* times may move or not */
	bool inside_submodule; /* EROFS by the mount alone is what is wanted */
	char words[160];
	struct watch watches[WATCHES_MAX];
	unsigned watch_count;
	int64_t started_ns; /* CLOCK_REALTIME */
};

enum op_flags {
	OP_CHANGES_DATA = 1, /* contents are compared afterwards */
	OP_NO_TIMES = 2,
	OP_AS_ROOT = 4,
	OP_MAKES = 8, /* adds names: not done where there are many */
	OP_XATTR = 16
};

#define OP_ANY_ERROR (-1) /* as wanted_err */

struct operation {
	const char *name;
	void (*run)(struct call *c);
	bool (*prepare)(struct call *c); /* chooses what else it needs; NULL: nothing */
	unsigned kinds;			 /* of its object */
	int wanted_err;			 /* 0: what counts is success */
	unsigned flags;
};

/* model_ops.c: the operations, and which cells of the table make no sense. */
extern const struct operation model_ops[];
extern const unsigned model_op_count;
/* NULL where the cell makes sense, else the reason. */
const char *model_no_cell(const struct operation *op, enum state state);

/* model_known.c */
struct known_table *known_open(const char *path, bool *new_out);
unsigned known_get(struct known_table *table, ino_t ino);
void known_set(struct known_table *table, ino_t ino, unsigned flags);
void known_add(struct known_table *table, ino_t ino, unsigned flags);
bool known_unfetched(unsigned flags);
unsigned known_states(unsigned flags);

/* model_pick.c */
uint64_t random_next(struct actor *a);
/* 0 to limit - 1 */
unsigned random_below(struct actor *a, unsigned limit);
bool one_in(struct actor *a, unsigned n);
/* An object of these kinds, if possible in c->wanted. */
bool pick_target(struct call *c, unsigned kinds, struct target *out);
bool pick_handle(struct call *c, struct target *out);
void copy_path(char *out, const char *path);
/* A free or (rarely) taken name in a folder that `parent` becomes. */
bool pick_new_name(struct call *c, const struct target *parent, char *out);
bool pick_parent_and_name(struct call *c);
void parent_of(const char *path, char *out);
bool path_inside(const char *path, const char *folder);
bool path_ignored(const char *path);
bool path_shared(const char *path);
int list_names(int root, const char *path, struct dirent ***out);
void free_names(struct dirent **names, int count);

/* model_run.c */
/* The operations of one batch of one actor. */
void actor_run(struct model *m, struct actor *a);
/* Remembers what one side answered; -1 takes errno along. */
void outcome(struct call *c, unsigned side, long ret);
void outcome_none(struct call *c, unsigned side);
void describe(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void watch_path(struct call *c, const char *path, bool no_times);
void watch_target(struct call *c, const struct target *t);
/* Flags for the object on the twin, and for the folder that holds its name. */
void learn(struct call *c, const struct target *t, unsigned flags);
void learn_path(struct call *c, const char *path, unsigned flags);
void learn_parent(struct call *c, const char *path);
bool keep_handle(struct call *c);

/* model_judge.c */
void complain(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An operation in a line, for people. */
void call_words(const struct call *c, char *out, size_t size);
void watch_look(struct call *c, const struct watch *w, struct stat out[SIDES], bool has_out[SIDES]);
void judge(struct call *c);
/* "" or what of two attributes has to be the same and is not. */
const char *stat_difference(const struct stat *twin, const struct stat *mount);
int64_t time_ns(const struct timespec *t);
/* True: contents are the same. Reads all of both descriptors. */
bool same_contents(int twin, int mount, unsigned char *buffer[SIDES], off_t *where_out);

/* model_data.c */
/* False where one of them cannot be opened; that is the answer of the operation then. */
bool data_open_both(struct call *c, int flags);
/* Bytes into the actor's first buffer, which tell where they came from. */
void data_fill(struct call *c, size_t len);
/* What both answered to a read into the two buffers. */
void data_compare_bytes(struct call *c, off_t at);

/* model_data.c, model_attrs.c, model_names.c */
void op_open_excl(struct call *c);
void op_open_trunc(struct call *c);
void op_write(struct call *c);
void op_append(struct call *c);
void op_pread(struct call *c);
void op_mmap_shared(struct call *c);
void op_mmap_private(struct call *c);
void op_truncate(struct call *c);
void op_ftruncate(struct call *c);
void op_fallocate(struct call *c);
void op_punch(struct call *c);
void op_zero(struct call *c);
void op_copy_range(struct call *c);
void op_seek(struct call *c);
void op_direct(struct call *c);
void op_fsync(struct call *c);
void op_fdatasync(struct call *c);
void op_chmod(struct call *c);
void op_chown(struct call *c);
void op_utimens(struct call *c);
void op_stat(struct call *c);
void op_access(struct call *c);
void op_xattr(struct call *c);

void op_create(struct call *c);
void op_tmpfile(struct call *c);
void op_mkdir(struct call *c);
void op_symlink(struct call *c);
void op_mknod(struct call *c);
void op_readlink(struct call *c);
void op_unlink(struct call *c);
void op_unlink_open(struct call *c);
void op_link(struct call *c);
void op_rmdir(struct call *c);
void op_rmdir_full(struct call *c);
void op_rename(struct call *c);
void op_rename_dir(struct call *c);
void op_rename_over(struct call *c);
void op_rename_self(struct call *c);
void op_noreplace(struct call *c);
void op_exchange(struct call *c);
void op_readdir(struct call *c);
void op_fsync_dir(struct call *c);
void op_wrong_kind(struct call *c);

bool prepare_destination(struct call *c);
bool prepare_replaced(struct call *c);
bool prepare_exchange(struct call *c);
bool prepare_noreplace(struct call *c);
bool prepare_source(struct call *c);

/* model_tree.c: compares all names below the two roots; prints each difference.
 * `all`: contents that nothing has fetched yet, too. */
bool trees_same(struct model *m, bool all);
/* Every object of the twin is one of the commit; `submodules` end with NULL. */
bool tree_learn_base(struct model *m, char *const *submodules);
unsigned tree_count(int root, const char *path);

/* model_shared.c: many threads on one file and in one folder below path; true if all held. */
bool shared_run(const char *path, const struct model *m, unsigned seconds);

#endif
