/* SPDX-License-Identifier: ISC */
/*
 * mount_dirs: the directories the kernel knows, by number.  One is kept while
 * the kernel has looked up anything in it, a thread uses it, or a directory
 * below it is kept.
 */
#include <stdlib.h>

#include "fuse/mount_internal.h"

struct mount_dirs {
	pthread_mutex_t lock;
	struct mount_dir **table; /* by number */
	uint32_t *free_numbers;
	size_t cap, used, free_count; /* used: numbers given out so far */
	struct mount_dir **buckets;   /* by parent and key */
	size_t bucket_count, count;   /* bucket_count: a power of two */
};

static void
dir_free(struct mount_dir *dir)
{
	free(dir->name);
	free(dir);
}

/* Copied whole: the references lie right behind it. */
static struct mount_dir *
dir_copy(const struct mount_dir *what)
{
	const size_t len = (size_t)what->content.count * QS_REF_LEN;
	struct mount_dir *dir = malloc(sizeof(*dir) + len);

	if (dir == NULL)
		return NULL;
	*dir = *what;
	dir->lookups = 0;
	dir->users = 0;
	dir->chain = NULL;
	dir->ahead_from = dir->ahead_to = 0;
	dir->is_fetching = false;
	if (len > 0)
		memcpy(dir + 1, what->content.refs, len);
	dir->content.refs = (const uint8_t *)(dir + 1);
	if (what->name != NULL) {
		dir->name = strdup(what->name);
		if (dir->name == NULL) {
			free(dir);
			return NULL;
		}
	}
	return dir;
}

static struct mount_dir **
bucket_of(struct mount_dirs *dirs, uint32_t parent, uint64_t key)
{
	const uint64_t mixed = (key ^ (uint64_t)parent << 36) *
		UINT64_C(0x9e3779b97f4a7c15);

	return &dirs->buckets[(mixed >> 32) & (dirs->bucket_count - 1)];
}

/* Longer chains are no failure. */
static void
buckets_grow(struct mount_dirs *dirs)
{
	struct mount_dir **old = dirs->buckets;
	const size_t old_count = dirs->bucket_count;
	struct mount_dir **buckets = calloc(old_count * 2, sizeof(*buckets));

	if (buckets == NULL)
		return;
	dirs->buckets = buckets;
	dirs->bucket_count = old_count * 2;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct mount_dir *dir = old[i];
			struct mount_dir **bucket = bucket_of(dirs,
				dir->parent->number, dir->key);

			old[i] = dir->chain;
			dir->chain = *bucket;
			*bucket = dir;
		}
	}
	free(old);
}

static bool
number_take(struct mount_dirs *dirs, uint32_t *number)
{
	if (dirs->free_count > 0) {
		*number = dirs->free_numbers[--dirs->free_count];
		return true;
	}
	if (dirs->used == MOUNT_DIRS_MAX)
		return false;
	if (dirs->used == dirs->cap) {
		const size_t cap = dirs->cap * 2;
		struct mount_dir **table = realloc(dirs->table,
			cap * sizeof(struct mount_dir *));
		uint32_t *numbers;

		if (table == NULL)
			return false;
		dirs->table = table;
		numbers = realloc(dirs->free_numbers,
			cap * sizeof(*numbers));
		if (numbers == NULL)
			return false;
		dirs->free_numbers = numbers;
		dirs->cap = cap;
	}
	*number = (uint32_t)dirs->used++;
	return true;
}

enum qs_code
mount_dirs_new(const struct mount_dir *root, struct mount_dirs **out,
	struct qs_err *err)
{
	struct mount_dirs *dirs = calloc(1, sizeof(*dirs));

	if (dirs == NULL)
		return qs_fail_nomem(err, "mounting");
	(void)pthread_mutex_init(&dirs->lock, NULL);
	dirs->cap = dirs->bucket_count = 256;
	dirs->table = calloc(dirs->cap, sizeof(struct mount_dir *));
	dirs->free_numbers = calloc(dirs->cap, sizeof(*dirs->free_numbers));
	dirs->buckets = calloc(dirs->bucket_count,
		sizeof(struct mount_dir *));
	if (dirs->table != NULL)
		dirs->table[0] = dir_copy(root);
	if (dirs->table == NULL || dirs->free_numbers == NULL ||
	    dirs->buckets == NULL || dirs->table[0] == NULL) {
		mount_dirs_free(dirs);
		return qs_fail_nomem(err, "mounting");
	}
	dirs->table[0]->number = 0;
	dirs->table[0]->users = 1; /* for ever */
	dirs->used = dirs->count = 1;
	*out = dirs;
	return QS_OK;
}

void
mount_dirs_free(struct mount_dirs *dirs)
{
	if (dirs == NULL)
		return;
	for (size_t i = 0; dirs->table != NULL && i < dirs->cap &&
	    i < (dirs->used > 0 ? dirs->used : 1); i++) {
		if (dirs->table[i] != NULL)
			dir_free(dirs->table[i]);
	}
	free(dirs->table);
	free(dirs->free_numbers);
	free(dirs->buckets);
	(void)pthread_mutex_destroy(&dirs->lock);
	free(dirs);
}

struct mount_dir *
mount_dir_get(struct mount_dirs *dirs, uint32_t number)
{
	struct mount_dir *dir = NULL;

	(void)pthread_mutex_lock(&dirs->lock);
	if (number < dirs->used)
		dir = dirs->table[number];
	if (dir != NULL)
		dir->users++;
	(void)pthread_mutex_unlock(&dirs->lock);
	return dir;
}

static void
unchain(struct mount_dirs *dirs, struct mount_dir *dir)
{
	struct mount_dir **at = bucket_of(dirs, dir->parent->number,
		dir->key);

	while (*at != dir)
		at = &(*at)->chain;
	*at = dir->chain;
}

/* Under lock: it, and those above that were kept for its sake. */
static void
collect(struct mount_dirs *dirs, struct mount_dir *dir)
{
	while (dir->users == 0 && dir->lookups == 0) {
		struct mount_dir *parent = dir->parent;

		unchain(dirs, dir);
		dirs->table[dir->number] = NULL;
		dirs->free_numbers[dirs->free_count++] = dir->number;
		dirs->count--;
		dir_free(dir);
		dir = parent;
		dir->users--;
	}
}

void
mount_dir_put(struct mount_dirs *dirs, struct mount_dir *dir)
{
	if (dir == NULL)
		return;
	(void)pthread_mutex_lock(&dirs->lock);
	dir->users--;
	collect(dirs, dir);
	(void)pthread_mutex_unlock(&dirs->lock);
}

/* Under lock: what is chained under this name, with one user more. */
static struct mount_dir *
find(struct mount_dirs *dirs, const struct mount_dir *parent, uint64_t key)
{
	struct mount_dir *dir = *bucket_of(dirs, parent->number, key);

	while (dir != NULL && (dir->parent != parent || dir->key != key))
		dir = dir->chain;
	if (dir != NULL)
		dir->users++;
	return dir;
}

enum qs_code
mount_dir_child(struct mount_dirs *dirs, struct mount_dir *parent,
	const struct mount_dir *what, struct mount_dir **out,
	struct qs_err *err)
{
	struct mount_dir *made = NULL, *dir;
	struct mount_dir **bucket;

	(void)pthread_mutex_lock(&dirs->lock);
	dir = find(dirs, parent, what->key);
	(void)pthread_mutex_unlock(&dirs->lock);
	if (dir == NULL) {
		made = dir_copy(what);
		if (made == NULL)
			return qs_fail_nomem(err, "reading a directory");
		(void)pthread_mutex_lock(&dirs->lock);
		dir = find(dirs, parent, what->key);
		if (dir == NULL && number_take(dirs, &made->number)) {
			if (dirs->count >= dirs->bucket_count)
				buckets_grow(dirs);
			dir = made;
			made = NULL; /* the table's */
			dir->parent = parent;
			dir->users = 1;
			parent->users++;
			dirs->table[dir->number] = dir;
			dirs->count++;
			bucket = bucket_of(dirs, parent->number, dir->key);
			dir->chain = *bucket;
			*bucket = dir;
		}
		(void)pthread_mutex_unlock(&dirs->lock);
	}
	if (made != NULL)
		dir_free(made);
	if (dir == NULL)
		return qs_fail(err, QS_ENOMEM,
			"too many directories are in use");
	*out = dir;
	return QS_OK;
}

void
mount_dir_look(struct mount_dirs *dirs, struct mount_dir *dir)
{
	(void)pthread_mutex_lock(&dirs->lock);
	dir->lookups++;
	(void)pthread_mutex_unlock(&dirs->lock);
}

void
mount_dir_forget(struct mount_dirs *dirs, uint32_t number, uint64_t lookups)
{
	struct mount_dir *dir = NULL;

	(void)pthread_mutex_lock(&dirs->lock);
	if (number < dirs->used)
		dir = dirs->table[number];
	if (dir != NULL) {
		dir->lookups -= lookups < dir->lookups ? lookups :
			dir->lookups;
		collect(dirs, dir);
	}
	(void)pthread_mutex_unlock(&dirs->lock);
}

size_t
mount_dirs_count(struct mount_dirs *dirs)
{
	size_t count;

	(void)pthread_mutex_lock(&dirs->lock);
	count = dirs->count;
	(void)pthread_mutex_unlock(&dirs->lock);
	return count;
}
