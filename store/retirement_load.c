/* SPDX-License-Identifier: ISC */
/* What is retired, of a store whose log nobody has walked yet. */
#include "store/store_internal.h"

struct load {
	struct qs_store *store;
	struct qs_retirement *retirement; /* made with the first record */
};

/* The admin's records come first, and GENESIS says who the admin is. */
static enum qs_code
take_record(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct load *load = arg;
	enum qs_code rc = QS_OK;

	if (load->retirement == NULL)
		rc = qs_retirement_new(record->signer, &load->retirement, err);
	if (rc == QS_OK)
		rc = qs_retirement_take(load->retirement, record, err);
	return rc;
}

/* What is damaged makes less retired, never more. */
static void
ignore_trouble(void *arg, const struct qs_err *trouble)
{
	(void)arg;
	qs_log("log: %s", trouble->msg);
}

enum qs_code
qs_retirement_load(struct qs_store *store, struct qs_retirement **out,
	struct qs_err *err)
{
	static const uint8_t nobody[32];
	struct load load = {.store = store};
	/* Without the admin's key it is found in GENESIS, or this fails. */
	enum qs_code rc = qs_log_walk(store, NULL, NULL, 0, take_record,
		ignore_trouble, &load, err);

	if (rc == QS_OK && load.retirement == NULL)
		rc = qs_retirement_new(nobody, &load.retirement, err);
	if (rc == QS_OK)
		rc = qs_retirement_finish(load.retirement, err);
	if (rc != QS_OK) {
		qs_retirement_free(load.retirement);
		return rc;
	}
	*out = load.retirement;
	return QS_OK;
}
