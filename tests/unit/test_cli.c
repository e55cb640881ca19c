/* SPDX-License-Identifier: ISC */
/*
 * The command line's own parts: option tables, escaping, JSON, sizes and
 * times, names of folders, passphrases.  cli/ is a program and no library, so
 * its files are included here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/choose.c"
#include "cli/environment.c"
#include "cli/escape.c"
#include "cli/format.c"
#include "cli/json.c"
#include "cli/names.c"
#include "cli/options.c"
#include "cli/secret.c"

static const char *answers[4]; /* of the stand-in for the terminal */
static size_t asked;

enum qs_code
qs_cli_prompt(const char *question, struct qs_cli_secret *out,
	struct qs_err *err)
{
	const char *answer = answers[asked++];

	if (answer == NULL)
		return qs_fail(err, QS_EKEY, "%s: no terminal", question);
	out->len = strlen(answer);
	memcpy(out->data, answer, out->len);
	return QS_OK;
}

struct words {
	struct qs_cli_list list, commas;
	const char *text;
	uint64_t size;
	unsigned number, count;
	bool flag;
};

static const struct qs_cli_option word_options[] = {
	{"list", 'l', QS_CLI_LIST, offsetof(struct words, list), "L", ""},
	{"commas", 0, QS_CLI_COMMAS, offsetof(struct words, commas), "C", ""},
	{"text", 't', QS_CLI_TEXT, offsetof(struct words, text), "T", ""},
	{"size", 0, QS_CLI_SIZE, offsetof(struct words, size), "S", ""},
	{"number", 0, QS_CLI_NUMBER, offsetof(struct words, number), "N", ""},
	{"flag", 'r', QS_CLI_FLAG, offsetof(struct words, flag), NULL, ""},
};

static const struct qs_cli_command word_command = {
	.name = "words", .args = "", .options = word_options,
	.option_count = 6, .options_size = sizeof(struct words),
};

static enum qs_code
parse(struct qs_cli *cli, struct words **words, size_t *argc, char ***argv,
	struct qs_err *err)
{
	*words = calloc(1, sizeof(**words));
	assert_non_null(*words);
	return qs_cli_parse(cli, &word_command, *words, argc, argv, err);
}

static void
options_land_where_their_table_says(void **state)
{
	char text[] = "words --list=a x -l b --commas p,,q -t hi --size 3K "
		"--number 7 -r --repo /r -vv -- -y";
	char *line[24], **argv = line;
	struct qs_cli cli = {.fps = 0};
	size_t argc = 0;
	struct words *words;
	struct qs_err err;

	(void)state;
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		line[argc++] = word;
	line[argc] = NULL;
	assert_int_equal(parse(&cli, &words, &argc, &argv, &err), QS_OK);
	assert_int_equal(words->list.count, 2);
	assert_string_equal(words->list.items[1], "b");
	assert_int_equal(words->commas.count, 2);
	assert_string_equal(words->commas.items[1], "q");
	assert_string_equal(words->text, "hi");
	assert_true(words->size == 3072 && words->number == 7);
	assert_true(words->flag); /* its -r hides the global one */
	assert_string_equal(cli.global.repo, "/r");
	assert_int_equal(cli.global.verbose, 2);
	assert_int_equal(argc, 2);
	assert_string_equal(argv[0], "x");
	assert_string_equal(argv[1], "-y");
	qs_cli_options_clear(&word_command, words);
}

static void
bad_options_are_named(void **state)
{
	static const struct {
		const char *word, *says;
	} bad[] = {
		{"--nothing", "--nothing"}, {"-z", "-z"},
		{"--text", "--text"}, {"--number=0", "--number"},
		{"--size=1X", "--size"}, {"--flag=1", "--flag"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char word[32], name[] = "words";
		char *line[] = {name, word, NULL}, **argv = line;
		struct qs_cli cli = {.fps = 0};
		size_t argc = 2;
		struct words *words;
		struct qs_err err;

		(void)snprintf(word, sizeof(word), "%s", bad[i].word);
		assert_int_equal(parse(&cli, &words, &argc, &argv, &err),
			QS_EINVAL);
		assert_non_null(strstr(err.msg, bad[i].says));
		qs_cli_options_clear(&word_command, words);
	}
}

/* What fn writes for these bytes. */
static char *
written(void (*fn)(FILE *file, const void *data, size_t len),
	const char *data, size_t len)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	fn(file, data, len);
	(void)fclose(file);
	return text;
}

static void
terminal_controls_are_escaped(void **state)
{
	static const char in[] = "a\n\x1b[1m\xc2\x9b \xe2\x80\xae \xff"
		"\xc0\x80\xed\xa0\x80 \xc3\xa4\xf0\x9f\x98\x80";
	char *text = written(qs_cli_escape, in, sizeof(in) - 1);

	(void)state;
	assert_string_equal(text, "a\\x0a\\x1b[1m\\xc2\\x9b \\xe2\\x80\\xae "
		"\\xff\\xc0\\x80\\xed\\xa0\\x80 \xc3\xa4\xf0\x9f\x98\x80");
	free(text);
}

static void
put_json(FILE *file, const void *data, size_t len)
{
	struct qs_json json = qs_json(file);

	qs_json_open(&json, NULL, '{');
	qs_json_name(&json, "name", data, len);
	qs_json_open(&json, "list", '[');
	qs_json_number(&json, NULL, UINT64_MAX);
	qs_json_bool(&json, NULL, true);
	qs_json_close(&json, ']');
	qs_json_real(&json, "real", 1.0 / 0.0);
	qs_json_close(&json, '}');
}

static void
json_is_json_and_loses_no_name(void **state)
{
	char *text = written(put_json, "\"\\\n\x01\xff", 5);

	(void)state;
	assert_string_equal(text, "{\"name\":\"\\\"\\\\\\n\\u0001\\ufffd\","
		"\"name_raw\":\"225c0a01ff\",\"list\":[18446744073709551615,"
		"true],\"real\":0}");
	free(text);
	text = written(put_json, "ok", 2);
	assert_null(strstr(text, "_raw"));
	free(text);
}

static void
sizes_spans_and_times_are_read_strictly(void **state)
{
	static const char *const bad_sizes[] = {"", "x", "-1", "1Q", "1KK",
		"99999999999999999999", "17179869184G", " 1"};
	static const char *const bad_spans[] = {"", "h", "1x", "0", "-1h",
		"99999999999d", "1h h"};
	static const char *const bad_times[] = {"", "2020", "2020-01-01 1",
		"2020-01-01 00:00:00 x", "1960-01-01 00:00:00"};
	struct qs_err err;
	uint64_t size;
	unsigned seconds;
	int64_t ns;
	char text[QS_CLI_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(qs_cli_parse_size(bad_sizes[i], &size, &err),
			QS_EINVAL);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(qs_cli_parse_span(bad_spans[i], &seconds,
			&err), QS_EINVAL);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(qs_cli_parse_time(bad_times[i], &ns, &err),
			QS_EINVAL);
	assert_int_equal(qs_cli_parse_size("2GiB", &size, &err), QS_OK);
	assert_true(size == 2ull << 30);
	assert_int_equal(qs_cli_parse_span("1h30m5", &seconds, &err), QS_OK);
	assert_int_equal(seconds, 5405);
	assert_int_equal(qs_cli_parse_time("2020-02-03 04:05:06", &ns, &err),
		QS_OK);
	qs_cli_time(ns, text);
	assert_string_equal(text, "2020-02-03 04:05:06");
	qs_cli_time_json(-1, text);
	assert_non_null(strstr(text, ".999999999"));
}

static void
names_pin_their_folders(void **state)
{
	char dir[] = "/tmp/test_cli.XXXXXX", file[64];
	uint8_t id[QS_FOLDER_ID_LEN], got[QS_FOLDER_ID_LEN];
	struct qs_cli cli = {.fps = 0};
	struct qs_err err;
	bool found = true;

	(void)state;
	assert_non_null(mkdtemp(dir));
	cli.global.state_dir = dir;
	memset(id, 0xa5, sizeof(id));
	assert_int_equal(qs_cli_name_find(&cli, "photos", got, &found, &err),
		QS_OK);
	assert_false(found);
	assert_int_equal(qs_cli_name_check(&cli, "a/b", &err), QS_EINVAL);
	assert_int_equal(qs_cli_name_check(&cli, "photos", &err), QS_OK);
	assert_int_equal(qs_cli_name_add(&cli, "photos", id, &err), QS_OK);
	assert_int_equal(qs_cli_name_find(&cli, "photos", got, &found, &err),
		QS_OK);
	assert_true(found && memcmp(got, id, sizeof(id)) == 0);
	assert_int_equal(qs_cli_name_check(&cli, "photos", &err), QS_EEXIST);
	assert_int_equal(qs_cli_name_find(&cli, "photo", got, &found, &err),
		QS_OK);
	assert_false(found);
	(void)snprintf(file, sizeof(file), "%s/names", dir);
	(void)unlink(file);
	(void)rmdir(dir);
}

static void
new_passphrases_are_asked_for_twice(void **state)
{
	struct qs_cli cli = {.fps = 0};
	struct qs_cli_secret secret = {NULL, 0};
	struct qs_err err;

	(void)state;
	asked = 0;
	answers[0] = "long enough 1";
	answers[1] = "long enough 2";
	assert_int_equal(qs_cli_passphrase(&cli, "new", true, &secret, &err),
		QS_EINVAL);
	assert_null(secret.data);
	asked = 0;
	answers[0] = "short";
	assert_int_equal(qs_cli_passphrase(&cli, "new", true, &secret, &err),
		QS_EINVAL);
	assert_null(strstr(err.msg, "short\""));
	asked = 0;
	answers[0] = answers[1] = "long enough 1";
	assert_int_equal(qs_cli_passphrase(&cli, "new", true, &secret, &err),
		QS_OK);
	assert_int_equal(secret.len, 13);
	qs_cli_secret_clear(&secret);
}

static void
the_environment_gives_and_forgets_the_passphrase(void **state)
{
	struct qs_cli cli = {.fps = 0};
	struct qs_cli_secret secret = {NULL, 0};
	struct qs_err err;

	(void)state;
	(void)setenv("QSTORE_PASSWORD", "from the environment", 1);
	assert_int_equal(qs_cli_environment(&cli, &err), QS_OK);
	assert_null(getenv("QSTORE_PASSWORD"));
	assert_int_equal(qs_cli_passphrase(&cli, "", false, &secret, &err),
		QS_OK);
	assert_memory_equal(secret.data, "from the environment", secret.len);
	qs_cli_secret_clear(&secret);
	qs_cli_secret_clear(&cli.env_password);
	(void)setenv("QSTORE_PROGRESS_FPS", "fast", 1);
	assert_int_equal(qs_cli_environment(&cli, &err), QS_EINVAL);
	(void)unsetenv("QSTORE_PROGRESS_FPS");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_land_where_their_table_says),
		cmocka_unit_test(bad_options_are_named),
		cmocka_unit_test(terminal_controls_are_escaped),
		cmocka_unit_test(json_is_json_and_loses_no_name),
		cmocka_unit_test(sizes_spans_and_times_are_read_strictly),
		cmocka_unit_test(names_pin_their_folders),
		cmocka_unit_test(new_passphrases_are_asked_for_twice),
		cmocka_unit_test(
			the_environment_gives_and_forgets_the_passphrase),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
