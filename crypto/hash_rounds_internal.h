/* SPDX-License-Identifier: ISC */
/*
 * The twelve rounds of BLAKE2b over vectors, for the kernels: a file that
 * includes this defines VEC_ADD, VEC_XOR, VEC_ROR32, VEC_ROR24, VEC_ROR16 and
 * VEC_ROR63 for its vector type before it uses them.  v, m, h, t and last are
 * the caller's variables; all indices are literals so that v stays in
 * registers.
 */

/*
 * In assembly for two reasons: the message words stay in memory, since there
 * are registers for v only; and the compiler can't turn (a + m) + b into
 * a + (m + b), which would wait for b, the value that is ready last.  Worth
 * a third of the time with gcc 12.
 */
#define ADD_WORD(a, w) __asm__("vpaddq %1, %0, %0" : "+v"(a) : "m"(w))

/* Half of four mixings at a time: they don't depend on each other. */
#define HALF(ror_d, ror_b, a0, b0, c0, d0, w0, a1, b1, c1, d1, w1, \
	a2, b2, c2, d2, w2, a3, b3, c3, d3, w3) do { \
	ADD_WORD(v[a0], m[w0]); \
	ADD_WORD(v[a1], m[w1]); \
	ADD_WORD(v[a2], m[w2]); \
	ADD_WORD(v[a3], m[w3]); \
	v[a0] = VEC_ADD(v[a0], v[b0]); \
	v[a1] = VEC_ADD(v[a1], v[b1]); \
	v[a2] = VEC_ADD(v[a2], v[b2]); \
	v[a3] = VEC_ADD(v[a3], v[b3]); \
	v[d0] = ror_d(VEC_XOR(v[d0], v[a0])); \
	v[d1] = ror_d(VEC_XOR(v[d1], v[a1])); \
	v[d2] = ror_d(VEC_XOR(v[d2], v[a2])); \
	v[d3] = ror_d(VEC_XOR(v[d3], v[a3])); \
	v[c0] = VEC_ADD(v[c0], v[d0]); \
	v[c1] = VEC_ADD(v[c1], v[d1]); \
	v[c2] = VEC_ADD(v[c2], v[d2]); \
	v[c3] = VEC_ADD(v[c3], v[d3]); \
	v[b0] = ror_b(VEC_XOR(v[b0], v[c0])); \
	v[b1] = ror_b(VEC_XOR(v[b1], v[c1])); \
	v[b2] = ror_b(VEC_XOR(v[b2], v[c2])); \
	v[b3] = ror_b(VEC_XOR(v[b3], v[c3])); \
} while (0)

#define COLUMNS(ror_d, ror_b, w0, w1, w2, w3) \
	HALF(ror_d, ror_b, 0, 4, 8, 12, w0, 1, 5, 9, 13, w1, \
		2, 6, 10, 14, w2, 3, 7, 11, 15, w3)
#define DIAGONALS(ror_d, ror_b, w0, w1, w2, w3) \
	HALF(ror_d, ror_b, 0, 5, 10, 15, w0, 1, 6, 11, 12, w1, \
		2, 7, 8, 13, w2, 3, 4, 9, 14, w3)

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, \
	s8, s9, s10, s11, s12, s13, s14, s15) do { \
	COLUMNS(VEC_ROR32, VEC_ROR24, s0, s2, s4, s6); \
	COLUMNS(VEC_ROR16, VEC_ROR63, s1, s3, s5, s7); \
	DIAGONALS(VEC_ROR32, VEC_ROR24, s8, s10, s12, s14); \
	DIAGONALS(VEC_ROR16, VEC_ROR63, s9, s11, s13, s15); \
} while (0)

#define TWELVE_ROUNDS() do { \
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); \
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3); \
	ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4); \
	ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8); \
	ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13); \
	ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9); \
	ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11); \
	ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10); \
	ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5); \
	ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0); \
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); \
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3); \
} while (0)

#define UNROLLED _Pragma("GCC unroll 8")

/* v from h, the initialisation vector, the counters and the last-block flags */
#define START_BLOCK(set1) do { \
	v[0] = h[0]; \
	v[1] = h[1]; \
	v[2] = h[2]; \
	v[3] = h[3]; \
	v[4] = h[4]; \
	v[5] = h[5]; \
	v[6] = h[6]; \
	v[7] = h[7]; \
	v[8] = set1((long long)QS_B2_IV0); \
	v[9] = set1((long long)QS_B2_IV1); \
	v[10] = set1((long long)QS_B2_IV2); \
	v[11] = set1((long long)QS_B2_IV3); \
	v[12] = VEC_XOR(set1((long long)QS_B2_IV4), t); \
	v[13] = set1((long long)QS_B2_IV5); \
	v[14] = VEC_XOR(set1((long long)QS_B2_IV6), last); \
	v[15] = set1((long long)QS_B2_IV7); \
} while (0)
