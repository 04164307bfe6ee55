/*
 * What is known of the twin's inodes, in a file that all workers map and that outlives
 * remounts: an open-addressed table of words, inode << 8 | flags; 0 is a free place.
 * Inodes are never taken out: the twin gives a number again only to something new, whose
 * flags are set then. Words change by compare-and-swap alone.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS ((size_t)1 << 18)

struct known_table {
	uint64_t slots[SLOTS];
};

struct known_table *known_open(const char *path, bool *new_out)
{
	struct known_table *table;
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fstat(fd, &st) < 0) {
		return NULL;
	}
	*new_out = st.st_size == 0;
	if (ftruncate(fd, (off_t)sizeof(*table)) < 0) {
		close(fd);
		return NULL;
	}
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return table == MAP_FAILED ? NULL : table;
}

/* The place of an inode, or a free one. */
static uint64_t *find(struct known_table *table, ino_t ino)
{
	size_t place = (size_t)((uint64_t)ino * UINT64_C(0x9e3779b97f4a7c15) >> 46);

	for (size_t tried = 0; tried < SLOTS; tried++) {
		uint64_t *slot = &table->slots[(place + tried) % SLOTS];
		uint64_t word = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (word == 0 || word >> 8 == ino) {
			return slot;
		}
	}
	fputs("fsmodel: the table of inodes is full\n", stderr);
	abort();
}

unsigned known_get(struct known_table *table, ino_t ino)
{
	return (unsigned)(__atomic_load_n(find(table, ino), __ATOMIC_ACQUIRE) & 0xff);
}

static void change(struct known_table *table, ino_t ino, unsigned keep, unsigned flags)
{
	for (;;) {
		uint64_t *slot = find(table, ino);
		uint64_t old = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		uint64_t word = (uint64_t)ino << 8 | (old & keep) | flags;

		if ((old == 0 || old >> 8 == ino) &&
		    __atomic_compare_exchange_n(slot, &old, word, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			return;
		}
	}
}

void known_set(struct known_table *table, ino_t ino, unsigned flags)
{
	change(table, ino, 0, flags);
}

void known_add(struct known_table *table, ino_t ino, unsigned flags)
{
	change(table, ino, 0xff, flags);
}

bool known_unfetched(unsigned flags)
{
	return (flags & (KNOWN_BASE | KNOWN_READ | KNOWN_DATA | KNOWN_SUBMODULE)) == KNOWN_BASE;
}

/* Those that are an inode's own; a file whose mode was changed may be unfetched as well. */
unsigned known_states(unsigned flags)
{
	unsigned states = 0;

	if (flags & KNOWN_SUBMODULE) {
		return 1U << SUBMODULE;
	}
	if (known_unfetched(flags)) {
		states |= 1U << UNFETCHED;
	}
	if (!(flags & KNOWN_BASE) || flags & (KNOWN_DATA | KNOWN_META)) {
		states |= 1U << DIRTY;
	}
	return states ? states : 1U << CLEAN;
}
