#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Fails on what dom0's policy parser or qrexec would not take of qubes/, and on
# a policy that does not end by denying each service to everybody else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../qubes"

bad=0
complain() {
	echo "$*" >&2
	bad=1
}

for policy in *.policy; do
	[[ $policy =~ ^[0-9a-z][0-9a-z_.-]*\.policy$ ]] ||
		complain "$policy: such a name stops every call"
	awk -v file="$policy" '
		function complain(what) {
			print file ":" NR ": " what
			bad = 1
		}
		/^#/ || NF == 0 { next }
		/#/ { complain("a comment needs a line of its own") }
		NF < 5 { complain("fewer than five words") }
		$2 != "*" && $2 !~ /^\+[a-z0-9][a-z0-9._-]*$/ {
			complain("no folder: " $2)
		}
		$5 !~ /^(allow|ask|deny)$/ { complain("no action: " $5) }
		$5 == "allow" && $4 == "@default" && $0 !~ / target=/ {
			complain("@default needs target=")
		}
		$5 != "deny" && ($3 == "*" || $3 == "@anyvm") {
			complain("lets everybody in")
		}
		denied[$1] { complain("comes after its deny") }
		{ seen[$1] = 1 }
		$2 == "*" && $3 == "*" && $4 == "*" && $5 == "deny" {
			denied[$1] = 1
		}
		END {
			for (service in seen)
				if (!denied[service])
					complain(service ": no deny at the end")
			exit bad
		}' "$policy" >&2 || bad=1
done
[ -x serve.sh ] || complain 'serve.sh: qrexec runs what is executable'
sh -n serve.sh || bad=1
[ "$(wc -c <rpc-config)" -le 4096 ] || complain 'rpc-config: over 4096 bytes'
awk '!/^#/ && !/^[a-z-]+=/ { exit 1 }' rpc-config ||
	complain 'rpc-config: not key=value'
exit $bad
