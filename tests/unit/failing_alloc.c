#include "failing_alloc.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

/* The names that ld(1) gives with --wrap. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Thread_local long countdown; /* 0: not armed, or delivered */
static _Thread_local bool delivered;

void failing_alloc_arm(long nth)
{
	assert(nth > 0);
	countdown = nth;
	delivered = false;
}

bool failing_alloc_disarm(void)
{
	bool was_delivered = delivered;

	countdown = 0;
	delivered = false;
	return was_delivered;
}

static bool fails_now(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	delivered = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}
