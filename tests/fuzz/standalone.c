/* SPDX-License-Identifier: ISC */
/*
 * A main for fuzz targets without libFuzzer: runs every file that is named, or
 * that lies in a directory that is named, through the target once.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64L << 20)

static int
run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long size;
	int rc = 1;

	if (file == NULL) {
		perror(path);
		return 1;
	}
	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
		size > INPUT_MAX || fseek(file, 0, SEEK_SET) != 0)
		goto out;
	/* Exactly as long as the file, so that a read past it is noticed. */
	data = malloc(size > 0 ? (size_t)size : 1);
	if (data == NULL ||
		fread(data, 1, (size_t)size, file) != (size_t)size)
		goto out;
	(void)LLVMFuzzerTestOneInput(data, (size_t)size);
	rc = 0;
out:
	if (rc != 0)
		(void)fprintf(stderr, "%s: cannot be read\n", path);
	free(data);
	(void)fclose(file);
	return rc;
}

static int
run_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int failed = 0;

	if (dir == NULL) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir)) != NULL) {
		char file[4096];
		struct stat st;
		int len = snprintf(file, sizeof(file), "%s/%s", path,
			entry->d_name);

		if (len > 0 && (size_t)len < sizeof(file) &&
			stat(file, &st) == 0 && S_ISREG(st.st_mode))
			failed += run_file(file);
	}
	(void)closedir(dir);
	return failed;
}

int
main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			failed += run_dir(argv[i]);
		else
			failed += run_file(argv[i]);
	}
	return failed != 0;
}
