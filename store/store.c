/* SPDX-License-Identifier: ISC */
/* Stores: what is the same for every kind. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

struct qs_short
qs_short_name(const struct qs_name *name)
{
	struct qs_short out;

	qs_hex(out.hex, name->b, 8);
	return out;
}

struct qs_short
qs_short_device(const uint8_t device[static QS_DEVICE_LEN])
{
	struct qs_short out;

	qs_hex(out.hex, device, QS_DEVICE_LEN);
	return out;
}

const char *
qs_area_word(enum qs_area area)
{
	switch (area) {
	case QS_AREA_KEYS:
		return "key slot";
	case QS_AREA_LOG:
		return "log record";
	case QS_AREA_OBJ:
		return "object";
	case QS_AREA_BESIDE:
		break;
	}
	return "file";
}

/* --------------------------------------------------------------- places */

/*
 * A path that looks like a URL is a mistake, or of a version that knows more:
 * it must not become a directory of that name.
 */
static enum qs_code
check_path(const char *path, struct qs_err *err)
{
	if (path[0] == '\0')
		return qs_fail(err, QS_EINVAL,
			"the place of the store is empty");
	if (strstr(path, "://") != NULL ||
		strncmp(path, "onedrive:", 9) == 0)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: this version of "
			"qstore knows no such place: say a path, qrexec://, "
			"ssh://, unix: or exec:", path);
	return QS_OK;
}

enum qs_code
qs_store_folders(const char *path, struct qs_folder_list *out,
	struct qs_err *err)
{
	enum qs_code rc = check_path(path, err);

	return rc != QS_OK ? rc : qs_store_dir_folders(path, out, err);
}

void
qs_folder_list_clear(struct qs_folder_list *list)
{
	free(list->ids);
	memset(list, 0, sizeof(*list));
}

enum qs_code
qs_store_open(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	enum qs_code rc = check_path(path, err);

	return rc != QS_OK ? rc : qs_store_dir_open(path, folder_id, out, err);
}

enum qs_code
qs_store_create(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_store **out,
	struct qs_err *err)
{
	enum qs_code rc = check_path(path, err);

	return rc != QS_OK ? rc : qs_store_dir_create(path, folder_id, out,
		err);
}

void
qs_store_close(struct qs_store *store)
{
	if (store == NULL)
		return;
	store->ops->close(store->self);
	free(store->place);
	free(store);
}

/* ------------------------------------------------------ whole, checked */

#define LOAD_STEP_MAX (4u << 20) /* a multiple of QS_SLICE */

/*
 * Append all of a file.  Its size as listed is a hint only: a place may say
 * what it likes, so the buffer grows with what really comes.
 */
static enum qs_code
load_all(struct qs_store *store, const struct qs_ref *ref, size_t max,
	struct qs_buf *out, struct qs_err *err)
{
	uint64_t offset = 0;
	size_t step = QS_SLICE;

	for (;;) {
		size_t got = 0;
		uint8_t *at;
		enum qs_code rc = qs_buf_extend(out, step, &at, err);

		if (rc != QS_OK)
			return rc;
		rc = store->ops->get(store->self, ref, offset, at, step, &got,
			err);
		if (rc != QS_OK)
			return rc;
		if (got > step)
			return qs_fail(err, QS_EPROTO, "%s %s: %s gave more "
				"bytes than were asked for",
				qs_area_word(ref->area),
				qs_short_name(&ref->name).hex, store->place);
		out->len -= step - got;
		offset += got;
		if (offset > max)
			return qs_fail(err, QS_ECORRUPT, "%s %s: longer than "
				"the %zu bytes that are allowed",
				qs_area_word(ref->area),
				qs_short_name(&ref->name).hex, max);
		if (got < step)
			return QS_OK;
		if (step < LOAD_STEP_MAX)
			step *= 2;
	}
}

enum qs_code
qs_store_load(struct qs_store *store, const struct qs_ref *ref, size_t max,
	struct qs_buf *out, struct qs_err *err)
{
	size_t old_len = out->len;
	struct qs_name name;
	enum qs_code rc = load_all(store, ref, max, out, err);

	if (rc == QS_OK) {
		qs_hash_name(qs_span(out->data + old_len, out->len - old_len),
			&name);
		if (memcmp(name.b, ref->name.b, sizeof(name.b)) != 0)
			rc = qs_fail(err, QS_ECORRUPT, "%s %s: its bytes do "
				"not match its name: damaged",
				qs_area_word(ref->area),
				qs_short_name(&ref->name).hex);
	}
	if (rc != QS_OK)
		out->len = old_len;
	return rc;
}

/* -------------------------------------------------------------- naming */

#define NAME_SLICE ((size_t)128 << 10) /* a multiple of BLAKE2b's 128 */

/* The next bytes of a stage: where they are, or read into at. */
static enum qs_code
next_slice(struct qs_store *store, struct qs_stage *stage, uint64_t offset,
	uint8_t *at, struct qs_span *out, struct qs_err *err)
{
	size_t got = 0;
	enum qs_code rc = QS_OK;

	if (store->ops->stage_bytes != NULL) {
		struct qs_span all = store->ops->stage_bytes(store->self,
			stage);

		got = offset < all.len ? all.len - (size_t)offset : 0;
		if (got > NAME_SLICE)
			got = NAME_SLICE;
		*out = qs_span(got > 0 ? all.data + offset : at, got);
		return QS_OK;
	}
	rc = store->ops->stage_read(store->self, stage, offset, at,
		NAME_SLICE, &got, err);
	*out = qs_span(at, got);
	return rc;
}

/* Hash one batch of at most QS_LANES_MAX, in slices that lie side by side. */
static enum qs_code
name_batch(struct qs_store *store, struct qs_lanes *lanes, uint8_t *slices,
	struct qs_stage *const *stages, size_t count, struct qs_err *err)
{
	struct qs_span spans[QS_LANES_MAX];
	bool ended[QS_LANES_MAX] = {false};
	size_t ended_count = 0;
	uint64_t offset = 0;

	qs_lanes_reset(lanes, count);
	while (ended_count < count) {
		for (size_t i = 0; i < count; i++) {
			uint8_t *at = slices + i * NAME_SLICE;
			enum qs_code rc = QS_OK;

			spans[i] = qs_span(at, 0);
			if (!ended[i])
				rc = next_slice(store, stages[i], offset, at,
					&spans[i], err);
			if (rc != QS_OK)
				return rc;
			if (!ended[i] && spans[i].len < NAME_SLICE) {
				ended[i] = true;
				ended_count++;
			}
		}
		qs_lanes_update(lanes, spans);
		offset += NAME_SLICE;
	}
	return QS_OK;
}

enum qs_code
qs_store_name(struct qs_store *store, struct qs_stage *const *stages,
	size_t count, struct qs_name *names, struct qs_err *err)
{
	struct qs_lanes *lanes = NULL;
	uint8_t *slices;
	enum qs_code rc = QS_OK;

	if (count == 0)
		return QS_OK;
	slices = malloc((count < QS_LANES_MAX ? count : QS_LANES_MAX) *
		NAME_SLICE);
	if (slices == NULL)
		return qs_fail_nomem(err, "naming objects");
	rc = qs_lanes_new(&lanes, err);
	for (size_t first = 0; rc == QS_OK && first < count;
		first += QS_LANES_MAX) {
		size_t batch = count - first;

		if (batch > QS_LANES_MAX)
			batch = QS_LANES_MAX;
		rc = name_batch(store, lanes, slices, stages + first, batch,
			err);
		if (rc == QS_OK)
			qs_lanes_final(lanes, names + first);
	}
	qs_lanes_free(lanes);
	free(slices);
	return rc;
}
