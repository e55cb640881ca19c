/* SPDX-License-Identifier: ISC */
/*
 * Old records name objects that were retired and are gone: when a log is copied
 * they are taken all the same.  What excuses them is a RETIRE in the log here,
 * so the admin's records come first.  Who knew of the RETIRE and lists the
 * object all the same is not excused: he has to store it again.
 */
#include <sys/stat.h>

#include "store/store_dir_internal.h"

static enum qs_code
read_admin(struct dir_store *self, struct qs_store *store,
	struct qs_retirement **out, struct qs_err *err)
{
	struct qs_log_list list = {0};
	struct qs_retirement *retirement = NULL;
	struct qs_buf bytes = {0};
	uint8_t adm_pk[32];
	enum qs_code rc = qs_log_list_load(store, &list, err);

	if (rc == QS_OK)
		rc = qs_log_find_admin(store, &list, &bytes, adm_pk, err);
	if (rc == QS_OK)
		rc = qs_retirement_new(adm_pk, &retirement, err);
	for (size_t i = 0; rc == QS_OK && i < list.count; i++) {
		struct qs_record record;
		struct qs_err fault;

		if (memcmp(list.entries[i].device, adm_pk,
			QS_DEVICE_LEN) != 0)
			continue;
		rc = qs_log_load(store, &list.entries[i], &bytes, &record,
			&fault);
		if (rc == QS_OK)
			rc = qs_retirement_take(retirement, &record, err);
		else if (qs_log_is_local(rc)) /* it excuses nothing */
			rc = QS_OK;
		else
			*err = fault;
	}
	if (rc == QS_OK)
		rc = qs_retirement_finish(retirement, err);
	if (rc == QS_OK) {
		memcpy(self->gone.admin, adm_pk, QS_DEVICE_LEN);
		*out = retirement;
		retirement = NULL; /* handed over */
	}
	qs_retirement_free(retirement);
	qs_log_list_clear(&list);
	qs_buf_clear(&bytes);
	return rc;
}

/* The admin's directory changes with each record of it. */
static bool
is_fresh(const struct dir_store *self)
{
	struct qs_file_path path = qs_dir_device_path(self->gone.admin);
	const struct timespec *then = &self->gone.changed;
	struct stat st;

	return self->gone.retirement != NULL &&
		fstatat(self->fd, path.text, &st, 0) == 0 &&
		st.st_mtim.tv_sec == then->tv_sec &&
		st.st_mtim.tv_nsec == then->tv_nsec;
}

static enum qs_code
load(struct dir_store *self, struct qs_store *store, struct qs_err *err)
{
	struct qs_retirement *retirement = NULL;
	struct qs_file_path path;
	struct stat st;
	enum qs_code rc = read_admin(self, store, &retirement, err);

	if (rc != QS_OK)
		return rc;
	qs_retirement_free(self->gone.retirement);
	self->gone.retirement = retirement;
	path = qs_dir_device_path(self->gone.admin);
	memset(&self->gone.changed, 0, sizeof(self->gone.changed));
	if (fstatat(self->fd, path.text, &st, 0) == 0)
		self->gone.changed = st.st_mtim;
	return QS_OK;
}

bool
qs_dir_is_excused(struct dir_store *self, struct qs_store *store,
	const struct qs_name *name, uint32_t retire_seen)
{
	struct qs_err fault;
	bool is_excused = false;

	(void)pthread_mutex_lock(&self->gone.lock);
	if (is_fresh(self) || load(self, store, &fault) == QS_OK)
		is_excused = qs_retirement_excuses(self->gone.retirement,
			name, retire_seen);
	(void)pthread_mutex_unlock(&self->gone.lock);
	return is_excused;
}
