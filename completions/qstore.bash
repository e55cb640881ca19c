# shellcheck shell=bash
# bash completion for qstore: source it, or keep it as
# ~/.local/share/bash-completion/completions/qstore
_qstore() {
	local word=${COMP_WORDS[COMP_CWORD]} verb='' i
	local before=${COMP_WORDS[COMP_CWORD - 1]}
	local all=' --repo --folder --password-file --password-command --key-file --recovery-code --cache-dir --no-cache --compression --accept-rollback --json --quiet --verbose --help --version'
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		init|snapshot|backup|snapshots|ls|find|diff|dump|restore|mount|umount|check|stats|tag|forget|retire|prune|undelete|key|unlock|lock|benchmark|version|completion|help|serve|scrub|status|tidy|hub-undelete)
			verb=${COMP_WORDS[i]}; break;;
		esac
	done
	case $before in
	-r|--repo|--repair-from)
		mapfile -t COMPREPLY < <(compgen -W \
			'qrexec:// ssh:// unix: exec:' -- "$word"
			compgen -f -- "$word")
		compopt -o nospace
		return;;
	:)	mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return;;
	esac
	case $verb in
	'') all+=' init snapshot snapshots ls find diff dump restore mount umount check stats tag forget retire undelete key unlock lock benchmark version completion help serve scrub status tidy hub-undelete';;
	init) all+=' --label --generate-passphrase --no-recovery --no-confirm --separate-admin --admin-password-file';;
	snapshot|backup) all+=' --exclude --iexclude --exclude-file --exclude-caches --exclude-if-present --exclude-larger-than --files-from --files-from-verbatim --files-from-raw --one-file-system --tag --host --time --parent --force --skip-if-unchanged --stdin --stdin-filename --dry-run --read-concurrency --no-scan';;
	snapshots) all+=' --latest --forgotten --host --tag --path';;
	ls) all+=' --long --depth --host --tag --path';;
	find) all+=' --ignore-case --long --newest --oldest --reverse --snapshot --host --tag --path';;
	diff) all+=' --metadata';;
	dump) all+=' --archive --target --host --tag --path';;
	restore) all+=' --target --include --iinclude --exclude --iexclude --overwrite --delete --verify --sparse --privileged --ownership-by-name --dry-run --expect-head --host --tag --path';;
	mount) all+=' --foreground --snapshot --owner --allow-other --cache-size --timeout --host --tag --path';;
	umount) all+=' --lazy';;
	check) all+=' --read-data --read-data-subset';;
	stats) all+=' --mode --host --tag --path';;
	tag) all+=' --set --add --remove --host --tag --path';;
	forget) all+=' --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly --keep-yearly --keep-within --keep-within-hourly --keep-within-daily --keep-within-weekly --keep-within-monthly --keep-within-yearly --keep-tag --group-by --host --tag --path --unsafe-allow-remove-all --dry-run --retire --prune --max-unused';;
	retire|prune) all+=' --dry-run --max-unused';;
	undelete) all+=' --all --host --tag --path';;
	key) all+=' --label --new-password-file --new-key-file --no-admin list add remove passwd recovery';;
	unlock) all+=' --timeout';;
	lock) all+='';;
	benchmark) all+='';;
	version) all+='';;
	completion) all+=' bash';;
	help) all+=' options init snapshot backup snapshots ls find diff dump restore mount umount check stats tag forget retire prune undelete key unlock lock benchmark version completion help serve scrub status tidy hub-undelete';;
	serve) all=' --qrexec --principal --folder --mode --listen --store --hub --acl --no-sandbox --help';;
	scrub) all=' --fast --full --rebuild --anew --max-duration --threads --repair-from --hub --json --help';;
	status) all=' --hub --acl --json --help';;
	tidy) all=' --dry-run --trash-days --purge-days --share --hub --json --help';;
	hub-undelete) all=' --hold-days --hub --json --help';;
	esac
	if [[ $word == -* || -z $verb || $verb == key ||
		$verb == completion || $verb == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$all" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -o filenames -o bashdefault -F _qstore qstore
