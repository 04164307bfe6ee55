/*
 * The door of a fuzz target, as libFuzzer defines it. The same file is linked
 * with libFuzzer or with replay.c.
 */
#ifndef GIT_FS_TESTS_FUZZ_H
#define GIT_FS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; a finding ends the process (assert, sanitizer). `data` is not changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
