/*
 * Output for people and programs on stdout.
 */
#ifndef GIT_FS_CLI_PRINT_H
#define GIT_FS_CLI_PRINT_H

#include <stddef.h>
#include <stdint.h>

#include "cli/json.h"

/* "12.3 MiB" into `out`; returns it. */
char *print_bytes(char out[32], uint64_t bytes);
/* "2026-01-31 12:34:56" local time; returns it. */
char *print_time(char out[32], uint64_t seconds);
/* "label        text", the text cleaned. */
void print_line(const char *label, const char *text);
/* Ends the document and writes it, or says why not; the exit code. */
int print_json(struct json *json);
/* Flushes stdout, or says why not; the exit code. */
int print_flush(void);

#endif
