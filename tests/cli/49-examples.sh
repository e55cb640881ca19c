#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What README.md and the man pages show of a hub works as it stands there; what
# has to be far away (ssh, qrexec) is a program of that name here.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PATH=$work/bin:$(dirname "$qstore"):$PATH
unset XDG_CONFIG_HOME QSTORE_REPOSITORY
hub=$(dirname "$qstore")/qstore-hub
[ -x "$hub" ] || fail "no $hub"
mkdir -p bin src
seq 1000 >src/numbers
noise some 300000 >src/noise

# The commands of qstore-hub are known to qstore's help, and told apart.
for verb in serve scrub status tidy hub-undelete; do
	expect 0 "$qstore" help "$verb"
	prints "qstore-hub ${verb#hub-}"
	cp out help
	expect 0 "$qstore" "$verb" --help
	cmp -s out help || fail "help $verb is not $verb --help"
	expect 0 "$hub" help "${verb#hub-}"
	cmp -s out help || fail "qstore-hub help ${verb#hub-} is not --help"
done
expect 1 "$qstore" --json scrub
expect 1 "$qstore" -v scrub
says 'qstore help scrub'
expect 1 "$qstore" help nothing-like-that

# exec: a process between.
mkdir store
export QSTORE_REPOSITORY="exec:qstore serve --store '$work/store'"
expect 0 "$qstore" init --no-confirm --no-recovery
expect 0 "$qstore" snapshot src
expect 0 "$qstore" snapshots
prints "$work/src"
expect 0 "$qstore" check
expect 0 "$qstore" status store
prints 'last snapshot +20'
expect 0 "$qstore" scrub store
prints 'no damage'
unset QSTORE_REPOSITORY

# ssh: the forced command decides, not the path.
mkdir -p ~/qstore/work ~/qstore/photos ~/.config/qstore
cat >bin/ssh <<'SSH'
#!/bin/sh
exec qstore serve --principal laptop --folder work --mode rw
SSH
chmod +x bin/ssh
expect 1 "$qstore" -r ssh://host/work init --no-confirm
says 'access list'
echo 'key:laptop  work  rw  quota=40G' >>~/.config/qstore/acl.conf
expect 0 "$qstore" -r ssh://host/work init --no-confirm --no-recovery
expect 0 "$qstore" -r ssh://host/work snapshot src
(cd ~/qstore && rm -rf work/*/hub/catalogue*) # a status goes by the files then
expect 0 "$qstore" status
prints '^work '
prints 'quota +40'

# qrexec: no qube named, dom0 says which and who calls.
cat >bin/qrexec-client-vm <<'QREXEC'
#!/bin/sh
[ "$1" = @default ] || exit 126
QREXEC_REMOTE_DOMAIN=${ME:-photos} QREXEC_SERVICE_FULL_NAME=$2 \
	QREXEC_SERVICE_ARGUMENT=${2#*+} exec qstore serve --qrexec
QREXEC
chmod +x bin/qrexec-client-vm
printf '%s\n' 'qube:photos  photos  rw' 'qube:media photos ro' \
	'qube:sys-net photos transfer' >>~/.config/qstore/acl.conf
expect 0 "$qstore" -r qrexec:///photos init --no-confirm --no-recovery
expect 0 "$qstore" -r qrexec:///photos snapshot src
ME=media expect 0 "$qstore" -r 'qrexec:///photos?ro' snapshots
ME=media expect 0 "$qstore" -r qrexec:///photos snapshots
ME=media expect 1 "$qstore" -r qrexec:///photos snapshot src
says 'may only read'
ME=sys-net expect 0 "$qstore" -r 'qrexec:///photos?transfer' snapshots
ME=sys-net expect 0 "$qstore" -r 'qrexec:///photos?ro' snapshots

# A socket for the users of a machine.
echo "user:$(id -u) work ro" >>~/.config/qstore/acl.conf
"$qstore" serve --listen "$work/sock" 2>listen.err &
listener=$!
for _ in $(seq 100); do
	[ -S sock ] && break
	sleep 0.1
done
expect 0 "$qstore" -r "unix:$work/sock#work" snapshots
prints "$work/src"
expect 1 "$qstore" -r "unix:$work/sock#work" snapshot src
says 'may only read'
kill "$listener"
wait "$listener" || fail 'a listener that is told to end fails'
[ ! -e sock ] || fail 'the socket is left'

# A changed passphrase, and the operator's undelete, by which the old one opens
# the folder while the hold lasts.
export QSTORE_REPOSITORY="exec:qstore serve --store '$work/store'"
echo 'another passphrase' >other
expect 0 "$qstore" key passwd --new-password-file other
expect 12 "$qstore" snapshots
expect 0 "$qstore" hub-undelete store
prints '1 brought back'
expect 3 "$qstore" snapshots
says 'was removed and is .* again'
expect 0 "$qstore" hub-undelete --hold-days 0 store
expect 0 "$qstore" tidy store
expect 12 "$qstore" snapshots
unset QSTORE_REPOSITORY

# retire tidies a directory, whatever its path looks like.
mkdir sto:re
export QSTORE_REPOSITORY=$work/sto:re
expect 0 "$qstore" init --no-confirm --no-recovery
expect 0 "$qstore" snapshot src
expect 0 "$qstore" retire
prints 'put into the trash'
