#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# check_keyless.sh PROGRAM: fails when code that decrypts, derives keys, holds
# them or unpacks is linked into it: by its own symbols, by those that it takes
# from libraries, and by the libraries that it loads.
# check_keyless.sh --keyed PROGRAM: fails unless all that is seen in it, so that
# the check is known to see.
set -euo pipefail

keyed=false
if [ "${1-}" = --keyed ]; then
	keyed=true
	shift
fi
program=${1:?usage: check_keyless.sh [--keyed] PROGRAM}

# What libsodium, libcrypto and zstd have for it.  Hashes (crypto_generichash),
# signatures (crypto_sign) and randomness are fine.
foreign='crypto_aead_ crypto_auth crypto_box crypto_kdf_ crypto_kx_ crypto_pwhash
	crypto_scalarmult crypto_secretbox crypto_secretstream_ crypto_stream
	EVP_ HMAC OPENSSL_ PKCS5_ ZSTD_'
# What our own folders have.
own='qs_aead_ qs_chunk_check qs_frame_open qs_frame_unpack qs_keyring_ qs_keys_
	qs_opener_ qs_pack_builder_ qs_pack_open qs_recovery_ qs_record_encode
	qs_record_open qs_slot_create qs_slot_derive qs_slot_open qs_unpacker_'
libraries='libcrypto libssl libzstd'

pattern() { # PREFIX...
	local IFS='|'
	printf '^(%s)' "$*"
}
# shellcheck disable=SC2086
foreign=$(pattern $foreign) own=$(pattern $own) libraries=$(pattern $libraries)

names() { # of symbols, without versions
	awk 'NF >= 2 { print $NF }' | sed 's/@.*//' | sort -u
}
taken=$(nm -D --undefined-only "$program" | names)
static=$(nm "$program" 2>/dev/null | names)
loaded=$(readelf -d "$program" |
	sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | sort -u)

# Without these nothing was seen that could be judged.
grep -qx main <<<"$static" || {
	echo "$program: is stripped: its symbols can't be seen" >&2
	exit 1
}
grep -q . <<<"$taken$loaded" || {
	echo "$program: takes nothing from any library: not understood" >&2
	exit 1
}

bad=0
look() { # WHAT PATTERN LIST
	local found
	found=$(grep -E "$2" <<<"$3" || true)
	if $keyed; then
		[ -n "$found" ] || {
			echo "$program: $1: none seen, but it has some" >&2
			bad=1
		}
	elif [ -n "$found" ]; then
		printf '%s: %s:\n%s\n' "$program" "$1" "$found" >&2
		bad=1
	fi
}
look 'taken from libraries' "$foreign" "$taken"
look 'linked from libraries' "$foreign" "$static"
look 'linked from our own' "$own" "$static"
look 'loads' "$libraries" "$loaded"
exit $bad
