/* SPDX-License-Identifier: ISC */
/*
 * fuse: snapshots as plain read-only directories.
 *
 * At the mount point are latest/, snapshots/<time>/, ids/<id>/,
 * hosts/<host>/<time>/ and tags/<tag>/<time>/; or, when one snapshot is asked
 * for, its tree.  Nothing below a snapshot ever changes, so the kernel may keep
 * names, attributes and pages as long as it likes; what is above changes when
 * the log does, and is looked at again when it is older than a second.
 *
 * Threads: qs_mount serves from several threads of its own and returns when
 * the mount is gone.  Until then it alone uses the folder.
 */
#ifndef QS_FUSE_H
#define QS_FUSE_H

#include "snapshot/snapshot.h"

#define QS_MOUNT_CACHE ((size_t)64 << 20) /* bytes of opened frames */
#define QS_MOUNT_CACHE_MIN ((size_t)8 << 20)
#define QS_MOUNT_TIMEOUT 30 /* seconds */

enum qs_mount_owner {
	QS_OWNER_DEFAULT, /* root: as stored; others: the one who mounts */
	QS_OWNER_STORED,
	QS_OWNER_MOUNTER,
};

struct qs_mount_options {
	const char *dir; /* the mount point: a directory that exists */
	/* NULL: all snapshots that filter lets through. */
	const struct qs_snapshot *snapshot;
	const char *subpath; /* within the snapshot; "" or NULL: all of it */
	struct qs_filter filter;
	enum qs_mount_owner owner;
	/* Other users may look, as modes and ACLs allow; where the owner is
	 * the mounter, only as they allow everybody. */
	bool allow_other;
	size_t cache_bytes; /* 0: QS_MOUNT_CACHE */
	/* Seconds after which a store that does not answer costs an EIO; 0:
	 * QS_MOUNT_TIMEOUT. */
	unsigned timeout_s;
	/* Only cancel is looked at, until it is mounted; may be NULL. */
	struct qs_progress *progress;
	/* Called once it can be looked into; may be NULL. */
	void (*ready)(void *arg);
	void *ready_arg;
	/*
	 * Unmounted, but threads are still waiting for a silent store, which
	 * nothing can call back: the process has to end.  May be NULL (then
	 * qs_mount goes on waiting for them).
	 */
	void (*give_up)(void *arg);
	void *give_up_arg;
	/*
	 * What can't be read, once for each object, and never a file's name.
	 * Called from any thread, one at a time.
	 */
	qs_trouble_fn trouble;
	void *trouble_arg;
};

/*
 * Mount and serve until SIGINT, SIGTERM, SIGHUP or an unmount from outside;
 * for that time the process' handlers of these signals are replaced.
 * QS_EINVAL for a bad mount point, QS_EIO when mounting is refused,
 * QS_ECANCELED when it was interrupted before it was ready; QS_OK when it was
 * unmounted.  The folder may have been reloaded: snapshots borrowed from
 * it are gone.
 */
QS_MUST_CHECK enum qs_code qs_mount(struct qs_folder *folder,
	const struct qs_mount_options *options, struct qs_err *err);

/*
 * Unmount what qs_mount mounted, also from another process, and also what a
 * killed one has left behind.  QS_EBUSY when files in it are open (unless
 * lazy: then it goes when they are closed), QS_EINVAL when nothing of qstore's
 * is mounted there.
 */
QS_MUST_CHECK enum qs_code qs_umount(const char *dir, bool lazy,
	struct qs_err *err);

#endif
