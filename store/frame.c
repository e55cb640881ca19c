/* SPDX-License-Identifier: ISC */
/* Frames' compression: zstd, and back with nothing taken on trust. */
#include <stdlib.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "store/store_internal.h"

/*
 * --compression, chosen by measurement (bench/RESULTS.md).  The default is
 * level 3 with smaller tables, which stay in the second-level cache: 6 % less
 * time for 0.3 % more bytes on a source tree.  zstd's levels up to 19 keep
 * the window at or below 2^23, the format's bound, by themselves.
 */
static const struct {
	int zstd_level; /* meaningless for OFF */
	int hash_log, chain_log, min_match; /* 0: as the level has it */
} levels[] = {
	[QS_LEVEL_OFF] = {0, 0, 0, 0},
	[QS_LEVEL_FASTEST] = {1, 0, 0, 0},
	[QS_LEVEL_DEFAULT] = {3, 16, 15, 5},
	[QS_LEVEL_BETTER] = {6, 0, 0, 0},
	[QS_LEVEL_MAX] = {15, 0, 0, 0},
};

#define LEVEL_COUNT (sizeof(levels) / sizeof(levels[0]))
#define SHRINK_SHIFT 5 /* worth it when 1/32 is saved */

struct qs_compressor {
	ZSTD_CCtx *context; /* NULL: OFF */
};

static enum qs_code
configure(ZSTD_CCtx *context, enum qs_level level, struct qs_err *err)
{
	const struct {
		ZSTD_cParameter name;
		int value;
	} wanted[] = {
		{ZSTD_c_compressionLevel, levels[level].zstd_level},
		{ZSTD_c_contentSizeFlag, 1},
		{ZSTD_c_checksumFlag, 0},
		{ZSTD_c_dictIDFlag, 0},
		{ZSTD_c_hashLog, levels[level].hash_log},
		{ZSTD_c_chainLog, levels[level].chain_log},
		{ZSTD_c_minMatch, levels[level].min_match},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t zrc = ZSTD_CCtx_setParameter(context, wanted[i].name,
			wanted[i].value);

		if (ZSTD_isError(zrc))
			return qs_fail(err, QS_EINVAL, "compression: %s",
				ZSTD_getErrorName(zrc));
	}
	return QS_OK;
}

enum qs_code
qs_compressor_new(enum qs_level level, struct qs_compressor **out,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct qs_compressor *compressor;

	if ((size_t)level >= LEVEL_COUNT)
		return qs_fail(err, QS_EINVAL, "compression: no level %d",
			(int)level);
	compressor = calloc(1, sizeof(*compressor));
	if (compressor == NULL)
		return qs_fail_nomem(err, "setting up compression");
	if (level != QS_LEVEL_OFF) {
		compressor->context = ZSTD_createCCtx();
		if (compressor->context == NULL) {
			rc = qs_fail_nomem(err, "setting up compression");
			goto out;
		}
		rc = configure(compressor->context, level, err);
		if (rc != QS_OK)
			goto out;
	}
	*out = compressor;
	compressor = NULL; /* handed over */
out:
	qs_compressor_free(compressor);
	return rc;
}

void
qs_compressor_free(struct qs_compressor *compressor)
{
	if (compressor == NULL)
		return;
	ZSTD_freeCCtx(compressor->context);
	free(compressor);
}

enum qs_code
qs_frame_compress(struct qs_compressor *compressor, struct qs_span plain,
	uint8_t *out, size_t *out_len, enum qs_comp *comp, struct qs_err *err)
{
	size_t saving = plain.len >> SHRINK_SHIFT;
	size_t cap, zrc;

	if (saving == 0)
		saving = 1;
	if (compressor->context == NULL || plain.len <= saving) {
		*out_len = 0;
		*comp = QS_COMP_RAW;
		return QS_OK;
	}
	/*
	 * A result that would not be kept does not even fit: zstd gives up.  At
	 * the default level it passes over noise at 3 GB/s and more, and still
	 * finds repeats far apart in a frame of pictures: a probe beforehand
	 * would save nothing and lose those.
	 */
	cap = plain.len - saving;
	zrc = ZSTD_compress2(compressor->context, out, cap, plain.data,
		plain.len);
	if (!ZSTD_isError(zrc)) {
		*out_len = zrc;
		*comp = QS_COMP_ZSTD;
		return QS_OK;
	}
	if (ZSTD_getErrorCode(zrc) == ZSTD_error_dstSize_tooSmall) {
		*out_len = 0;
		*comp = QS_COMP_RAW;
		return QS_OK;
	}
	if (ZSTD_getErrorCode(zrc) == ZSTD_error_memory_allocation)
		return qs_fail_nomem(err, "compressing");
	return qs_fail(err, QS_EIO, "compression: %s",
		ZSTD_getErrorName(zrc));
}

/* ------------------------------------------------------------ and back */

struct qs_unpacker {
	ZSTD_DCtx *context;
};

enum qs_code
qs_unpacker_new(struct qs_unpacker **out, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct qs_unpacker *unpacker = calloc(1, sizeof(*unpacker));
	size_t zrc;

	if (unpacker == NULL)
		return qs_fail_nomem(err, "setting up decompression");
	unpacker->context = ZSTD_createDCtx();
	if (unpacker->context == NULL) {
		rc = qs_fail_nomem(err, "setting up decompression");
		goto out;
	}
	zrc = ZSTD_DCtx_setParameter(unpacker->context, ZSTD_d_windowLogMax,
		ZSTD_WINDOW_LOG_MAX);
	if (ZSTD_isError(zrc)) {
		rc = qs_fail(err, QS_EIO, "decompression: %s",
			ZSTD_getErrorName(zrc));
		goto out;
	}
	*out = unpacker;
	unpacker = NULL; /* handed over */
out:
	qs_unpacker_free(unpacker);
	return rc;
}

void
qs_unpacker_free(struct qs_unpacker *unpacker)
{
	if (unpacker == NULL)
		return;
	ZSTD_freeDCtx(unpacker->context);
	free(unpacker);
}

/*
 * zstd looks at ZSTD_d_windowLogMax only when it streams, so the window
 * descriptor (RFC 8878, 3.1.1.1.2) is read here: a reader that streams must
 * be able to open whatever this one opens.
 */
static bool
window_is_small(struct qs_span payload)
{
	uint8_t descriptor;
	uint64_t base;

	if (payload.len < 6)
		return false;
	if ((payload.data[4] & 0x20) != 0)
		return true; /* single segment: the window is the content */
	descriptor = payload.data[5];
	base = UINT64_C(1) << (10 + (descriptor >> 3));
	return base + base / 8 * (descriptor & 7) <=
		UINT64_C(1) << ZSTD_WINDOW_LOG_MAX;
}

static const char *
zstd_fault(const struct qs_frame_entry *entry, struct qs_span payload)
{
	unsigned long long size;

	size = ZSTD_getFrameContentSize(payload.data, payload.len);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
		return "not a zstd frame with its size";
	if (size != entry->plain_len)
		return "another size than its entry says";
	if (ZSTD_findFrameCompressedSize(payload.data, payload.len) !=
		payload.len)
		return "not exactly one zstd frame";
	if (ZSTD_getDictID_fromFrame(payload.data, payload.len) != 0)
		return "a dictionary is asked for";
	if (!window_is_small(payload))
		return "the window is too large";
	return NULL;
}

enum qs_code
qs_frame_unpack(struct qs_unpacker *unpacker,
	const struct qs_frame_entry *entry, struct qs_span payload,
	uint8_t *out, struct qs_err *err)
{
	const char *fault;
	size_t zrc;

	if (entry->comp == QS_COMP_RAW) {
		if (payload.len != entry->plain_len)
			return qs_fail(err, QS_ECORRUPT,
				"another length than its entry says");
		memcpy(out, payload.data, payload.len);
		return QS_OK;
	}
	fault = zstd_fault(entry, payload);
	if (fault != NULL)
		return qs_fail(err, QS_ECORRUPT, "%s", fault);
	zrc = ZSTD_decompressDCtx(unpacker->context, out, entry->plain_len,
		payload.data, payload.len);
	if (!ZSTD_isError(zrc) && zrc == entry->plain_len)
		return QS_OK;
	/* Half a frame must not be taken for a whole one. */
	memset(out, 0, entry->plain_len);
	if (!ZSTD_isError(zrc))
		return qs_fail(err, QS_ECORRUPT, "decompression ended early");
	if (ZSTD_getErrorCode(zrc) == ZSTD_error_memory_allocation)
		return qs_fail_nomem(err, "decompressing");
	return qs_fail(err, QS_ECORRUPT, "decompression: %s",
		ZSTD_getErrorName(zrc));
}
