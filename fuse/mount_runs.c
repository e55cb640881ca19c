/* SPDX-License-Identifier: ISC */
/*
 * mount_runs: references of contents with the place where each ends, so that
 * an offset is found by halving: of a file with more than one chunk and of the
 * list chunks below it.  The least recently used go first.
 */
#include <stdlib.h>

#include "fuse/mount_internal.h"

#define RUNS_BYTES (8u << 20)
#define BUCKETS 256

struct mount_runs {
	pthread_mutex_t lock;
	struct mount_run *buckets[BUCKETS];
	struct mount_run *newest, *oldest;
	size_t bytes; /* of those kept */
};

enum qs_code
mount_runs_new(struct mount_runs **out, struct qs_err *err)
{
	struct mount_runs *runs = calloc(1, sizeof(*runs));

	if (runs == NULL)
		return qs_fail_nomem(err, "mounting");
	(void)pthread_mutex_init(&runs->lock, NULL);
	*out = runs;
	return QS_OK;
}

static void
run_free(struct mount_run *run)
{
	free(run->ends);
	free(run->ids);
	free(run);
}

void
mount_runs_free(struct mount_runs *runs)
{
	if (runs == NULL)
		return;
	while (runs->newest != NULL) {
		struct mount_run *run = runs->newest;

		runs->newest = run->older;
		run_free(run);
	}
	(void)pthread_mutex_destroy(&runs->lock);
	free(runs);
}

/* ------------------------------------------------- kept, under the lock */

static struct mount_run **
bucket_of(struct mount_runs *runs, const uint8_t key[static 32])
{
	return &runs->buckets[(key[0] ^ key[8]) % BUCKETS];
}

static void
order_remove(struct mount_runs *runs, struct mount_run *run)
{
	if (run->newer != NULL)
		run->newer->older = run->older;
	else
		runs->newest = run->older;
	if (run->older != NULL)
		run->older->newer = run->newer;
	else
		runs->oldest = run->newer;
}

static void
order_add(struct mount_runs *runs, struct mount_run *run)
{
	run->newer = NULL;
	run->older = runs->newest;
	if (runs->newest != NULL)
		runs->newest->newer = run;
	else
		runs->oldest = run;
	runs->newest = run;
}

static struct mount_run *
find(struct mount_runs *runs, const uint8_t key[static 32])
{
	struct mount_run *run = *bucket_of(runs, key);

	while (run != NULL && memcmp(run->key, key, 32) != 0)
		run = run->chain;
	if (run == NULL)
		return NULL;
	run->users++;
	order_remove(runs, run);
	order_add(runs, run);
	return run;
}

static void
drop(struct mount_runs *runs, struct mount_run *run)
{
	struct mount_run **at = bucket_of(runs, run->key);

	while (*at != run)
		at = &(*at)->chain;
	*at = run->chain;
	order_remove(runs, run);
	runs->bytes -= run->bytes;
	run->is_kept = false;
	if (run->users == 0)
		run_free(run);
}

/* Takes made, which has one user; gives the one that is kept. */
static struct mount_run *
keep(struct mount_runs *runs, struct mount_run *made)
{
	struct mount_run *run, **bucket;

	(void)pthread_mutex_lock(&runs->lock);
	run = find(runs, made->key);
	if (run == NULL) {
		while (runs->oldest != NULL &&
		    runs->bytes + made->bytes > RUNS_BYTES)
			drop(runs, runs->oldest);
		bucket = bucket_of(runs, made->key);
		made->chain = *bucket;
		*bucket = made;
		order_add(runs, made);
		runs->bytes += made->bytes;
		made->is_kept = true;
		run = made;
		made = NULL;
	}
	(void)pthread_mutex_unlock(&runs->lock);
	if (made != NULL)
		run_free(made);
	return run;
}

void
mount_run_hold(struct mount_runs *runs, struct mount_run *run)
{
	(void)pthread_mutex_lock(&runs->lock);
	run->users++;
	(void)pthread_mutex_unlock(&runs->lock);
}

void
mount_run_put(struct mount_runs *runs, struct mount_run *run)
{
	bool is_last;

	if (run == NULL)
		return;
	(void)pthread_mutex_lock(&runs->lock);
	is_last = --run->users == 0 && !run->is_kept;
	(void)pthread_mutex_unlock(&runs->lock);
	if (is_last)
		run_free(run);
}

/* -------------------------------------------------------------- making */

/*
 * A directory's number may be given to another one later, its ino stays: so
 * that is what a node is known by here.
 */
static void
node_key(const struct mount_dir *dir, uint64_t off, uint8_t key[static 32])
{
	memset(key, 0, 32);
	qs_store64(key, dir->ino);
	qs_store64(key + 8, off);
	key[16] = dir->kind == MOUNT_TREE;
}

struct mount_run *
mount_run_of_node(struct mount_runs *runs, const struct mount_dir *dir,
	uint64_t off)
{
	struct mount_run *run;
	uint8_t key[32];

	node_key(dir, off, key);
	(void)pthread_mutex_lock(&runs->lock);
	run = find(runs, key);
	(void)pthread_mutex_unlock(&runs->lock);
	return run;
}

static enum qs_code
run_make(const uint8_t key[static 32], const struct qs_content *content,
	struct mount_run **out, struct qs_err *err)
{
	struct mount_run *run = calloc(1, sizeof(*run));
	uint64_t end = 0;

	if (run == NULL)
		return qs_fail_nomem(err, "reading a file");
	memcpy(run->key, key, sizeof(run->key));
	run->depth = content->depth;
	run->count = content->count;
	run->users = 1;
	run->bytes = sizeof(*run) + content->count *
		(sizeof(*run->ends) + sizeof(*run->ids));
	run->ends = calloc((size_t)content->count + 1, sizeof(*run->ends));
	run->ids = calloc((size_t)content->count + 1, sizeof(*run->ids));
	if (run->ends == NULL || run->ids == NULL) {
		run_free(run);
		return qs_fail_nomem(err, "reading a file");
	}
	for (uint32_t i = 0; i < content->count; i++) {
		if (__builtin_add_overflow(end, qs_content_len(content, i),
		    &end)) {
			run_free(run);
			return qs_fail(err, QS_ECORRUPT,
				"content: its lengths do not add up");
		}
		run->ends[i] = end;
		run->ids[i] = qs_content_id(content, i);
	}
	*out = run;
	return QS_OK;
}

enum qs_code
mount_run_make(struct mount_runs *runs, const struct mount_dir *dir,
	uint64_t off, const struct qs_content *content,
	struct mount_run **out, struct qs_err *err)
{
	struct mount_run *made;
	uint8_t key[32];
	enum qs_code rc;

	node_key(dir, off, key);
	rc = run_make(key, content, &made, err);
	if (rc == QS_OK)
		*out = keep(runs, made);
	return rc;
}

/* The list chunk that reference i of a run names. */
static enum qs_code
list_run(struct mount *mount, const struct mount_run *above, uint32_t i,
	struct mount_run **out, struct qs_err *err)
{
	const uint64_t len = above->ends[i] - (i > 0 ? above->ends[i - 1] : 0);
	struct qs_fetch fetch = {.id = above->ids[i], .kind = QS_KIND_LIST};
	struct qs_content content;
	struct mount_run *made = NULL;
	enum qs_code rc;

	(void)pthread_mutex_lock(&mount->runs->lock);
	*out = find(mount->runs, above->ids[i].b);
	(void)pthread_mutex_unlock(&mount->runs->lock);
	/* One of another depth under the same id: the bytes are not so. */
	if (*out != NULL && (*out)->depth == above->depth - 1 &&
	    mount_run_size(*out) == len)
		return QS_OK;
	mount_run_put(mount->runs, *out);
	rc = qs_source_fetch(mount->source, &fetch, 1, err);
	if (rc == QS_OK)
		rc = qs_content_list(qs_span(fetch.data, fetch.len),
			(uint8_t)(above->depth - 1), len, &content, err);
	if (rc == QS_OK)
		rc = run_make(above->ids[i].b, &content, &made, err);
	if (rc != QS_OK && rc != QS_ENOMEM)
		mount_tell(mount->told, &fetch.pack, err);
	qs_source_release(mount->source, &fetch, 1);
	if (rc == QS_OK)
		*out = keep(mount->runs, made);
	return rc;
}

/* -------------------------------------------------------------- finding */

static uint32_t
halve(const struct mount_run *run, uint64_t offset)
{
	uint32_t low = 0, high = run->count - 1;

	while (low < high) {
		const uint32_t mid = low + (high - low) / 2;

		if (run->ends[mid] > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

enum qs_code
mount_run_find(struct mount *mount, struct mount_run *run, uint64_t offset,
	struct mount_place *out, struct qs_err *err)
{
	struct mount_run *held = NULL;
	uint64_t start = 0;
	enum qs_code rc = QS_OK;

	for (;;) {
		struct mount_run *below = NULL;
		uint64_t before;
		uint32_t i;

		if (offset - start >= mount_run_size(run)) {
			rc = qs_fail(err, QS_ECORRUPT, "content: there is "
				"nothing where there should be");
			break;
		}
		i = halve(run, offset - start);
		before = i > 0 ? run->ends[i - 1] : 0;
		if (run->depth == 0) {
			*out = (struct mount_place){run->ids[i],
				start + before, run->ends[i] - before,
				qs_is_zero(run->ids[i].b, 32)};
			break;
		}
		rc = list_run(mount, run, i, &below, err);
		if (rc != QS_OK)
			break;
		start += before;
		mount_run_put(mount->runs, held);
		held = run = below;
	}
	mount_run_put(mount->runs, held);
	return rc;
}
