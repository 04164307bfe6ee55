/*
 * Memory that runs out on demand: the test programs are linked with
 * --wrap=malloc, --wrap=calloc and --wrap=realloc.
 *
 *	for (long nth = 1;; nth++) {
 *		failing_alloc_arm(nth);
 *		rc = thing_under_test(...);
 *		if (!failing_alloc_disarm())
 *			break; // it went through without the failure: every place was tried
 *		// rc is -ENOMEM, or a success that can do without the memory
 *	}
 *
 * Counted per thread. Allocations that libraries make themselves are not seen.
 */
#ifndef GIT_FS_TESTS_FAILING_ALLOC_H
#define GIT_FS_TESTS_FAILING_ALLOC_H

#include <stdbool.h>

/* The nth malloc, calloc or realloc from now on in this thread, counted from
 * 1, fails; those after it do not. */
void failing_alloc_arm(long nth);
/* Switches it off. True if an allocation was made to fail since it was armed. */
bool failing_alloc_disarm(void);

#endif
