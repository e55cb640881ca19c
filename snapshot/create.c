/* SPDX-License-Identifier: ISC */
/* Making a snapshot: sets the pipeline up, runs it, and cleans up after it. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "snapshot/create_internal.h"
#include "snapshot/source_internal.h"

#define BATCHES 6
#define WORKERS_MAX 32

void
create_tell(struct create *create, const char *path, const struct qs_err *err)
{
	struct qs_event event = {.kind = QS_EVENT_WARNING, .path = path,
		.err = err};

	if (create->report->event == NULL)
		return;
	pthread_mutex_lock(&create->report_lock);
	create->report->event(create->report->arg, &event);
	pthread_mutex_unlock(&create->report_lock);
}

void
create_warn(struct create *create, const char *path, const struct qs_err *err)
{
	atomic_fetch_add(&create->error_count, 1);
	atomic_fetch_add(&create->report->progress->errors, 1);
	create_tell(create, path[0] != '\0' ? path : "/", err);
}

void
create_event(struct create *create, enum qs_event_kind kind, const char *path,
	enum qs_node_type type, uint64_t size)
{
	struct qs_event event = {.kind = kind, .path = path, .type = type,
		.size = size};

	if (create->report->event == NULL)
		return;
	pthread_mutex_lock(&create->report_lock);
	create->report->event(create->report->arg, &event);
	pthread_mutex_unlock(&create->report_lock);
}

bool
create_stopped(struct create *create)
{
	return atomic_load(&create->report->progress->cancel) ||
		board_failed(&create->board);
}

/* A folder each level may be open: ask for as many descriptors as allowed. */
static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static enum qs_code
who_and_where(struct create *create, struct qs_err *err)
{
	const struct qs_create_options *o = create->options;
	struct passwd entry, *found = NULL;
	char scratch[4096];

	create->began_ns = qs_now_ns();
	create->began_mono_ns = qs_mono_ns();
	create->uid = geteuid();
	create->gid = getegid();
	if (o->host != NULL && strlen(o->host) >= sizeof(create->host))
		return qs_fail(err, QS_EINVAL, "the host's name is longer than "
			"255 bytes");
	if (o->host != NULL)
		memcpy(create->host, o->host, strlen(o->host) + 1);
	else if (gethostname(create->host, sizeof(create->host) - 1) != 0)
		return qs_fail_errno(err, "this machine's name");
	if (getpwuid_r(create->uid, &entry, scratch, sizeof(scratch),
		&found) == 0 && found != NULL &&
		strlen(found->pw_name) < sizeof(create->user))
		memcpy(create->user, found->pw_name,
			strlen(found->pw_name) + 1);
	if (o->stdin_fd >= 0) {
		create->paths = calloc(1, sizeof(char *));
		if (create->paths == NULL)
			return qs_fail_nomem(err, "starting the snapshot");
		create->path_count = 1;
		if (asprintf(&create->paths[0], "/%s", o->stdin_name) < 0)
			create->paths[0] = NULL;
		return create->paths[0] != NULL ? QS_OK :
			qs_fail_nomem(err, "starting the snapshot");
	}
	return create_shown_paths(o->paths, o->path_count, &create->paths,
		&create->path_count, err);
}

/* The newest snapshot of this host with the same paths. */
static void
choose_parent(struct create *create)
{
	const char *host = create->host;
	struct qs_filter filter = {
		.hosts = &host,
		.host_count = 1,
		.paths = (const char *const *)create->paths,
		.path_count = create->path_count,
	};

	if (create->options->parent != NULL) {
		create->parent = create->options->parent;
		return;
	}
	for (size_t i = qs_folder_snapshot_count(create->folder); i > 0; i--) {
		const struct qs_snapshot *s = qs_folder_snapshot(
			create->folder, i - 1);

		if (s->path_count == create->path_count &&
			qs_filter_match(&filter, s)) {
			create->parent = s;
			return;
		}
	}
}

static enum qs_code
make_queues(struct create *create, struct qs_err *err)
{
	enum qs_code rc = qs_queue_new(BATCHES, &create->batches, err);

	if (rc == QS_OK)
		rc = qs_queue_new(BATCHES, &create->empty_batches, err);
	for (size_t i = 0; i < BATCHES && rc == QS_OK; i++) {
		struct list_batch *batch = calloc(1, sizeof(*batch));

		if (batch == NULL)
			rc = qs_fail_nomem(err, "starting the snapshot");
		else
			qs_queue_push(create->empty_batches, batch);
	}
	return rc;
}

static void
free_queue(struct qs_queue *queue)
{
	struct list_batch *batch;

	while (queue != NULL && (batch = qs_queue_try_pop(queue)) != NULL)
		list_batch_free(batch);
	qs_queue_free(queue);
}

struct threads {
	struct qs_thread *list[WORKERS_MAX + 3];
	size_t count;
};

static enum qs_code
start(struct threads *threads, struct create *create, void (*fn)(void *),
	const char *name, struct qs_err *err)
{
	enum qs_code rc = qs_thread_start(&threads->list[threads->count], fn,
		create, name, err);

	if (rc == QS_OK)
		threads->count++;
	return rc;
}

static enum qs_code
start_all(struct threads *threads, struct create *create, struct qs_err *err)
{
	unsigned workers = create->options->read_concurrency;
	enum qs_code rc;

	if (workers < qs_cpu_count())
		workers = qs_cpu_count();
	if (workers < 2)
		workers = 2;
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	rc = start(threads, create, create_commit_run, "qs-commit", err);
	for (unsigned i = 0; i < workers && rc == QS_OK; i++)
		rc = start(threads, create, create_work_run, "qs-work", err);
	if (rc == QS_OK)
		rc = start(threads, create, create_plan_run, "qs-plan", err);
	if (rc == QS_OK && create->options->stdin_fd < 0)
		rc = start(threads, create, create_list_run, "qs-list", err);
	return rc;
}

/* Whatever went wrong first is what the caller is told. */
static enum qs_code
run(struct create *create, struct packer *packer,
	struct qs_create_result *out, struct qs_err *err)
{
	struct threads threads = {0};
	enum qs_code rc = start_all(&threads, create, err);

	if (rc == QS_OK)
		rc = create_assemble(create, packer, err);
	if (rc == QS_OK) {
		create->totals.errors = atomic_load(&create->error_count);
		rc = create_finish(create, packer, out, err);
	}
	if (rc != QS_OK)
		board_fail(&create->board, err);
	board_packed_all(&create->board);
	qs_queue_close(create->batches);
	qs_queue_close(create->empty_batches);
	for (size_t i = 0; i < threads.count; i++)
		qs_thread_join(threads.list[i]);
	if (board_failed(&create->board)) {
		*err = create->board.failure;
		rc = err->code;
	}
	for (size_t i = 0; i < create->board.staged_count; i++) {
		struct staged *staged = &create->board.staged[i];

		create->store->ops->discard(create->store->self,
			staged->stage);
		qs_pack_dir_clear(&staged->dir);
	}
	return rc;
}

static void
set_up_chunker(struct create *create)
{
	struct qs_chunker_key key;

	qs_chunker_derive(qs_keys_ds(create->keys),
		qs_folder_chunker(create->folder), &key);
	qs_chunker_init(&create->chunker, qs_folder_chunker(create->folder),
		&key);
	qs_wipe(&key, sizeof(key));
}

struct packs {
	struct qs_name *names;
	uint32_t *sizes;
	size_t count, cap;
};

static enum qs_code
add_pack(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *err)
{
	struct packs *packs = arg;

	(void)number;
	if (packs->count == packs->cap) {
		size_t cap = packs->cap ? packs->cap * 2 : 256;
		void *names = realloc(packs->names, cap *
			sizeof(*packs->names));
		void *sizes;

		if (names != NULL)
			packs->names = names;
		sizes = realloc(packs->sizes, cap * sizeof(*packs->sizes));
		if (sizes != NULL)
			packs->sizes = sizes;
		if (names == NULL || sizes == NULL)
			return qs_fail_nomem(err, "looking for packs");
		packs->cap = cap;
	}
	packs->names[packs->count] = ref->name;
	packs->sizes[packs->count++] = ref->size;
	return QS_OK;
}

static enum qs_code
forget_vanished(struct create *create, const struct qs_name *name,
	struct qs_err *err)
{
	struct qs_err what;
	char hex[17];
	enum qs_code rc;

	qs_hex(hex, name->b, 8);
	(void)qs_fail(&what, QS_ENOTFOUND, "object %s is missing from %s or "
		"has another size; what was in it and is still here is stored "
		"anew", hex, create->store->place);
	create_tell(create, NULL, &what);
	rc = qs_folder_note_absent(create->folder, name, err);
	return rc == QS_OK ? qs_index_forget(create->index, name, err) : rc;
}

/* Neither there nor gone: what to do about it is for people to say. */
static enum qs_code
fail_unknown(struct create *create, const struct qs_name *name,
	struct qs_err *err)
{
	(void)qs_folder_fail_unknown(create->folder, name, err);
	return qs_fail_while(err, "nothing is saved while it can't be told "
		"whether what was saved before is there");
}

/*
 * Nothing may be taken as stored on the word of the index alone: objects can
 * have gone behind our back.  One look at each, before anything is compared.
 */
static enum qs_code
look_for_packs(struct create *create, struct qs_err *err)
{
	struct packs packs = {0};
	uint64_t *sizes = NULL;
	enum qs_code rc = qs_index_each_pack(create->index, add_pack, &packs,
		err);

	if (rc == QS_OK) {
		sizes = calloc(packs.count + 1, sizeof(*sizes));
		if (sizes == NULL)
			rc = qs_fail_nomem(err, "looking for packs");
	}
	if (rc == QS_OK)
		rc = create->store->ops->have(create->store->self, packs.names,
			packs.count, sizes, err);
	for (size_t i = 0; i < packs.count && rc == QS_OK; i++)
		if (sizes[i] == QS_SIZE_UNKNOWN)
			rc = fail_unknown(create, &packs.names[i], err);
		else if (sizes[i] != packs.sizes[i])
			rc = forget_vanished(create, &packs.names[i], err);
	free(packs.names);
	free(packs.sizes);
	free(sizes);
	return rc;
}

enum qs_code
qs_create(struct qs_folder *folder, const struct qs_create_options *options,
	const struct qs_report *report, struct qs_create_result *out,
	struct qs_err *err)
{
	struct create *create = calloc(1, sizeof(struct create));
	struct packer *packer = NULL;
	struct qs_create_result result = {.saved = false};
	enum qs_code rc;

	if (create == NULL)
		return qs_fail_nomem(err, "starting the snapshot");
	raise_limit();
	create->folder = folder;
	create->options = options;
	create->report = report;
	create->index = qs_folder_index(folder);
	create->store = qs_folder_store(folder);
	create->keys = qs_folder_keys(folder);
	pthread_mutex_init(&create->report_lock, NULL);
	set_up_chunker(create);
	rc = board_init(&create->board, create->keys, err);
	if (rc == QS_OK && !options->dry_run)
		rc = qs_folder_can_write(folder, err);
	if (rc == QS_OK)
		rc = who_and_where(create, err);
	if (rc == QS_OK && !options->dry_run)
		rc = look_for_packs(create, err);
	if (rc == QS_OK)
		choose_parent(create);
	if (rc == QS_OK && create->parent != NULL)
		rc = qs_source_new_parts(create->store, create->keys,
			create->index, 4u << 20, &create->source, err);
	if (rc == QS_OK)
		rc = make_queues(create, err);
	if (rc == QS_OK)
		rc = claims_new(&create->claims, err);
	if (rc == QS_OK)
		rc = owners_new(&create->owners, err);
	if (rc == QS_OK && !options->dry_run)
		rc = qs_index_run_begin(create->index, err);
	if (rc == QS_OK)
		rc = packer_new(create, &packer, err);
	if (rc == QS_OK)
		rc = run(create, packer, &result, err);
	if (rc == QS_OK) {
		create->totals.duration_ns = (uint64_t)(qs_mono_ns() -
			create->began_mono_ns);
		result.totals = create->totals;
		if (create->parent != NULL)
			result.parent = create->parent->record;
		*out = result;
	}
	packer_free(packer);
	free_queue(create->batches);
	free_queue(create->empty_batches);
	claims_free(create->claims);
	owners_free(create->owners);
	qs_source_free(create->source);
	board_clear(&create->board);
	for (size_t i = 0; i < create->path_count; i++)
		free(create->paths[i]);
	free(create->paths);
	free(create->committed);
	qs_buf_clear(&create->root_bytes);
	qs_buf_clear(&create->targets);
	qs_buf_clear(&create->target_paths);
	qs_wipe(&create->chunker, sizeof(create->chunker));
	pthread_mutex_destroy(&create->report_lock);
	free(create);
	return rc;
}
