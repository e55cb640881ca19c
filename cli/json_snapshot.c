/* SPDX-License-Identifier: ISC */
/* Snapshots and nodes as JSON. */
#include "cli/cli_internal.h"

static void
put_texts(struct qs_json *json, const char *key, char *const *texts,
	size_t count)
{
	qs_json_open(json, key, '[');
	for (size_t i = 0; i < count; i++)
		qs_json_text(json, NULL, texts[i]);
	qs_json_close(json, ']');
}

static void
put_totals(struct qs_json *json, const struct qs_totals *totals)
{
	qs_json_open(json, "summary", '{');
	qs_json_number(json, "files_new", totals->files_new);
	qs_json_number(json, "files_changed", totals->files_changed);
	qs_json_number(json, "files_unmodified", totals->files_unmodified);
	qs_json_number(json, "dirs_new", totals->dirs_new);
	qs_json_number(json, "dirs_changed", totals->dirs_changed);
	qs_json_number(json, "dirs_unmodified", totals->dirs_unmodified);
	qs_json_number(json, "data_blobs", totals->data_blobs);
	qs_json_number(json, "tree_blobs", totals->tree_blobs);
	qs_json_number(json, "data_added", totals->data_added);
	qs_json_number(json, "data_added_packed", totals->data_added_packed);
	qs_json_number(json, "total_files_processed", totals->files);
	qs_json_number(json, "total_bytes_processed", totals->bytes);
	qs_json_number(json, "num_errors", totals->errors);
	qs_json_close(json, '}');
}

void
qs_json_snapshot(struct qs_json *json, const struct qs_snapshot *snapshot)
{
	char id[QS_CLI_SHORT + 1];

	qs_cli_short_id(snapshot, id);
	qs_json_time(json, "time", snapshot->time_ns);
	if (!qs_is_zero(snapshot->parent.b, sizeof(snapshot->parent.b)))
		qs_json_hex(json, "parent", snapshot->parent.b,
			sizeof(snapshot->parent.b));
	put_texts(json, "paths", snapshot->paths, snapshot->path_count);
	qs_json_text(json, "hostname", snapshot->host);
	qs_json_text(json, "username", snapshot->user);
	qs_json_number(json, "uid", snapshot->uid);
	qs_json_number(json, "gid", snapshot->gid);
	put_texts(json, "tags", snapshot->tags, snapshot->tag_count);
	qs_json_text(json, "program_version", snapshot->program);
	qs_json_hex(json, "device", snapshot->device, QS_DEVICE_LEN);
	put_totals(json, &snapshot->totals);
	qs_json_hex(json, "id", snapshot->record.b,
		sizeof(snapshot->record.b));
	qs_json_text(json, "short_id", id);
}

void
qs_json_node(struct qs_json *json, const struct qs_node *node,
	const char *path)
{
	char mode[11];

	qs_cli_mode(node, mode);
	qs_json_name(json, "name", node->name.data, node->name.len);
	qs_json_text(json, "type", qs_cli_type(node->type));
	qs_json_name(json, "path", path, strlen(path));
	qs_json_number(json, "uid", node->uid);
	qs_json_number(json, "gid", node->gid);
	if (node->user.len > 0)
		qs_json_name(json, "user", node->user.data, node->user.len);
	if (node->group.len > 0)
		qs_json_name(json, "group", node->group.data,
			node->group.len);
	if (node->type == QS_NODE_FILE)
		qs_json_number(json, "size", node->size);
	qs_json_number(json, "mode", node->mode);
	qs_json_text(json, "permissions", mode);
	qs_json_time(json, "mtime", node->mtime_ns);
	if (node->type == QS_NODE_SYMLINK)
		qs_json_name(json, "linktarget", node->target.data,
			node->target.len);
	if (node->links > 1)
		qs_json_number(json, "links", node->links);
}
