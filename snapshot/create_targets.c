/* SPDX-License-Identifier: ISC */
/*
 * From the paths a user gave to the tree of folders that leads to them: what
 * lies on the way is saved with its attributes only, the targets whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/create_internal.h"

static void
free_node(struct target *node)
{
	free(node->name);
	free(node->real_path);
	free(node->children);
	free(node);
}

void
create_targets_free(struct target *root)
{
	/* Children go to the front of a list until nothing is left of it. */
	struct target **stack;
	size_t count = 0, cap = 64;

	if (root == NULL)
		return;
	stack = malloc(cap * sizeof(struct target *));
	if (stack == NULL)
		return; /* a leak at worst, when memory has run out */
	stack[count++] = root;
	while (count > 0) {
		struct target *node = stack[--count];

		for (size_t i = 0; i < node->child_count; i++) {
			if (count == cap) {
				struct target **more = realloc(stack,
					2 * cap * sizeof(struct target *));

				if (more == NULL)
					break;
				stack = more;
				cap *= 2;
			}
			stack[count++] = node->children[i];
		}
		free_node(node);
	}
	free(stack);
}

static struct target *
new_node(const char *name, size_t name_len, const char *real, size_t real_len)
{
	struct target *node = calloc(1, sizeof(struct target));

	if (node == NULL)
		return NULL;
	node->name = strndup(name, name_len);
	node->real_path = strndup(real, real_len);
	if (node->name == NULL || node->real_path == NULL) {
		free_node(node);
		return NULL;
	}
	return node;
}

/* The child of that name, made if need be; kept in order of name. */
static struct target *
child_of(struct target *node, const char *name, size_t name_len,
	const char *real, size_t real_len)
{
	struct target **more, *child;
	size_t at = 0;

	for (; at < node->child_count; at++) {
		int order = strncmp(node->children[at]->name, name, name_len);

		if (order == 0 && node->children[at]->name[name_len] == '\0')
			return node->children[at];
		if (order > 0 || (order == 0 &&
			node->children[at]->name[name_len] != '\0'))
			break;
	}
	child = new_node(name, name_len, real, real_len);
	if (child == NULL)
		return NULL;
	more = realloc(node->children,
		(node->child_count + 1) * sizeof(struct target *));
	if (more == NULL) {
		free_node(child);
		return NULL;
	}
	node->children = more;
	memmove(more + at + 1, more + at,
		(node->child_count - at) * sizeof(struct target *));
	more[at] = child;
	node->child_count++;
	return child;
}

static void
make_leaf(struct target *node)
{
	for (size_t i = 0; i < node->child_count; i++)
		create_targets_free(node->children[i]);
	free(node->children);
	node->children = NULL;
	node->child_count = 0;
	node->leaf = true;
}

static bool
has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")) != NULL; p += 2)
		if ((p == path || p[-1] == '/') &&
			(p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

/*
 * An absolute path without ".." for a relative one that climbs: the current
 * folder is taken as the system says it is, and ".." takes a name off.
 */
static enum qs_code
climb(const char *path, char **out, struct qs_err *err)
{
	char *cwd = path[0] == '/' ? strdup("") : getcwd(NULL, 0);
	struct qs_buf buf = {0};
	enum qs_code rc = QS_OK;

	if (cwd == NULL)
		return qs_fail_errno(err, "current folder");
	if ((rc = qs_buf_append(&buf, cwd, strlen(cwd), err)) != QS_OK)
		goto out;
	for (const char *p = path; *p != '\0';) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			while (buf.len > 0 && buf.data[buf.len - 1] != '/')
				buf.len--;
			if (buf.len > 0)
				buf.len--;
		} else if (len > 0 && !(len == 1 && p[0] == '.')) {
			if ((rc = qs_buf_append(&buf, "/", 1, err)) != QS_OK ||
				(rc = qs_buf_append(&buf, p, len, err)) !=
					QS_OK)
				goto out;
		}
		p += len;
		p += strspn(p, "/");
	}
	if ((rc = qs_buf_append(&buf, "/", buf.len == 0 ? 2 : 1, err)) != QS_OK)
		goto out;
	buf.data[buf.len - 1] = '\0';
	*out = (char *)buf.data;
	buf = (struct qs_buf){0}; /* handed over */
out:
	free(cwd);
	qs_buf_clear(&buf);
	return rc;
}

static enum qs_code
add_path(struct target *root, const char *path, struct qs_err *err)
{
	struct target *node = root;

	for (const char *p = path + strspn(path, "/"); *p != '\0';) {
		size_t len = strcspn(p, "/");

		if (node->leaf)
			return QS_OK; /* inside another target */
		if (len > QS_NAME_MAX)
			return qs_fail(err, QS_EINVAL, "%s: a name in it is "
				"longer than %d bytes", path, QS_NAME_MAX);
		if (!(len == 1 && p[0] == '.')) {
			node = child_of(node, p, len, path,
				(size_t)(p + len - path));
			if (node == NULL)
				return qs_fail_nomem(err, "reading the paths");
		}
		p += len;
		p += strspn(p, "/");
	}
	if (node == root) {
		free(root->real_path);
		root->real_path = strdup(path);
		if (root->real_path == NULL)
			return qs_fail_nomem(err, "reading the paths");
	}
	make_leaf(node);
	return QS_OK;
}

enum qs_code
create_targets(const char *const *paths, size_t count, struct target **out,
	struct qs_err *err)
{
	bool absolute = false;
	enum qs_code rc = QS_OK;
	struct target *root;

	/*
	 * Relative paths keep their names as given, unless an absolute one or
	 * one that climbs is among them: "a" and "/a" must not meet.
	 */
	for (size_t i = 0; i < count; i++)
		if (paths[i][0] == '/' || has_dotdot(paths[i]))
			absolute = true;
	root = new_node("", 0, absolute ? "/" : ".", 1);
	if (root == NULL)
		return qs_fail_nomem(err, "reading the paths");
	for (size_t i = 0; i < count && rc == QS_OK; i++) {
		char *climbed = NULL;

		if (paths[i][0] == '\0')
			rc = qs_fail(err, QS_EINVAL, "a path to save is empty");
		else if (absolute)
			rc = climb(paths[i], &climbed, err);
		if (rc == QS_OK)
			rc = add_path(root, climbed ? climbed : paths[i], err);
		free(climbed);
	}
	if (rc != QS_OK) {
		create_targets_free(root);
		return rc;
	}
	*out = root;
	return QS_OK;
}

/* As the walk goes: name by name, so that '/' comes before any other byte. */
static int
by_text(const void *a, const void *b)
{
	const unsigned char *p = *(unsigned char *const *)a;
	const unsigned char *q = *(unsigned char *const *)b;

	while (*p == *q && *p != '\0')
		p++, q++;
	if (*p == *q)
		return 0;
	if (*p == '\0' || *q == '\0')
		return *p == '\0' ? -1 : 1;
	if (*p == '/' || *q == '/')
		return *p == '/' ? -1 : 1;
	return *p < *q ? -1 : 1;
}

enum qs_code
create_shown_paths(const char *const *paths, size_t count, char ***out,
	size_t *out_count, struct qs_err *err)
{
	char **list = calloc(count + 1, sizeof(char *));
	size_t n = 0, kept = 0;
	enum qs_code rc = QS_OK;

	if (list == NULL)
		return qs_fail_nomem(err, "reading the paths");
	while (n < count && rc == QS_OK) {
		rc = climb(paths[n], &list[n], err);
		n += rc == QS_OK;
	}
	if (rc != QS_OK) {
		for (size_t i = 0; i < n; i++)
			free(list[i]);
		free(list);
		return rc;
	}
	qsort(list, n, sizeof(char *), by_text);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && strcmp(list[i], list[kept - 1]) == 0)
			free(list[i]);
		else
			list[kept++] = list[i];
	}
	*out = list;
	*out_count = kept;
	return QS_OK;
}
