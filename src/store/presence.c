/*
 * The locks and the state line of a store; the model stands in presence.h.
 *
 * Everything but presence_mark_open() runs on the one thread that opens or
 * closes the store. Open file description locks do not keep threads of one
 * process apart, which is what presence->lock is for.
 */
#include "store/presence.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/threads.h"

#define LOCK_FILE "lock"
#define STATE_FILE "state"
#define STATE_WORD "git-fs-index 1 "
#define STATE_MAX_BYTES 256
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define WAIT_STEP_NS (2 * NS_PER_MS)

enum lock_byte { LOCK_GATE = 0, LOCK_HOUSE = 1 };
enum state { STATE_NONE, STATE_OPEN, STATE_CLEAN };

struct state_line {
	enum state state;
	char boot[PRESENCE_BOOT_MAX];
	uint64_t data_bytes;
};

static int lock_byte(const struct presence *presence, enum lock_byte byte, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1
	};

	if (fcntl(presence->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int shut_gate(const struct presence *presence)
{
	uint64_t deadline = mono_ns() + PRESENCE_WAIT_S * NS_PER_S;
	const struct timespec step = { .tv_sec = 0, .tv_nsec = WAIT_STEP_NS };
	int rc;

	while ((rc = lock_byte(presence, LOCK_GATE, F_WRLCK)) == -EAGAIN) {
		if (mono_ns() >= deadline)
			return ERR_TIMEOUT;
		nanosleep(&step, NULL);
	}
	return rc;
}

static void open_gate(const struct presence *presence)
{
	/* Giving a lock back cannot fail on a descriptor that has it. */
	(void)lock_byte(presence, LOCK_GATE, F_UNLCK);
}

/* Takes the text up to `stop` into `out` (size bytes, with a NUL). */
static bool take_word(struct cursor *cur, uint8_t stop, char *out, size_t size)
{
	const uint8_t *word;
	size_t len;

	if (!cursor_until(cur, stop, &word, &len) || len >= size)
		return false;
	memcpy(out, word, len);
	out[len] = '\0';
	return true;
}

static bool parse_state(struct cursor cur, struct state_line *out)
{
	char word[8];

	if (!cursor_literal(&cur, STATE_WORD) || !take_word(&cur, ' ', word, sizeof(word)) ||
	    !take_word(&cur, ' ', out->boot, sizeof(out->boot)) ||
	    !cursor_decimal(&cur, INT64_MAX, &out->data_bytes) || !cursor_literal(&cur, "\n"))
		return false;
	if (strcmp(word, "clean") == 0)
		out->state = STATE_CLEAN;
	else if (strcmp(word, "open") == 0)
		out->state = STATE_OPEN;
	else
		return false;
	return true;
}

/* The state as it stands; whatever cannot be read is STATE_NONE. */
static void read_state(const struct presence *presence, struct state_line *out)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(STATE_MAX_BYTES);

	*out = (struct state_line){ .state = STATE_NONE };
	if (io_read_file(presence->index_fd, STATE_FILE, &text) < 0 ||
	    !parse_state(cursor_of(text.data, text.len), out))
		*out = (struct state_line){ .state = STATE_NONE };
}

static uint64_t data_bytes(const struct presence *presence)
{
	struct stat st;

	if (fstatat(presence->index_fd, INDEX_DATA_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_size;
}

static int format_state(const struct presence *presence, const char *word, struct buf *out)
{
	return buf_printf(out, STATE_WORD "%s %s %" PRIu64 "\n", word, presence->boot,
			  data_bytes(presence));
}

static int write_state(const struct presence *presence, const char *word)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(STATE_MAX_BYTES);
	int rc = format_state(presence, word, &text);

	return rc < 0 ? rc : io_replace_file(presence->index_fd, STATE_FILE, text.data, text.len);
}

static bool is_trusted(const struct presence *presence, const struct state_line *line)
{
	if (line->state == STATE_CLEAN)
		return line->data_bytes == data_bytes(presence);
	return line->state == STATE_OPEN && presence->boot[0] != '\0' &&
	       strcmp(line->boot, presence->boot) == 0;
}

/* Without an id only a clean index is trusted. */
static int read_boot_id(struct presence *presence, const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(STATE_MAX_BYTES);
	struct cursor cur;
	int rc = io_read_file(AT_FDCWD, path != NULL ? path : BOOT_ID_FILE, &text);

	if (rc == -ENOMEM)
		return rc;
	cur = cursor_of(text.data, text.len);
	if (rc < 0 || !take_word(&cur, '\n', presence->boot, sizeof(presence->boot)) ||
	    strchr(presence->boot, ' ') != NULL)
		presence->boot[0] = '\0';
	return 0;
}

int presence_enter(struct presence *presence, int dirfd, int index_fd, const char *boot_path,
		   struct err *err)
{
	struct state_line line;
	int rc;

	*presence = (struct presence){ .lock_fd = -1, .index_fd = index_fd };
	pthread_mutex_init(&presence->lock, NULL);
	rc = read_boot_id(presence, boot_path);
	if (rc < 0)
		goto fail;
	rc = presence->lock_fd = io_open(dirfd, LOCK_FILE, O_RDWR | O_CREAT, 0600);
	if (rc < 0)
		goto fail;
	rc = shut_gate(presence);
	if (rc < 0)
		goto fail;
	rc = lock_byte(presence, LOCK_HOUSE, F_WRLCK);
	presence->first = rc == 0;
	if (rc == -EAGAIN)
		rc = lock_byte(presence, LOCK_HOUSE, F_RDLCK);
	if (rc < 0)
		goto fail;
	read_state(presence, &line);
	/* With others in, a state that is gone means damage: it stays gone. */
	atomic_store(&presence->marked, line.state != STATE_CLEAN);
	presence->trusted = !presence->first || is_trusted(presence, &line);
	return 0;
fail:
	presence_release(presence);
	if (rc == ERR_TIMEOUT)
		return err_set(err, rc, "another process has kept the cache locked for %u s",
			       PRESENCE_WAIT_S);
	return err_sys(err, -rc, "cannot lock the cache");
}

int presence_settle(struct presence *presence)
{
	int rc = lock_byte(presence, LOCK_HOUSE, F_RDLCK);

	if (rc == 0)
		open_gate(presence);
	return rc;
}

void presence_release(struct presence *presence)
{
	io_close(&presence->lock_fd);
	pthread_mutex_destroy(&presence->lock);
}

int presence_write_file(int dirfd, const char *name, const struct buf *text)
{
	AUTO_CLOSE int fd = io_open(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	return fd < 0 ? fd : io_write(fd, text->data, text->len);
}

int presence_set_new(struct presence *presence)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(STATE_MAX_BYTES);
	int rc = format_state(presence, "open", &text);

	if (rc == 0)
		rc = presence_write_file(presence->index_fd, STATE_FILE, &text);
	if (rc == 0)
		atomic_store(&presence->marked, true);
	return rc;
}

int presence_mark_open(struct presence *presence)
{
	struct state_line line;
	int rc;

	if (atomic_load_explicit(&presence->marked, memory_order_acquire))
		return 0;
	WITH_LOCK(&presence->lock);
	if (atomic_load(&presence->marked))
		return 0;
	rc = shut_gate(presence);
	if (rc < 0)
		return rc;
	read_state(presence, &line);
	rc = line.state == STATE_CLEAN ? write_state(presence, "open") : 0;
	open_gate(presence);
	if (rc == 0)
		atomic_store_explicit(&presence->marked, true, memory_order_release);
	return rc;
}

int presence_leave(struct presence *presence)
{
	struct state_line line;
	int rc = shut_gate(presence);

	if (rc < 0)
		return rc;
	rc = lock_byte(presence, LOCK_HOUSE, F_WRLCK);
	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	read_state(presence, &line);
	return line.state == STATE_OPEN;
}

int presence_set_clean(struct presence *presence)
{
	return write_state(presence, "clean");
}

void presence_set_damaged(struct presence *presence)
{
	/* Where even that fails, the next one to open it finds the damage itself. */
	(void)!io_unlink(presence->index_fd, STATE_FILE);
	atomic_store(&presence->marked, true);
}
