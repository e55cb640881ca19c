/* SPDX-License-Identifier: ISC */
/* qstore-hub scrub: look at every file; one line for each finding. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"
#include "cli/hub_internal.h"

#define NS 1000000000
#define THREADS_MAX 64

static const char usage[] =
	"usage: qstore-hub scrub [OPTION]... [PATH]...\n"
	"\n"
	"Looks at every file of the stores at PATH, or of all folders of the\n"
	"hub, and at what their logs say.  Exit code 3: there is damage.\n"
	"\n"
	"  --fast              compare with what was written down as it came\n"
	"  --full              compare with the names, as b2sum -l 256 would\n"
	"  --rebuild           make the catalogue anew from the files\n"
	"  --anew              do not go on where the last run stopped\n"
	"  --max-duration 1h   stop then; the next run goes on\n"
	"  --threads N         at once (one per processor, at most 8)\n"
	"  --repair-from URL   fetch good copies from there\n"
	"  --hub DIR           where the folders are (~/qstore)\n"
	"  --json              a line of JSON for each finding, and a summary\n"
	"\n"
	"example: qstore-hub scrub --full --max-duration 1h30m\n";

struct scrubbing {
	struct qs_scrub_options options;
	const char *hub, *repair_from;
	bool writes_json, draws;
	/* of the store that is looked at */
	const char *label;
	_Atomic uint64_t done, total;
	int64_t start_ns;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_closing, has_line; /* under the lock */
};

static _Atomic bool cancelled;

static void
on_signal(int number)
{
	(void)number;
	atomic_store(&cancelled, true);
}

/* ------------------------------------------------------------- progress */

/* Under the lock. */
static void
erase(struct scrubbing *scrubbing)
{
	if (scrubbing->has_line)
		(void)fputs("\r\033[K", stderr);
	scrubbing->has_line = false;
}

/* Under the lock. */
static void
draw_line(struct scrubbing *scrubbing)
{
	const double seconds = (double)(qs_mono_ns() - scrubbing->start_ns) /
		NS;
	const uint64_t done = atomic_load(&scrubbing->done);
	const uint64_t total = atomic_load(&scrubbing->total);
	const double rate = seconds > 0 ? (double)done / seconds : 0;
	char spent[QS_CLI_TEXT_LEN], done_text[QS_CLI_TEXT_LEN];
	char total_text[QS_CLI_TEXT_LEN], rate_text[QS_CLI_TEXT_LEN];
	char left[QS_CLI_TEXT_LEN] = "?";

	qs_cli_duration((uint64_t)seconds, spent);
	qs_cli_bytes(done, done_text);
	qs_cli_bytes(total, total_text);
	qs_cli_bytes((uint64_t)rate, rate_text);
	if (rate > 0 && total >= done)
		qs_cli_duration((uint64_t)((double)(total - done) / rate),
			left);
	(void)fprintf(stderr, "\r[%s] %s of %s, %s/s, ETA %s\033[K", spent,
		done_text, total_text, rate_text, left);
	(void)fflush(stderr);
	scrubbing->has_line = true;
}

static void
draw(void *arg)
{
	struct scrubbing *scrubbing = arg;

	(void)pthread_mutex_lock(&scrubbing->lock);
	while (!scrubbing->is_closing) {
		int64_t until = qs_now_ns() + NS / 2;
		struct timespec at = {(time_t)(until / NS),
			(long)(until % NS)};

		(void)pthread_cond_timedwait(&scrubbing->wake,
			&scrubbing->lock, &at);
		if (!scrubbing->is_closing)
			draw_line(scrubbing);
	}
	erase(scrubbing);
	(void)fflush(stderr);
	(void)pthread_mutex_unlock(&scrubbing->lock);
}

/* ------------------------------------------------------------- findings */

static const char *
word_of(enum qs_finding_kind kind)
{
	switch (kind) {
	case QS_FINDING_DAMAGED:
		return "damaged";
	case QS_FINDING_MISSING:
		return "missing";
	case QS_FINDING_FOREIGN:
		return "foreign";
	case QS_FINDING_INCOMPLETE:
		return "incomplete";
	case QS_FINDING_LOG:
		return "log";
	case QS_FINDING_REPAIRED:
		break;
	}
	return "repaired";
}

static void
finding_json(const struct scrubbing *scrubbing,
	const struct qs_finding *finding)
{
	struct qs_json json = qs_json(stdout);

	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "finding");
	qs_json_name(&json, "store", scrubbing->label,
		strlen(scrubbing->label));
	qs_json_text(&json, "kind", word_of(finding->kind));
	qs_json_name(&json, "text", finding->text, strlen(finding->text));
	if (finding->ref != NULL) {
		qs_json_hex(&json, "name", finding->ref->name.b, 32);
		if (finding->ref->area == QS_AREA_LOG) {
			qs_json_hex(&json, "device", finding->ref->device,
				QS_DEVICE_LEN);
			qs_json_number(&json, "number", finding->ref->seq);
		}
	}
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static void
on_finding(void *arg, const struct qs_finding *finding)
{
	struct scrubbing *scrubbing = arg;

	(void)pthread_mutex_lock(&scrubbing->lock);
	erase(scrubbing);
	if (scrubbing->writes_json) {
		finding_json(scrubbing, finding);
	} else {
		qs_cli_escape_text(stdout, scrubbing->label);
		(void)fputs(": ", stdout);
		qs_cli_escape_text(stdout, finding->text);
		(void)fputc('\n', stdout);
		(void)fflush(stdout);
	}
	(void)pthread_mutex_unlock(&scrubbing->lock);
}

static bool
has_findings(const struct qs_scrub_result *result)
{
	return result->damaged + result->missing + result->incomplete +
		result->troubles > 0;
}

static void
summary_json(const struct scrubbing *scrubbing, const uint8_t *folder_id,
	const struct qs_scrub_result *result, double seconds)
{
	struct qs_json json = qs_json(stdout);

	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "summary");
	qs_json_name(&json, "store", scrubbing->label,
		strlen(scrubbing->label));
	qs_json_hex(&json, "folder", folder_id, QS_FOLDER_ID_LEN);
	qs_json_number(&json, "objects", result->objects);
	qs_json_number(&json, "records", result->records);
	qs_json_number(&json, "slots", result->slots);
	qs_json_number(&json, "bytes", result->bytes);
	qs_json_real(&json, "seconds", seconds);
	qs_json_number(&json, "damaged", result->damaged);
	qs_json_number(&json, "missing", result->missing);
	qs_json_number(&json, "foreign", result->foreign);
	qs_json_number(&json, "incomplete", result->incomplete);
	qs_json_number(&json, "log", result->troubles);
	qs_json_number(&json, "repaired", result->repaired);
	qs_json_bool(&json, "finished", result->finished);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static void
summary(const struct scrubbing *scrubbing,
	const struct qs_scrub_result *result, double seconds)
{
	const struct {
		uint64_t count;
		const char *word;
	} parts[] = {
		{result->damaged, "damaged"},
		{result->missing, "missing"},
		{result->incomplete, "incomplete snapshots"},
		{result->troubles, "troubles in the log"},
		{result->repaired, "repaired"},
		{result->foreign, "foreign"},
	};
	char bytes[QS_CLI_TEXT_LEN], rate[QS_CLI_TEXT_LEN];
	char spent[QS_CLI_TEXT_LEN];
	bool is_any = false;

	qs_cli_bytes(result->bytes, bytes);
	qs_cli_bytes(seconds > 0 ? (uint64_t)((double)result->bytes /
		seconds) : 0, rate);
	qs_cli_duration((uint64_t)seconds, spent);
	qs_cli_escape_text(stdout, scrubbing->label);
	(void)printf(": %" PRIu64 " objects, %" PRIu64 " log records, %" PRIu64
		" key slots, %s in %s (%s/s):", result->objects,
		result->records, result->slots, bytes, spent, rate);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].count == 0)
			continue;
		(void)printf("%s %" PRIu64 " %s", is_any ? "," : "",
			parts[i].count, parts[i].word);
		is_any = true;
	}
	(void)printf("%s%s\n", is_any ? "" : " no damage", result->finished ?
		"" : "; stopped, the next run goes on from here");
}

/* -------------------------------------------------------------- one store */

static enum qs_code
run(struct scrubbing *scrubbing, const char *path, const uint8_t *folder_id,
	struct qs_scrub_result *result, struct qs_err *err)
{
	struct qs_thread *thread = NULL;
	struct qs_store *other = NULL;
	enum qs_code rc = QS_OK;

	if (scrubbing->repair_from != NULL)
		rc = qs_url_open(scrubbing->repair_from, folder_id, &other,
			err);
	if (rc == QS_OK && scrubbing->draws)
		rc = qs_thread_start(&thread, draw, scrubbing, "progress",
			err);
	scrubbing->options.repair_from = other;
	if (rc == QS_OK)
		rc = qs_scrub(path, folder_id, &scrubbing->options, result,
			err);
	(void)pthread_mutex_lock(&scrubbing->lock);
	scrubbing->is_closing = true;
	(void)pthread_cond_signal(&scrubbing->wake);
	(void)pthread_mutex_unlock(&scrubbing->lock);
	qs_thread_join(thread);
	qs_store_close(other);
	return rc;
}

static int
scrub_one(void *arg, const char *name, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN])
{
	struct scrubbing *scrubbing = arg;
	struct qs_scrub_result result = {.objects = 0};
	struct qs_err err;
	double seconds;
	enum qs_code rc;

	if (atomic_load(&cancelled))
		return 1;
	scrubbing->label = name != NULL ? name : path;
	scrubbing->is_closing = false;
	atomic_store(&scrubbing->done, 0);
	atomic_store(&scrubbing->total, 0);
	scrubbing->start_ns = qs_mono_ns();
	rc = run(scrubbing, path, folder_id, &result, &err);
	if (rc != QS_OK) {
		(void)qs_fail_while(&err, "%s", scrubbing->label);
		return qs_hub_failed(&err);
	}
	seconds = (double)(qs_mono_ns() - scrubbing->start_ns) / NS;
	if (scrubbing->writes_json)
		summary_json(scrubbing, folder_id, &result, seconds);
	else
		summary(scrubbing, &result, seconds);
	if (atomic_load(&cancelled)) {
		(void)qs_fail(&err, QS_ECANCELED, "interrupted");
		return qs_hub_failed(&err);
	}
	return has_findings(&result) ? 3 : 0;
}

/* --------------------------------------------------------------- options */

enum { FAST = 1, FULL, REBUILD, ANEW, MAX_DURATION, THREADS, REPAIR_FROM, HUB,
	JSON, HELP };

static const struct option long_options[] = {
	{"fast", no_argument, NULL, FAST},
	{"full", no_argument, NULL, FULL},
	{"rebuild", no_argument, NULL, REBUILD},
	{"anew", no_argument, NULL, ANEW},
	{"max-duration", required_argument, NULL, MAX_DURATION},
	{"threads", required_argument, NULL, THREADS},
	{"repair-from", required_argument, NULL, REPAIR_FROM},
	{"hub", required_argument, NULL, HUB},
	{"json", no_argument, NULL, JSON},
	{"help", no_argument, NULL, HELP},
	{NULL, 0, NULL, 0},
};

static enum qs_code
parse_threads(const char *text, unsigned *out, struct qs_err *err)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0 ||
		value > THREADS_MAX)
		return qs_fail(err, QS_EINVAL, "--threads: \"%s\" is not a "
			"number from 1 to %d", text, THREADS_MAX);
	*out = (unsigned)value;
	return QS_OK;
}

/* *help: that was all that was asked for */
static enum qs_code
parse(struct scrubbing *scrubbing, int argc, char **argv, bool *help,
	struct qs_err *err)
{
	struct qs_scrub_options *options = &scrubbing->options;
	enum qs_code rc = QS_OK;
	int option;

	while (rc == QS_OK && (option = getopt_long(argc, argv, "",
		long_options, NULL)) != -1) {
		switch (option) {
		case FAST:
			options->depth = QS_SCRUB_FAST;
			break;
		case FULL:
			options->depth = QS_SCRUB_FULL;
			break;
		case REBUILD:
			options->rebuild = true;
			break;
		case ANEW:
			options->anew = true;
			break;
		case MAX_DURATION:
			rc = qs_cli_parse_span(optarg, &options->max_seconds,
				err);
			break;
		case THREADS:
			rc = parse_threads(optarg, &options->threads, err);
			break;
		case REPAIR_FROM:
			scrubbing->repair_from = optarg;
			break;
		case HUB:
			scrubbing->hub = optarg;
			break;
		case JSON:
			scrubbing->writes_json = true;
			break;
		case HELP:
			*help = true;
			break;
		default:
			rc = qs_fail(err, QS_EINVAL, "scrub --help lists the "
				"options");
		}
	}
	return rc;
}

int
qs_hub_cmd_scrub(int argc, char **argv)
{
	struct scrubbing scrubbing = {.options = {.depth = QS_SCRUB_FAST}};
	struct sigaction action = {.sa_handler = on_signal};
	struct qs_err err;
	bool help = false;
	int status;

	if (parse(&scrubbing, argc, argv, &help, &err) != QS_OK)
		return qs_hub_failed(&err);
	if (help) {
		(void)fputs(usage, stdout);
		return 0;
	}
	(void)pthread_mutex_init(&scrubbing.lock, NULL);
	(void)pthread_cond_init(&scrubbing.wake, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	scrubbing.draws = isatty(STDERR_FILENO) && !scrubbing.writes_json;
	scrubbing.options.finding = on_finding;
	scrubbing.options.arg = &scrubbing;
	scrubbing.options.bytes_done = &scrubbing.done;
	scrubbing.options.bytes_total = &scrubbing.total;
	scrubbing.options.cancel = &cancelled;
	status = qs_hub_each(scrubbing.hub, argv + optind,
		(size_t)(argc - optind), scrub_one, &scrubbing);
	(void)pthread_cond_destroy(&scrubbing.wake);
	(void)pthread_mutex_destroy(&scrubbing.lock);
	return status;
}
