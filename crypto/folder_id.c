/* SPDX-License-Identifier: ISC */
/* A folder's id, apart from the key slots: who checks it may hold no key. */
#include "crypto/crypto.h"

void
qs_folder_id(const uint8_t adm_pk[static 32],
	const uint8_t fmk0_commit[static 32],
	uint8_t out[static QS_FOLDER_ID_LEN])
{
	const struct qs_span parts[] = {
		qs_span(adm_pk, 32), qs_span(fmk0_commit, 32),
	};

	qs_b2b_parts(out, QS_FOLDER_ID_LEN, NULL, "folder", parts, 2);
}
