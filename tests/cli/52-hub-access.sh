#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Three users' folders on one hub: nobody lists, reads, adds to or disturbs
# another's, by the command line or by raw frames; and with an access list that
# lets everybody in by mistake, keys and signatures still hold.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hub=$(dirname "$qstore")/qstore-hub
[ -x "$hub" ] || skip 'needs qstore-hub'
bin=$work/bin
list=$XDG_CONFIG_HOME/qstore/acl.conf
stores=$HOME/qstore
mkdir -p "$bin" "$stores"/{photos,work,media} "$(dirname "$list")"
ln -s "$qstore" "$bin/qstore"
export PATH=$bin:$(dirname "$qstore"):$PATH PYTHONDONTWRITEBYTECODE=1

# dom0 tells who calls: $QUBE.  The key that sshd found forces its command.
cat >"$bin/qrexec-client-vm" <<E
#!/bin/sh
QREXEC_REMOTE_DOMAIN=\$QUBE QREXEC_SERVICE_FULL_NAME=\$2 \\
	QREXEC_SERVICE_ARGUMENT=\${2#*+} exec sh '$here/../../qubes/serve.sh'
E
cat >"$bin/ssh" <<'E'
#!/bin/sh
exec qstore serve --principal "$SSHKEY" --folder "$FORCED" --mode "${MODE:-rw}"
E
chmod 755 "$bin"/*

listed() { # the list, from standard input
	rm -f "$list"
	(umask 077 && cat >"$list")
}

good_list() {
	listed <<E
# principal    folder  mode
qube:photos    photos  rw
qube:media     photos  ro
qube:mover     photos  transfer
key:laptop     work    rw
key:reader     work    ro
user:$(id -un) media   rw
E
}

as() { # WHO COMMAND...: a machine and a passphrase of its own
	local who=$1

	shift
	QUBE=$who XDG_CACHE_HOME=$work/$who.cache QSTORE_HOST=$who \
		XDG_STATE_HOME=$work/$who.state \
		QSTORE_PASSWORD_FILE=$work/$who.password "$@"
}

url() { # FOLDER: qrexec's
	echo "qrexec://sys-qstore/$1"
}

for who in photos work media; do
	echo "$who has a passphrase" >$who.password
	mkdir -p src.$who/geheimes-verzeichnis
	echo "geheim: $who" >src.$who/geheimes-verzeichnis/geheime-datei.txt
	noise "$who" 300000 >src.$who/geheim.bin
done

echo 'nobody has a passphrase' >nobody.password

good_list
"$qstore" serve --listen "$work/socket" >listener 2>&1 </dev/null &
listener=$!
stop+=($listener)
wait_for '[ -S "$work/socket" ]'

# Each its own, by its own way.
export SSHKEY=laptop FORCED=work
expect 0 as photos "$qstore" -r "$(url photos)" init --no-confirm --no-recovery
expect 0 as photos "$qstore" -r "$(url photos)" snapshot src.photos
expect 0 as work "$qstore" -r ssh://nas/anywhere init --no-confirm --no-recovery
expect 0 as work "$qstore" -r ssh://nas/anywhere snapshot src.work
expect 0 as media "$qstore" -r "unix:$work/socket#media" init --no-confirm \
	--no-recovery
expect 0 as media "$qstore" -r "unix:$work/socket#media" snapshot src.media
id_of() {
	basename "$(find "$stores/$1" -mindepth 1 -maxdepth 1 -type d)"
}
photos=$(id_of photos) works=$(id_of work)
[ "$(find "$stores" -mindepth 2 -maxdepth 2 -type d | wc -l)" = 3 ] ||
	fail "folders: $(find "$stores" -mindepth 2 -maxdepth 2)"
sums() {
	find "$stores" -type f -not -path '*/hub/*' -print0 | sort -z |
		xargs -0 sha256sum
}
sums >before

# Not another's, by any command and any way.
refuse() { # WHO URL
	local command

	for command in snapshots 'snapshot src.work' 'ls latest' stats check \
		'init --no-confirm --no-recovery' 'key list' retire \
		'forget latest' 'tag --add x' 'restore latest --target x' \
		'dump latest /x' 'undelete --all' 'find x' 'diff a b'; do
		# shellcheck disable=SC2086
		expect 1 as "$1" "$qstore" -r "$2" $command
		says 'refused|may not'
	done
}
refuse work "$(url photos)"
refuse media "$(url work)"
refuse photos "$(url work)"
refuse nobody "$(url media)"
for folder in photos media; do
	FORCED=$folder refuse work ssh://nas/anywhere
done
SSHKEY=other refuse work ssh://nas/anywhere
refuse media "unix:$work/socket#photos"
refuse media "unix:$work/socket#work"
FORCED=../work expect 1 as work "$qstore" -r ssh://nas/x snapshots
FORCED=Work expect 1 as work "$qstore" -r ssh://nas/x snapshots
expect 1 as media "$qstore" -r "unix:$work/socket" snapshots
says 'which folder'
sums >after
cmp before after || fail 'something has changed'

# Modes: ro reads, and adds nothing; --mode and the service narrow.
cp photos.password media.password
expect 0 as media "$qstore" -r "$(url photos)" snapshots
expect 0 as media "$qstore" -r "$(url photos)?ro" restore latest --target got
same src.photos got/src.photos
expect 1 as media "$qstore" -r "$(url photos)" snapshot src.media
says 'may only read'
expect 1 as photos "$qstore" -r "$(url photos)?ro" snapshot src.photos
says 'may only read'
expect 1 as photos "$qstore" -r "$(url photos)?transfer" snapshots
says 'may not'
SSHKEY=reader expect 0 as work "$qstore" -r ssh://nas/x snapshots
SSHKEY=reader expect 1 as work "$qstore" -r ssh://nas/x snapshot src.work
says 'may only read'
MODE=ro expect 1 as work "$qstore" -r ssh://nas/x snapshot src.work
says 'may only read'
expect 0 /usr/bin/python3 "$here/52_verbs.py" "$stores" "$photos"
echo 'media has a passphrase' >media.password
sums >after
cmp before after || fail 'something has changed'

# --mode is the most that a socket gives, too.
"$qstore" serve --listen "$work/ro" --mode ro >ro.log 2>&1 </dev/null &
narrow=$!
stop+=($narrow)
wait_for '[ -S "$work/ro" ]'
expect 0 as media "$qstore" -r "unix:$work/ro#media" snapshots
expect 1 as media "$qstore" -r "unix:$work/ro#media" snapshot src.media
says 'may only read'
kill "$narrow"
wait "$narrow" || fail "the listener: $(cat ro.log)"

# A list with a fault serves nobody; what it is, is for its keeper.
blind() {
	expect 1 as photos "$qstore" -r "$(url photos)" snapshots
	says "access list can't be used; ask its keeper"
	says_not "acl.conf|$1"
	expect 1 as work "$qstore" -r ssh://nas/x snapshots
	says_not "acl.conf|$1"
	expect 1 as media "$qstore" -r "unix:$work/socket#media" snapshots
	says "access list can't be used; ask its keeper"
	expect 1 "$qstore" status
	says 'acl.conf'
}
{ cat "$list" && echo 'qube:work photos everything'; } >faulty
listed <faulty
blind everything
{ grep -v everything faulty && echo 'qube:photos photos ro'; } >faulty2
listed <faulty2
blind twice
good_list
chmod g+w "$list"
blind chmod
chmod g-w,o+w "$list"
blind chmod
rm "$list"
mkdir "$list"
blind regular
rmdir "$list"
expect 1 as photos "$qstore" -r "$(url photos)" snapshots
says 'no access list'
says_not acl.conf
echo '# nobody' | listed
expect 1 as photos "$qstore" -r "$(url photos)" snapshots
says 'not in the access list'

# Everybody everywhere, by mistake: keys and signatures still hold.
for who in qube:photos qube:work qube:media key:laptop "user:$(id -un)"; do
	for folder in photos work media; do
		echo "$who $folder rw"
	done
done | listed
for folder in photos media; do
	for command in snapshots 'snapshot src.work' 'ls latest' \
		'restore latest --target x' 'key list --json' retire; do
		# shellcheck disable=SC2086
		expect 0,12 as work "$qstore" -r "$(url $folder)" $command
		[ "$rc" = 12 ] || [[ $command == key* ]] ||
			fail "work has $command on $folder"
	done
	expect 1 as work "$qstore" -r "$(url $folder)" init --no-confirm \
		--no-recovery
done
expect 0 /usr/bin/python3 "$here/52_strangers.py" "$stores" "$photos" "$works"
for who in work media; do
	expect 12 as $who "$qstore" -r "$(url photos)" snapshots
done
expect 0 as photos "$qstore" -r "$(url photos)" snapshot src.photos
expect 0 as photos "$qstore" -r "$(url photos)" check --read-data
rm -rf got
expect 0 as photos "$qstore" -r "$(url photos)" restore latest --target got
same src.photos got/src.photos
expect 0 "$qstore" scrub --full

# What the hub has says nothing of what was saved.
! grep -rlai -e geheim -e 'has a passphrase' "$stores" ||
	fail 'the hub knows something'
[ -z "$(find "$stores" -iname '*geheim*')" ] || fail 'the hub knows a name'
expect 0 "$qstore" status --json
/usr/bin/python3 - out <<'P' || fail 'status'
import json, sys
status = {s["name"]: s for s in json.load(open(sys.argv[1]))}
assert status["photos"]["refused"] > 10, status
P
kill "$listener"
wait "$listener" || fail "the listener: $(cat listener)"
