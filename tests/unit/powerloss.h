/*
 * Power loss: what a scenario does to a folder is recorded, then every state in
 * which the power could have left that folder is made anew and looked at.
 *
 * The model. The log is what base/io.h did, in order. Let the power fail after
 * any prefix of it:
 *
 *   contents  fsync and fdatasync of a file keep its contents and its size as they
 *             were when the call was begun. Of later changes each sector of 512
 *             bytes shows one of the versions that it had since, on its own: kept,
 *             lost, torn, out of order. So does the size; what it uncovers is zeros.
 *   names     a change of a name is kept once its folder was synced afterwards (a
 *             rename over two folders: both). Of later ones any subset has happened,
 *             each whole: a rename never shows neither name. A sync of a file says
 *             nothing about its name, though ext4 would keep that of a new one.
 *
 * That is weaker than ext4, where changes of names happen in order and a rename
 * over a file brings the new one's contents along, and no stronger than POSIX.
 * Out of scope: sectors that tear, or change later by themselves.
 *
 * States are many: the extreme ones (nothing kept, all kept, names without contents,
 * sizes without contents, ...) are made for each prefix, and `random` ones by a seed
 * that is printed; GIT_FS_SEED repeats a run.
 */
#ifndef GIT_FS_TESTS_POWERLOSS_H
#define GIT_FS_TESTS_POWERLOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct powerloss;

/* What has been promised up to some point, to be kept from then on: as many
 * numbers as a test wants to keep, 0 at first. */
#define POWERLOSS_MARKS 4
#define POWERLOSS_WORDS 1024 /* bytes */

/* From here on all that is done below `dir`, which exists, is recorded; what is
 * there already is on the disk. One recording at a time. */
struct powerloss *powerloss_start(const char *dir);
void powerloss_mark(struct powerloss *loss, unsigned mark, uint64_t value);
void powerloss_stop(struct powerloss *loss);
void powerloss_free(struct powerloss *loss);
size_t powerloss_events(const struct powerloss *loss);

/* For changes that are made past base/io, by a library whose calls the test has
 * put itself in front of. */
void powerloss_saw_write(int fd, uint64_t offset, const void *data, size_t len);
void powerloss_saw_truncate(int fd, uint64_t size);
void powerloss_saw_sync_begin(int fd);
void powerloss_saw_sync(int fd);

struct powerloss_plan {
	unsigned points_max; /* prefixes, evenly drawn where there are more; 0: all */
	unsigned random;     /* random states for each prefix */
	uint64_t seed;       /* 0: GIT_FS_SEED, or one of its own */
};

/* Looks at a state, in `dir`, which it may change: NULL if it is as it must be,
 * else words. `marks` are those before the power failed. */
typedef const char *powerloss_check_fn(void *arg, const char *dir,
				       const uint64_t marks[POWERLOSS_MARKS]);

/* Fails the test at the first state that is not as it must be, with words on how
 * it came about. Returns the number of different states. */
size_t powerloss_each(struct powerloss *loss, const struct powerloss_plan *plan,
		      powerloss_check_fn *check, void *arg);
/* The same, for what must be found and for a second loss within a check: does not
 * fail, but returns whether a state is not right, with the words in `words`. */
bool powerloss_finds(struct powerloss *loss, const struct powerloss_plan *plan,
		     powerloss_check_fn *check, void *arg, char words[POWERLOSS_WORDS]);

#endif
