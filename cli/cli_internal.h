/* SPDX-License-Identifier: ISC */
/*
 * cli: what the files of the command line share: the command's context,
 * option tables, passphrases, opening a folder, and how things are printed.
 *
 * A command fills in its result and returns a code; main() alone turns codes
 * into exit codes and prints the one sentence of a failure.
 */
#ifndef QS_CLI_INTERNAL_H
#define QS_CLI_INTERNAL_H

#include <stdio.h>

#include "retention/retention.h"
#include "snapshot/snapshot.h"
#include "wire/wire.h"

/* ------------------------------------------------------------- options */

struct qs_cli_list { /* owned array of borrowed or owned strings */
	const char **items;
	size_t count;
	char **owned; /* copies to free with it */
	size_t owned_count;
};

enum qs_cli_kind {
	QS_CLI_FLAG,   /* bool */
	QS_CLI_COUNT,  /* unsigned, one more for each time */
	QS_CLI_TEXT,   /* const char * */
	QS_CLI_LIST,   /* struct qs_cli_list, one item for each time */
	QS_CLI_COMMAS, /* the same, split at commas */
	QS_CLI_SIZE,   /* uint64_t, with K M G T */
	QS_CLI_NUMBER, /* unsigned, at least 1 */
};

struct qs_cli_option {
	const char *name;
	char letter; /* 0: none */
	enum qs_cli_kind kind;
	size_t at; /* offset in the command's (or the global) struct */
	const char *arg, *help;
};

struct qs_cli_globals {
	const char *repo, *folder, *password_file, *password_command;
	const char *key_file, *cache_dir, *state_dir, *compression;
	bool recovery_code, json, quiet, no_cache, accept_rollback;
	bool help, version;
	unsigned verbose;
};

struct qs_cli;

struct qs_cli_command {
	const char *name, *alias; /* alias may be NULL */
	const char *args, *brief, *example;
	const struct qs_cli_option *options;
	size_t option_count, options_size; /* of the struct they fill */
	/*
	 * It says nothing on standard output before it is sure of it, so it
	 * can begin again when the index turns out to be damaged.
	 */
	bool can_repeat;
	enum qs_code (*run)(struct qs_cli *cli, const void *options,
		size_t argc, char **argv, struct qs_err *err);
};

/* The commands, and those that stand in their own file. */
const struct qs_cli_command *const *qs_cli_commands(size_t *count);
const struct qs_cli_command *qs_cli_command(const char *name);
const struct qs_cli_option *qs_cli_global_options(size_t *count);

extern const struct qs_cli_command qs_cmd_init, qs_cmd_snapshot,
	qs_cmd_snapshots, qs_cmd_ls, qs_cmd_find, qs_cmd_diff, qs_cmd_dump,
	qs_cmd_restore, qs_cmd_mount, qs_cmd_umount, qs_cmd_check,
	qs_cmd_stats, qs_cmd_tag, qs_cmd_forget, qs_cmd_retire,
	qs_cmd_undelete, qs_cmd_key,
	qs_cmd_unlock, qs_cmd_lock, qs_cmd_benchmark, qs_cmd_version,
	qs_cmd_completion, qs_cmd_help;

/* ------------------------------------------------------------- context */

struct qs_cli_secret { /* bytes in locked memory, QS_PASSPHRASE_MAX room */
	uint8_t *data;
	size_t len;
};

struct qs_cli {
	struct qs_cli_globals global;
	const struct qs_cli_command *command;
	struct qs_cli_secret env_password; /* data NULL: none was given */
	struct qs_argon argon;             /* for new slots */
	enum qs_level level;
	double fps; /* 0: the default */
	const char *host; /* QSTORE_HOST or NULL */
	bool partial;     /* something was left out: exit 3 */
	bool writes;      /* what it lacks is its own, not the store's */
	uint64_t troubles; /* told of the log and the slots */
	struct qs_name slot;              /* that opened the folder ... */
	struct qs_slot_info slot_info;    /* ... unless it was the keyring */
	bool has_slot;
	bool is_locked; /* keys can't reach the swap, or it was told */
	bool ask_anew; /* do not take the keyring's word */
	bool to_syslog; /* warnings: it runs in the background */
	bool read_stdin; /* what came from there can't be had again */
	/* What opened the folder, kept for a command that can repeat. */
	struct qs_slot_secret *secret;
};

/*
 * Options up to the first word that is none (stop_at_word) or all of them,
 * *argc and *argv then hold the words that are left.  options NULL: only the
 * global ones.
 */
QS_MUST_CHECK enum qs_code qs_cli_parse(struct qs_cli *cli,
	const struct qs_cli_command *command, void *options, size_t *argc,
	char ***argv, struct qs_err *err);
void qs_cli_options_clear(const struct qs_cli_command *command,
	void *options);
QS_MUST_CHECK enum qs_code qs_cli_list_add(struct qs_cli_list *list,
	const char *item, struct qs_err *err);
/* A copy of item, freed with the list. */
QS_MUST_CHECK enum qs_code qs_cli_list_add_copy(struct qs_cli_list *list,
	const char *item, size_t len, struct qs_err *err);
void qs_cli_list_clear(struct qs_cli_list *list);
/* What the environment says where no option does. QS_EINVAL. */
QS_MUST_CHECK enum qs_code qs_cli_environment(struct qs_cli *cli,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_level(const char *word,
	enum qs_level *out, struct qs_err *err);
/* QS_EINVAL unless least <= argc <= most. */
QS_MUST_CHECK enum qs_code qs_cli_words(const struct qs_cli *cli,
	size_t argc, size_t least, size_t most, struct qs_err *err);
void qs_cli_help(const struct qs_cli_command *command);

/* ------------------------------------------------------------ siblings */

struct qs_cli_sibling { /* a command that another program carries out */
	const char *name, *program;
	const char *word; /* what that program calls it */
	const char *brief;
	const char *options; /* for the completion */
};

const struct qs_cli_sibling *qs_cli_siblings(size_t *count);
/* NULL: there is none of that name. */
const struct qs_cli_sibling *qs_cli_sibling(const char *name);
/*
 * Become the program that carries out argv[1], if another one does.  Returns
 * QS_OK when none does, a failure when it can't be started.
 */
QS_MUST_CHECK enum qs_code qs_cli_try_sibling(int argc, char **argv,
	struct qs_err *err);
/* Become it to tell how it is used; returns the failure when it can't. */
QS_MUST_CHECK enum qs_code qs_cli_sibling_help(
	const struct qs_cli_sibling *sibling, struct qs_err *err);

/* ------------------------------------------------------------- signals */

void qs_cli_signals(void);
/* The one progress that SIGINT cancels. */
struct qs_progress *qs_cli_progress(void);
bool qs_cli_interrupted(void);
bool qs_cli_status_wanted(void); /* SIGUSR1 came; asking clears it */

/* ---------------------------------------------------------- background */

/*
 * Go on in a child; the process in front waits.  To be called before keys are
 * at hand and threads run.  *ready is for the next one; closed without that, it
 * lets the process in front exit as this one does.
 */
QS_MUST_CHECK enum qs_code qs_cli_background(struct qs_cli *cli, int *ready,
	struct qs_err *err);
/* Leave the terminal; warnings go to the system's log.  *ready < 0: no-op. */
void qs_cli_background_ready(struct qs_cli *cli, int *ready);

/* ------------------------------------------------------------- secrets */

QS_MUST_CHECK enum qs_code qs_cli_secret_new(struct qs_cli_secret *out,
	struct qs_err *err);
void qs_cli_secret_clear(struct qs_cli_secret *secret);
/*
 * To be called before a secret is taken in: say, once and not with -q, that it
 * may reach the swap when that is so.
 */
void qs_cli_warn_swap(struct qs_cli *cli);
/*
 * Ask on the terminal, without echo.  QS_EKEY when there is no terminal,
 * QS_ECANCELED when interrupted.
 */
QS_MUST_CHECK enum qs_code qs_cli_prompt(const char *question,
	struct qs_cli_secret *out, struct qs_err *err);
bool qs_cli_has_terminal(void);
/*
 * The passphrase of the options, the environment or the terminal; is_new: a
 * new one, asked twice, neither empty nor short.
 */
QS_MUST_CHECK enum qs_code qs_cli_passphrase(struct qs_cli *cli,
	const char *question, bool is_new, struct qs_cli_secret *out,
	struct qs_err *err);
/* A new one from a file, or (NULL) from the terminal. */
QS_MUST_CHECK enum qs_code qs_cli_new_passphrase(const char *file,
	const char *question, struct qs_cli_secret *out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_passphrase_ok(
	const struct qs_cli_secret *secret, struct qs_err *err);
/* BLAKE2b-256 of a key file into secret memory of 32 bytes. */
QS_MUST_CHECK enum qs_code qs_cli_key_file(const char *path, uint8_t **out,
	struct qs_err *err);
/* The 32 bytes of a recovery code that is asked for. */
QS_MUST_CHECK enum qs_code qs_cli_recovery(const char *question,
	uint8_t **out, struct qs_err *err);

/* ------------------------------------------------------------- session */

enum qs_cli_need {
	QS_CLI_READ = 0,
	QS_CLI_WRITE = 1,    /* --no-cache is no option then */
	QS_CLI_NO_INDEX = 2, /* reads no chunk */
};

/* Find the folder that -r and -F mean. */
QS_MUST_CHECK enum qs_code qs_cli_store(struct qs_cli *cli,
	struct qs_store **out, struct qs_err *err);
/* Unlock it: secret is memory of qs_secret_alloc. */
QS_MUST_CHECK enum qs_code qs_cli_unlock(struct qs_cli *cli,
	struct qs_store *store, struct qs_slot_secret *secret,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_open(struct qs_cli *cli, unsigned need,
	struct qs_folder **out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_open_source(struct qs_cli *cli,
	unsigned need, struct qs_folder **folder, struct qs_source **source,
	struct qs_err *err);
void qs_cli_folder_options(struct qs_cli *cli, unsigned need,
	struct qs_folder_options *out);
/* For qs_trouble_fn; arg is the struct qs_cli. */
void qs_cli_trouble(void *arg, const struct qs_err *trouble);
/* "passphrase + key file" */
void qs_cli_factors(const struct qs_slot_info *info, char *out, size_t cap);

/* names.c: names of folders on this machine */
QS_MUST_CHECK enum qs_code qs_cli_name_find(const struct qs_cli *cli,
	const char *name, uint8_t id[static QS_FOLDER_ID_LEN], bool *found,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_name_check(const struct qs_cli *cli,
	const char *name, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_name_add(const struct qs_cli *cli,
	const char *name, const uint8_t id[static QS_FOLDER_ID_LEN],
	struct qs_err *err);
/* The state folder, heap-allocated. */
QS_MUST_CHECK enum qs_code qs_cli_dir(const char *given, enum qs_xdg which,
	char **out, struct qs_err *err);

/* ----------------------------------------------------------- snapshots */

struct qs_cli_filter { /* option fields that several commands have */
	struct qs_cli_list hosts, tags, paths;
};

struct qs_filter qs_cli_filter(const struct qs_cli_filter *options);

/* SNAP[:/sub]: the snapshot, and the path after the colon ("" without). */
QS_MUST_CHECK enum qs_code qs_cli_snapshot(const struct qs_folder *folder,
	const char *text, const struct qs_cli_filter *filter,
	const struct qs_snapshot **out, const char **sub,
	struct qs_err *err);
/*
 * Those that ids (count 0: all) and the filter mean, oldest first; heap array
 * of borrowed ones.
 */
QS_MUST_CHECK enum qs_code qs_cli_snapshots(const struct qs_folder *folder,
	char *const *ids, size_t count, const struct qs_cli_filter *filter,
	const struct qs_snapshot ***out, size_t *out_count,
	struct qs_err *err);
/* The same of those that are forgotten. */
QS_MUST_CHECK enum qs_code qs_cli_forgotten(const struct qs_folder *folder,
	char *const *ids, size_t count, const struct qs_cli_filter *filter,
	const struct qs_snapshot ***out, size_t *out_count,
	struct qs_err *err);
/*
 * A table on standard output; verdicts, one for each, or NULL: with the
 * reasons.
 */
void qs_cli_table(const struct qs_snapshot *const *list,
	const struct qs_verdict *verdicts, size_t count);
#define QS_CLI_SHORT 8
void qs_cli_short_id(const struct qs_snapshot *snapshot,
	char out[static QS_CLI_SHORT + 1]);

/* ------------------------------------------------------------ printing */

/* One code point; its length, or 0 when the bytes are not UTF-8. */
size_t qs_utf8_next(const uint8_t *data, size_t len, uint32_t *out);
/* Bytes from elsewhere, made harmless for a terminal. */
void qs_cli_escape(FILE *file, const void *data, size_t len);
void qs_cli_escape_text(FILE *file, const char *text);

#define QS_CLI_TEXT_LEN 64
void qs_cli_bytes(uint64_t bytes, char out[static QS_CLI_TEXT_LEN]);
void qs_cli_duration(uint64_t seconds, char out[static QS_CLI_TEXT_LEN]);
/* Local time: "2015-05-08 21:38:30", or RFC 3339 with nanoseconds. */
void qs_cli_time(int64_t ns, char out[static QS_CLI_TEXT_LEN]);
void qs_cli_time_json(int64_t ns, char out[static QS_CLI_TEXT_LEN]);
QS_MUST_CHECK enum qs_code qs_cli_parse_time(const char *text,
	int64_t *ns, struct qs_err *err);
/* "1h30m", "90" (seconds), "2d" */
QS_MUST_CHECK enum qs_code qs_cli_parse_span(const char *text,
	unsigned *seconds, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cli_parse_size(const char *text,
	uint64_t *out, struct qs_err *err);
/* "drwxr-xr-x" */
void qs_cli_mode(const struct qs_node *node, char out[static 11]);
const char *qs_cli_type(enum qs_node_type type); /* "file", "dir" ... */

/* A JSON document or line, written as it comes to a FILE. */
struct qs_json {
	FILE *file;
	bool comma;
};

struct qs_json qs_json(FILE *file);
void qs_json_open(struct qs_json *json, const char *key, char bracket);
void qs_json_close(struct qs_json *json, char bracket);
/* Text; bytes that are not UTF-8 become U+FFFD. key NULL: in an array. */
void qs_json_text(struct qs_json *json, const char *key, const char *text);
/*
 * A name of bytes: as qs_json_text, and where that loses something a second
 * field KEY_raw with the bytes in hex.
 */
void qs_json_name(struct qs_json *json, const char *key, const void *data,
	size_t len);
void qs_json_number(struct qs_json *json, const char *key, uint64_t value);
void qs_json_real(struct qs_json *json, const char *key, double value);
void qs_json_bool(struct qs_json *json, const char *key, bool value);
void qs_json_hex(struct qs_json *json, const char *key, const void *data,
	size_t len);
void qs_json_time(struct qs_json *json, const char *key, int64_t ns);
void qs_json_end(struct qs_json *json); /* newline, flush */
/* The fields of a snapshot, of a node, into an open object. */
void qs_json_snapshot(struct qs_json *json,
	const struct qs_snapshot *snapshot);
void qs_json_node(struct qs_json *json, const struct qs_node *node,
	const char *path);

/* ------------------------------------------------------------ progress */

struct qs_view;

enum qs_view_what { QS_VIEW_SNAPSHOT, QS_VIEW_RESTORE, QS_VIEW_CHECK,
	QS_VIEW_OTHER };

/*
 * Shows progress (a terminal or --json) and prints events until it is closed;
 * *report is for the library.  totals: where the totals come from, NULL: the
 * progress itself.
 */
QS_MUST_CHECK enum qs_code qs_view_open(struct qs_cli *cli,
	enum qs_view_what what, const struct qs_progress *totals,
	struct qs_report *report, struct qs_view **out, struct qs_err *err);
/* How many warnings it printed. */
uint64_t qs_view_close(struct qs_view *view);
bool qs_view_is_terminal(const struct qs_cli *cli);
/* A warning outside of a view. */
void qs_cli_warn(struct qs_cli *cli, const char *path,
	const struct qs_err *err);

/* ------------------------------------------------------------ retiring */

/* "5%", "2G", "unlimited", NULL: the default. */
QS_MUST_CHECK enum qs_code qs_cli_max_unused(const char *text,
	struct qs_retire_options *out, struct qs_err *err);
/* qs_retire, with progress, and what it came to. */
QS_MUST_CHECK enum qs_code qs_cli_retire(struct qs_cli *cli,
	struct qs_folder *folder, const struct qs_retire_options *options,
	struct qs_err *err);
/*
 * A plain directory has nobody who looks after it: carry its retirements out,
 * with the hub's program when it stands beside this one.
 */
QS_MUST_CHECK enum qs_code qs_cli_tidy_here(struct qs_cli *cli,
	struct qs_err *err);

#endif
