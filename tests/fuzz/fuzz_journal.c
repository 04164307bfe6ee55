/*
 * The journal: arbitrary bytes as the items of a frame, for both hashes; and as a segment
 * file that is recovered, in the boot that wrote it and after another. What items borrow
 * lies in what was read.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "git/hash.h"
#include "worktree/item.h"
#include "worktree/journal.h"

#define SEGMENT "0000000000000001.log"
#define MAGIC "GFSJRNAL"
#define BOOT "11111111-2222-3333-4444-555555555555\n" /* that of the seeds */

static void check_borrowed(const uint8_t *data, size_t size, const void *part, size_t len)
{
	const uint8_t *at = part;

	if (len == 0)
		return;
	assert(at >= data && len <= size && (size_t)(at - data) <= size - len);
}

static void read_items(const uint8_t *data, size_t size, enum hash_algo algo)
{
	struct cursor cur = cursor_of(data, size);
	struct item item;
	size_t left = size;
	int rc;

	while ((rc = item_next(&cur, data, algo, &item)) == 1) {
		assert(cur.left < left);
		left = cur.left;
		check_borrowed(data, size, item.name, item.name_len);
		check_borrowed(data, size, item.data, item.data_len);
		if (item.data != NULL)
			assert(data + item.data_at == item.data);
	}
	assert(rc == 0 ? cur.left == 0 : rc == ERR_CORRUPT);
}

static int replay(void *arg, const struct journal_frame *frame)
{
	(void)arg;
	assert(frame->segment == 1 && frame->offset % 8 == 0);
	read_items(frame->items, frame->items_len, HASH_SHA1);
	return 0;
}

/* --- a folder of its own --- */

static char folder[64];
static char boot_path[96];
static int segment = -1; /* kept open: closing what was cut waits for the disk */

static void clean_up(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, SEGMENT);
	unlink(path);
	unlink(boot_path);
	rmdir(folder);
}

static int write_whole(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert(fd >= 0);
	assert(write(fd, data, size) == (ssize_t)size);
	return fd;
}

static void prepare(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[128];

	if (folder[0] != '\0')
		return;
	snprintf(folder, sizeof(folder), "%s/fuzz-journal-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert(mkdtemp(folder) != NULL);
	snprintf(boot_path, sizeof(boot_path), "%s/boot", folder);
	close(write_whole(boot_path, BOOT, strlen(BOOT)));
	snprintf(path, sizeof(path), "%s/%s", folder, SEGMENT);
	segment = write_whole(path, "", 0);
	atexit(clean_up);
}

static void recover(const uint8_t *data, size_t size, const char *boot)
{
	struct journal_config config = {
		.dir = folder, .algo = HASH_SHA1, .boot_id_path = boot, .read_only = true
	};
	struct journal_recovery recovery;
	struct journal *journal = NULL;
	struct err err = ERR_INIT;

	assert(pwrite(segment, data, size, 0) == (ssize_t)size);
	assert(ftruncate(segment, (off_t)size) == 0);
	int rc = journal_open(&journal, &config, replay, NULL, &recovery, &err);

	assert(rc == 0 || rc == ERR_UNSUPPORTED);
	if (rc == 0)
		assert(recovery.damaged_bytes <= size && recovery.torn_bytes <= size);
	journal_close(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_items(data, size, HASH_SHA1);
	read_items(data, size, HASH_SHA256);
	if (size < strlen(MAGIC) || memcmp(data, MAGIC, strlen(MAGIC)) != 0)
		return 0; /* no segment, as anybody sees: the disk need not be asked */
	prepare();
	recover(data, size, boot_path);
	recover(data, size, NULL);
	return 0;
}
