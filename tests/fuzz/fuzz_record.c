/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: log records as any place may hand them out.  The signature is
 * left out, which would only keep the fuzzer from what lies behind it.
 */
#include <stdlib.h>

#include "store/store_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_within(struct qs_span part, const uint8_t *data, size_t size)
{
	if (part.data < data || part.data + part.len > data + size)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_genesis_body genesis;
	struct qs_cert_body cert;
	struct qs_retire_body retire;
	struct qs_record record;
	struct qs_err err;
	size_t count = 0;

	/* The decoders alone, too: their callers may have any bytes. */
	(void)!qs_genesis_decode(qs_span(data, size), &genesis, &err);
	(void)!qs_cert_decode(qs_span(data, size), &cert, &err);
	(void)!qs_names_check(qs_span(data, size), &count, &err);
	if (qs_retire_decode(qs_span(data, size), &retire, &err) == QS_OK) {
		check_within(retire.heads, data, size);
		check_within(retire.names, data, size);
	}
	if (qs_record_parse_unsigned(qs_span(data, size), &record, &err) !=
		QS_OK)
		return 0;
	check_within(record.public_body, data, size);
	check_within(record.sealed_payload, data, size);
	if (record.public_body.len + record.sealed_payload.len +
		RECORD_BODY + QS_SIG_LEN > size)
		abort();
	(void)!qs_record_verify(&record, &err);
	return 0;
}
