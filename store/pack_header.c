/* SPDX-License-Identifier: ISC */
/* What can be said of a pack without any key. */
#include <inttypes.h>

#include "store/store_internal.h"

bool
qs_pack_is_size(uint64_t size)
{
	return size >= QS_PACK_MIN && size <= QS_PACK_MAX &&
		(size & (size - 1)) == 0;
}

enum qs_code
qs_pack_header_check(const uint8_t header[static PACK_KEYED],
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_err *err)
{
	if (memcmp(header, PACK_MAGIC, 8) != 0)
		return qs_fail(err, QS_ECORRUPT, "not a pack: wrong magic");
	if (header[8] != PACK_VERSION)
		return qs_fail(err, QS_EUNSUPPORTED, "made by a newer version "
			"of qstore (pack version %d)", header[8]);
	if (header[9] != PACK_SUITE)
		return qs_fail(err, QS_EUNSUPPORTED, "made by a newer version "
			"of qstore (pack suite %d)", header[9]);
	if (qs_load16(header + 10) != 0)
		return qs_fail(err, QS_ECORRUPT, "reserved bytes are not zero");
	if (memcmp(header + 16, folder_id, QS_FOLDER_ID_LEN) != 0)
		return qs_fail(err, QS_EKEY, "belongs to another folder");
	return QS_OK;
}

enum qs_code
qs_pack_check(struct qs_span object,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_err *err)
{
	enum qs_code rc;

	if (!qs_pack_is_size(object.len))
		rc = qs_fail(err, QS_ECORRUPT, "%zu bytes is not the length "
			"of a pack", object.len);
	else
		rc = qs_pack_header_check(object.data, folder_id, err);
	return rc == QS_OK ? QS_OK : qs_fail_while(err, "object");
}
