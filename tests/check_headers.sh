#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Fails when a public header does not compile alone, or not twice.  Internal
# ones may be templates for several kernels: their own files compile them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bad=0
for header in {base,crypto,chunker,store,index,snapshot,retention,cli,sync,fuse,wire,hub}/*.h; do
	[ -e "$header" ] || continue
	[[ $header != *_internal.h ]] || continue
	printf '#include "%s"\n#include "%s"\nextern int alone;\n' \
		"$header" "$header" |
		"${CC:-cc}" -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
			-DQS_VERSION='"0"' -I. -Wall -Wextra -Werror \
			-Wno-unused-function -fsyntax-only -x c - || {
		echo "$header: does not compile alone" >&2
		bad=1
	}
done
exit $bad
