#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Files, links, FIFOs and devices with several names still share one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p src/sub
echo linked >src/a
ln src/a src/b
ln src/a src/sub/c
ln -s a src/soft
ln src/soft src/sub/soft2
mkfifo src/fifo
ln src/fifo src/sub/fifo2
new_store
expect 0 q snapshot src
expect 0 q restore latest:/src --target out1
same src out1
# And when only one of the names is wanted.
expect 0 q restore latest:/src --target out2 --include c
grep -q linked out2/sub/c || fail 'sub/c is not there'
# Names that appear and go.
rm src/b
ln src/a src/d
expect 0 q snapshot src
expect 0 q restore latest:/src --target out1 --delete
same src out1
