/* SPDX-License-Identifier: ISC */
/* snapshot, between its own files: folder state, payloads, index chunks. */
#ifndef QS_SNAPSHOT_INTERNAL_H
#define QS_SNAPSHOT_INTERNAL_H

#include "snapshot/snapshot.h"

/*
 * How a device's packs are found by somebody who has no index: through index
 * chunks, each in a pack, and for the newest packs by reading their own
 * directories ("direct").  Each snapshot's payload holds the whole cover of
 * its device's packs as it then was.
 */
struct qs_index_at {
	struct qs_name pack; /* holds the index chunk */
	struct qs_id id;
	uint32_t len;
};

struct qs_cover { /* owned */
	struct qs_index_at *indexes;
	size_t index_count;
	struct qs_name *direct;
	size_t direct_count;
};

void qs_cover_clear(struct qs_cover *cover);
/*
 * Packs that a record lists which has no cover of its own: the device's next
 * snapshot has them in its cover.
 */
QS_MUST_CHECK enum qs_code qs_cover_extend(struct qs_cover *cover,
	struct qs_span names, struct qs_err *err);

struct qs_turn { /* a snapshot that is forgotten, or remembered again */
	struct qs_name record;
	bool is_forgotten;
};

/* A SNAPSHOT record's payload, docs/FORMAT.md "Snapshot payload". */
struct qs_payload {
	enum {
		QS_PAYLOAD_SNAPSHOT = 1, QS_PAYLOAD_NOTE = 2,
		QS_PAYLOAD_TURNS = 3,
	} kind;
	struct qs_snapshot snapshot; /* owned; record, device, seq unset */
	struct qs_cover cover;       /* owned */
	struct qs_mark *heads;       /* owned: other devices' heads seen */
	size_t head_count;
	/* NOTE: the tags of another snapshot from now on */
	struct qs_name note_record;
	/* Not in it: QS_ECONFLICT when this device has written meanwhile. */
	bool is_exact;
	struct qs_turn *turns; /* TURNS: owned, by ascending name */
	size_t turn_count;
};

QS_MUST_CHECK enum qs_code qs_payload_encode(const struct qs_payload *payload,
	struct qs_buf *out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_payload_decode(struct qs_span bytes,
	struct qs_payload *out, struct qs_err *err);
void qs_payload_clear(struct qs_payload *payload);
void qs_snapshot_clear(struct qs_snapshot *snapshot);

/*
 * Index chunk: for each pack its name, size, epoch, salt and directory.  What
 * is appended to out stays under QS_CHUNK_MAX; *done says how many of names
 * went in (at least one).
 */
QS_MUST_CHECK enum qs_code qs_index_chunk_encode(struct qs_index *index,
	const struct qs_name *names, size_t count, struct qs_buf *out,
	size_t *done, struct qs_err *err);
/* Calls fn for each pack; dir is borrowed for the call. */
typedef enum qs_code (*qs_index_chunk_fn)(void *arg,
	const struct qs_pack_ref *ref, const struct qs_pack_dir *dir,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_chunk_decode(struct qs_span bytes,
	qs_index_chunk_fn fn, void *arg, struct qs_err *err);

/*
 * The names of the packs an index chunk covers (it is read from the store), to
 * merge small ones.
 */
QS_MUST_CHECK enum qs_code qs_index_chunk_names(struct qs_folder *folder,
	const struct qs_index_at *at, struct qs_name **names, size_t *count,
	struct qs_err *err);

/* Why the store could not tell an object's size: err gets it. */
enum qs_code qs_folder_fail_unknown(struct qs_folder *folder,
	const struct qs_name *name, struct qs_err *err);

/*
 * Remember a pack that was forgotten because it is missing or damaged: each
 * opening looks whether it is back.
 */
QS_MUST_CHECK enum qs_code qs_folder_note_absent(struct qs_folder *folder,
	const struct qs_name *name, struct qs_err *err);

/* The cover in this device's newest snapshot; empty when it has none. */
const struct qs_cover *qs_folder_cover(const struct qs_folder *folder);

/*
 * Append a SNAPSHOT record: names (sorted, unique) are the objects added since
 * this device's last record, all durable in the store.  Makes and certifies a
 * device key first if this machine has none (QS_EKEY without the admin key).
 * A local lock keeps two processes of this machine apart.  On success the
 * snapshot is among the folder's.
 */
QS_MUST_CHECK enum qs_code qs_folder_append(struct qs_folder *folder,
	struct qs_payload *payload, const struct qs_name *names,
	size_t count, struct qs_name *record, struct qs_err *err);
/* Fail early where append would fail for want of a key. */
QS_MUST_CHECK enum qs_code qs_folder_can_write(struct qs_folder *folder,
	struct qs_err *err);

/*
 * Every object name in the public body of a valid SNAPSHOT record, in order of
 * devices and seq; the log is read again.
 */
QS_MUST_CHECK enum qs_code qs_folder_each_logged(struct qs_folder *folder,
	qs_index_name_fn fn, void *arg, struct qs_err *err);

/* Bytes after which an index chunk is not merged any more. */
#define QS_INDEX_SMALL (256u << 10)
/* Direct packs before an index chunk is written; small chunks to a merge. */
#define QS_DIRECT_MAX 16

/*
 * Before a record: retired packs that the index has all the same, since another
 * process of this machine has put them there meanwhile, may have been built
 * upon.  They are listed again.
 */
QS_MUST_CHECK enum qs_code qs_retired_list_used(struct qs_folder *folder,
	struct qs_err *err);

#endif
