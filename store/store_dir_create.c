/* SPDX-License-Identifier: ISC */
/* Making a directory store, and the README.txt that a finder of it reads. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

static const char readme[] =
"This is a backup, made with qstore.\n"
"\n"
"Everything in it is encrypted: the files, their names, their sizes and how\n"
"many there are.  Please do not change, rename or remove anything here.  It\n"
"is safe to copy the whole of it to another disk, computer or cloud.\n"
"\n"
"To get the files back, on any computer with Linux:\n"
"\n"
"  1. Install qstore.\n"
"  2. See what is here (put this folder's path in the place of PATH):\n"
"       qstore -r PATH snapshots\n"
"  3. Restore the newest state to a new folder:\n"
"       qstore -r PATH restore latest --target restored\n"
"\n"
"It asks for the passphrase; the recovery code that was shown when the backup\n"
"was set up opens it too.  Without one of these nobody can open it.\n"
"\n"
"What is here:\n"
"\n"
"  <32 hex digits>/        a folder: the backup of one computer or qube\n"
"    keys/                 its keys, locked by the passphrase\n"
"    log/                  who saved what when: signed records\n"
"    obj/                  the encrypted contents\n"
"\n"
"The hex digits at the end of each file's name (before .key) are the BLAKE2b\n"
"hash of its bytes: `b2sum -l 256 FILE` must print the same, or the file is\n"
"damaged.  qstore's docs/FORMAT.md describes every byte, so that a reader can\n"
"be written even if qstore itself is gone.\n";

static enum qs_code
write_readme(int root, struct qs_err *err)
{
	struct stat st;

	/* Somebody may have put words of their own there. */
	if (fstatat(root, "README.txt", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return QS_OK;
	return qs_file_replace(root, "README.txt", 0600,
		qs_span(readme, sizeof(readme) - 1), err);
}

static enum qs_code
make(int at, const char *path, struct qs_err *err)
{
	if (mkdirat(at, path, DIR_MODE) == 0 || errno == EEXIST)
		return QS_OK;
	return qs_fail_errno(err, "make folder %s", path);
}

/*
 * "keys" comes last and "log" and "obj" are durable before it: what has it is
 * a whole folder.
 */
static enum qs_code
fill_folder(int root, const char *folder, struct qs_err *err)
{
	static const char *const parts[] = {"log", "obj"};
	struct stat st;
	int fd = -1;
	enum qs_code rc = make(root, folder, err);

	if (rc == QS_OK)
		rc = qs_dir_open(root, folder, &fd, err);
	if (rc != QS_OK)
		return rc;
	if (fstatat(fd, "keys", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		rc = qs_fail(err, QS_EEXIST, "folder %s is there already",
			folder);
		goto out;
	}
	for (size_t i = 0; rc == QS_OK && i < 2; i++)
		rc = make(fd, parts[i], err);
	if (rc == QS_OK)
		rc = qs_fd_sync(fd, err);
	if (rc == QS_OK)
		rc = make(fd, "keys", err);
	if (rc == QS_OK)
		rc = qs_fd_sync(fd, err);
	if (rc == QS_OK)
		rc = qs_fd_sync(root, err);
out:
	qs_fd_close(&fd);
	return rc;
}

enum qs_code
qs_store_dir_create(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_store **out,
	struct qs_err *err)
{
	char folder[2 * QS_FOLDER_ID_LEN + 1];
	int root = -1;
	enum qs_code rc = qs_dir_make(path, DIR_MODE, err);

	if (rc == QS_OK)
		rc = qs_dir_open(AT_FDCWD, path, &root, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "create a store");
	qs_hex(folder, folder_id, QS_FOLDER_ID_LEN);
	rc = write_readme(root, err);
	if (rc == QS_OK)
		rc = fill_folder(root, folder, err);
	qs_fd_close(&root);
	if (rc != QS_OK)
		return qs_fail_while(err, "create a store at %s", path);
	return qs_store_dir_open(path, folder_id, out, err);
}
