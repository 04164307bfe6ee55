/*
 * Replays corpora through a fuzz target without libFuzzer, so that the normal
 * suite runs them under any compiler: every file of the folders given as
 * arguments, whole, cut off at every length, and with every single bit flipped.
 *
 * Each input lies in memory of exactly its size, where a sanitizer sees a read
 * of one byte beyond.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "fuzz.h"

/* Larger seeds take long (a run per bit) and find no more. */
#define SEED_MAX 4096

static void run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);

	if (copy == NULL) {
		fprintf(stderr, "no memory\n");
		exit(1);
	}
	if (len != 0)
		memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void run_variants(uint8_t *seed, size_t len)
{
	run(seed, len);
	for (size_t cut = 0; cut < len; cut++)
		run(seed, cut);
	for (size_t bit = 0; bit < len * 8; bit++) {
		uint8_t mask = (uint8_t)(1u << (bit % 8));

		seed[bit / 8] ^= mask;
		run(seed, len);
		seed[bit / 8] ^= mask;
	}
}

static int replay_file(const char *folder, const char *name)
{
	uint8_t seed[SEED_MAX + 1];
	char path[4096];
	size_t len;
	FILE *file;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path)) {
		fprintf(stderr, "%s: path too long\n", name);
		return -1;
	}
	file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		return -1;
	}
	len = fread(seed, 1, sizeof(seed), file);
	if (ferror(file) != 0 || len > SEED_MAX) {
		fprintf(stderr, "%s: unreadable, or over %d bytes\n", path, SEED_MAX);
		fclose(file);
		return -1;
	}
	fclose(file);
	printf("%s: %zu bytes\n", path, len);
	/* Before it runs, so that the name of a seed that kills stands there. */
	fflush(stdout);
	run_variants(seed, len);
	return 0;
}

/* A folder without a seed tests nothing and fails. */
static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int seeds = 0;
	int failed = 0;

	if (dir == NULL) {
		perror(folder);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		failed |= replay_file(folder, entry->d_name);
		seeds++;
	}
	closedir(dir);
	if (seeds == 0)
		fprintf(stderr, "%s: no seeds\n", folder);
	return failed < 0 || seeds == 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FOLDER...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		failed |= replay_folder(argv[i]);
	return failed < 0 ? 1 : 0;
}
