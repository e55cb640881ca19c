/* SPDX-License-Identifier: ISC */
/* Paths while walking a snapshot's tree. */
#include "cli/tree_internal.h"

enum qs_code
qs_cli_find_node(struct qs_source *source, const struct qs_snapshot *snapshot,
	const char *path, struct qs_buf *bytes, struct qs_node *node,
	struct qs_err *err)
{
	const struct qs_content root = qs_snapshot_root(snapshot);
	char id[QS_CLI_SHORT + 1];

	if (qs_tree_find(source, &root, path, bytes, node, err) == QS_OK)
		return QS_OK;
	qs_cli_short_id(snapshot, id);
	return qs_fail_while(err, "snapshot %s", id);
}

enum qs_code
qs_cli_base(struct qs_buf *path, const char *sub, size_t *base_len,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	path->len = 0;
	while (rc == QS_OK && *sub != '\0') {
		size_t len = strcspn(sub, "/");

		if (len > 0)
			rc = qs_buf_append(path, "/", 1, err);
		if (rc == QS_OK && len > 0)
			rc = qs_buf_append(path, sub, len, err);
		sub += len;
		sub += *sub == '/';
	}
	*base_len = path->len;
	if (rc == QS_OK && path->len == 0)
		return qs_buf_append(path, "/", 2, err);
	return rc != QS_OK ? rc : qs_buf_append(path, "", 1, err);
}

enum qs_code
qs_cli_join(struct qs_buf *path, size_t base_len, const char *name,
	size_t len, struct qs_err *err)
{
	enum qs_code rc;

	path->len = base_len;
	rc = qs_buf_append(path, "/", 1, err);
	if (rc == QS_OK)
		rc = qs_buf_append(path, name, len, err);
	return rc != QS_OK ? rc : qs_buf_append(path, "", 1, err);
}

size_t
qs_cli_depth(const struct qs_visit *visit)
{
	size_t depth = 1;

	for (size_t i = 0; i < visit->path_len; i++)
		depth += visit->path[i] == '/';
	return depth;
}
