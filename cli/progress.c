/* SPDX-License-Identifier: ISC */
/*
 * Progress on a terminal (one line, redrawn), as JSON, or on SIGUSR1; and the
 * events of a run, one line each.  A thread of its own draws; the lock keeps
 * its line and the events apart.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#define NS 1000000000

struct qs_view {
	struct qs_cli *cli;
	enum qs_view_what what;
	const struct qs_progress *totals;
	struct qs_progress *progress;
	struct qs_thread *thread;
	bool draws, writes_json; /* of the status */
	int64_t start_ns, period_ns;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* all below guarded by lock */
	bool is_closing, has_line;
	uint64_t warnings;
};

bool
qs_view_is_terminal(const struct qs_cli *cli)
{
	const char *term = getenv("TERM");

	if (cli->global.quiet || cli->global.json || !isatty(STDERR_FILENO))
		return false;
	return term == NULL || strcmp(term, "dumb") != 0;
}

struct status {
	uint64_t files, bytes, total_files, total_bytes, errors, seconds;
	uint64_t left; /* seconds; 0: not known */
	double share, rate;
};

static void
measure(const struct qs_view *view, struct status *out)
{
	const struct qs_progress *progress = view->progress;
	const double seconds = (double)(qs_mono_ns() - view->start_ns) / NS;

	*out = (struct status){
		.files = atomic_load(&progress->files_done),
		.bytes = atomic_load(&progress->bytes_done),
		.errors = atomic_load(&progress->errors),
		.total_files = atomic_load(&view->totals->files_total),
		.total_bytes = atomic_load(&view->totals->bytes_total),
		.seconds = (uint64_t)seconds,
	};
	if (seconds > 0)
		out->rate = (double)out->bytes / seconds;
	if (out->total_bytes > 0)
		out->share = (double)out->bytes / (double)out->total_bytes;
	else if (out->total_files > 0)
		out->share = (double)out->files / (double)out->total_files;
	if (out->share > 1)
		out->share = 1;
	if (out->share > 0 && seconds >= 1)
		out->left = (uint64_t)(seconds * (1 - out->share) /
			out->share);
}

static void
line_of(const struct status *status, char *out, size_t cap)
{
	char bytes[QS_CLI_TEXT_LEN], total[QS_CLI_TEXT_LEN];
	char rate[QS_CLI_TEXT_LEN], spent[QS_CLI_TEXT_LEN];
	char left[QS_CLI_TEXT_LEN], end[QS_CLI_TEXT_LEN + 8] = "";

	qs_cli_bytes(status->bytes, bytes);
	qs_cli_bytes(status->total_bytes, total);
	qs_cli_bytes((uint64_t)status->rate, rate);
	qs_cli_duration(status->seconds, spent);
	qs_cli_duration(status->left, left);
	if (status->left > 0)
		(void)snprintf(end, sizeof(end), " ETA %s", left);
	if (status->share > 0)
		(void)snprintf(out, cap, "[%s] %.2f%%  %" PRIu64 " files %s, "
			"total %" PRIu64 " files %s, %s/s, %" PRIu64
			" errors%s", spent, status->share * 100,
			status->files, bytes, status->total_files, total,
			rate, status->errors, end);
	else
		(void)snprintf(out, cap, "[%s] %" PRIu64 " files %s, %s/s, %"
			PRIu64 " errors", spent, status->files, bytes, rate,
			status->errors);
}

/* Under the lock. */
static void
erase(struct qs_view *view)
{
	if (view->has_line)
		(void)fputs("\r\033[K", stderr);
	view->has_line = false;
}

static void
write_json(const struct status *status)
{
	struct qs_json json = qs_json(stdout);

	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "status");
	qs_json_number(&json, "seconds_elapsed", status->seconds);
	if (status->left > 0)
		qs_json_number(&json, "seconds_remaining", status->left);
	qs_json_real(&json, "percent_done", status->share);
	qs_json_number(&json, "total_files", status->total_files);
	qs_json_number(&json, "files_done", status->files);
	qs_json_number(&json, "total_bytes", status->total_bytes);
	qs_json_number(&json, "bytes_done", status->bytes);
	qs_json_number(&json, "error_count", status->errors);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

/* Under the lock. */
static void
show(struct qs_view *view, bool is_asked)
{
	struct winsize size;
	struct status status;
	char line[512];
	size_t columns = 80;

	measure(view, &status);
	if (view->writes_json && !is_asked) {
		write_json(&status);
		return;
	}
	line_of(&status, line, sizeof(line));
	if (is_asked && !view->draws) {
		(void)fprintf(stderr, "%s\n", line);
		return;
	}
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		columns = size.ws_col;
	if (strlen(line) >= columns)
		line[columns - 1] = '\0';
	(void)fprintf(stderr, "\r%s\033[K", line);
	(void)fflush(stderr);
	view->has_line = true;
}

static void
draw(void *arg)
{
	struct qs_view *view = arg;
	int64_t next = qs_mono_ns() + view->period_ns;

	(void)pthread_mutex_lock(&view->lock);
	while (!view->is_closing) {
		/* often enough for SIGUSR1, seldom enough to cost nothing */
		int64_t until = qs_mono_ns() + NS / 2;
		struct timespec at;

		if ((view->draws || view->writes_json) && next < until)
			until = next;
		at.tv_sec = (time_t)(until / NS);
		at.tv_nsec = (long)(until % NS);
		(void)pthread_cond_timedwait(&view->wake, &view->lock, &at);
		if (view->is_closing)
			break;
		if (qs_cli_status_wanted())
			show(view, true);
		if ((view->draws || view->writes_json) &&
			qs_mono_ns() >= next) {
			show(view, false);
			next = qs_mono_ns() + view->period_ns;
		}
	}
	erase(view);
	(void)fflush(stderr);
	(void)pthread_mutex_unlock(&view->lock);
}

static const char *
word_of(enum qs_event_kind kind)
{
	switch (kind) {
	case QS_EVENT_NEW:
		return "new";
	case QS_EVENT_CHANGED:
		return "modified";
	case QS_EVENT_UNMODIFIED:
		return "unchanged";
	case QS_EVENT_RESTORED:
		return "restored";
	case QS_EVENT_KEPT:
		return "unchanged";
	case QS_EVENT_DELETED:
		return "deleted";
	case QS_EVENT_WARNING:
		break;
	}
	return "warning";
}

/* Under the lock. */
static void
tell(struct qs_view *view, const struct qs_event *event)
{
	const bool is_quiet_kind = event->kind == QS_EVENT_UNMODIFIED ||
		event->kind == QS_EVENT_KEPT;
	const unsigned need = is_quiet_kind ? 2 : 1;
	const char *path = event->path != NULL ? event->path : "";

	if (view->cli->global.quiet || view->cli->global.verbose < need)
		return;
	erase(view);
	if (view->cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "verbose_status");
		qs_json_text(&json, "action", word_of(event->kind));
		qs_json_name(&json, "item", path, strlen(path));
		qs_json_number(&json, view->what == QS_VIEW_RESTORE ? "size" :
			"data_size", event->size);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	(void)printf("%-10s", word_of(event->kind));
	qs_cli_escape_text(stdout, path);
	(void)putchar('\n');
}

static void
on_event(void *arg, const struct qs_event *event)
{
	struct qs_view *view = arg;

	(void)pthread_mutex_lock(&view->lock);
	if (event->kind == QS_EVENT_WARNING) {
		erase(view);
		view->warnings++;
		qs_cli_warn(view->cli, event->path, event->err);
	} else {
		tell(view, event);
	}
	(void)pthread_mutex_unlock(&view->lock);
}

enum qs_code
qs_view_open(struct qs_cli *cli, enum qs_view_what what,
	const struct qs_progress *totals, struct qs_report *report,
	struct qs_view **out, struct qs_err *err)
{
	struct qs_view *view = calloc(1, sizeof(*view));
	double fps = cli->fps;
	pthread_condattr_t attr;
	enum qs_code rc;

	if (view == NULL)
		return qs_fail_nomem(err, "starting the display");
	view->cli = cli;
	view->what = what;
	view->progress = qs_cli_progress();
	atomic_store(&view->progress->files_done, 0); /* a second try? */
	atomic_store(&view->progress->bytes_done, 0);
	atomic_store(&view->progress->errors, 0);
	view->totals = totals != NULL ? totals : view->progress;
	view->draws = qs_view_is_terminal(cli);
	view->writes_json = cli->global.json && !cli->global.quiet &&
		what != QS_VIEW_OTHER;
	view->start_ns = qs_mono_ns();
	if (fps <= 0)
		fps = view->writes_json ? 1 : 10;
	view->period_ns = (int64_t)(NS / fps);
	(void)pthread_mutex_init(&view->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&view->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	rc = qs_thread_start(&view->thread, draw, view, "progress", err);
	if (rc != QS_OK) {
		(void)qs_view_close(view);
		return rc;
	}
	*report = (struct qs_report){on_event, view, view->progress};
	*out = view;
	return QS_OK;
}

uint64_t
qs_view_close(struct qs_view *view)
{
	uint64_t warnings;

	if (view == NULL)
		return 0;
	(void)pthread_mutex_lock(&view->lock);
	view->is_closing = true;
	(void)pthread_cond_signal(&view->wake);
	(void)pthread_mutex_unlock(&view->lock);
	qs_thread_join(view->thread);
	warnings = view->warnings;
	(void)pthread_cond_destroy(&view->wake);
	(void)pthread_mutex_destroy(&view->lock);
	free(view);
	return warnings;
}
