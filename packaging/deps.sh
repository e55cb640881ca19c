# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# What qstore needs from the system, and its installation.  To be sourced, or
# run: packaging/deps.sh build|tests.  It installs only what is missing, says so
# before it does, and can be run again.

deps_say() {
	printf '%s\n' "$*" >&2
}

# deps_packages SYSTEM build|tests: names of packages, one a line.
deps_packages() {
	case $1 in
	debian)
		printf '%s\n' gcc libc6-dev cmake ninja-build pkg-config \
			libsodium-dev libzstd-dev libsqlite3-dev \
			libarchive-dev libssl-dev libfuse3-dev fuse3 \
			libseccomp-dev libxxhash-dev
		[ "$2" = build ] || printf '%s\n' clang libclang-rt-dev \
			libcmocka-dev python3 python3-nacl python3-zstandard \
			rsync strace attr acl libcap2-bin util-linux
		;;
	fedora) # untested
		printf '%s\n' gcc cmake ninja-build pkgconf-pkg-config \
			libsodium-devel libzstd-devel \
			sqlite-devel libarchive-devel openssl-devel fuse3-devel fuse3 \
			libseccomp-devel xxhash-devel
		[ "$2" = build ] || printf '%s\n' clang compiler-rt \
			libasan libubsan libtsan libcmocka-devel python3 \
			python3-pynacl python3-zstandard rsync strace attr \
			acl libcap util-linux
		;;
	esac
}

# Is it there?  Asked of the package system, which takes no network.
deps_has() { # SYSTEM PACKAGE
	case $1 in
	debian)
		dpkg-query -W -f '${Status}\n' "$2" 2>/dev/null |
			grep -q '^install ok installed'
		;;
	fedora) rpm -q --whatprovides "$2" >/dev/null 2>&1 ;;
	esac
}

deps_as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		deps_say "no root and no sudo; as root, run: $*"
		return 1
	fi
}

# deps_install build|tests
deps_install() {
	local system package missing=()

	if command -v apt-get >/dev/null; then
		system=debian
	elif command -v dnf >/dev/null; then
		system=fedora
		deps_say 'note: this list for Fedora is untested'
	else
		deps_say 'neither apt-get nor dnf: install by hand what' \
			'README.md names; going on'
		return 0
	fi
	for package in $(deps_packages "$system" "$1"); do
		# libclang-rt-dev has its version in its name on Debian 12.
		if [ "$package" = libclang-rt-dev ] &&
			dpkg-query -W 'libclang-rt-*-dev' 'libclang-common-*-dev' \
				2>/dev/null | grep -q .; then
			continue
		fi
		deps_has "$system" "$package" || missing+=("$package")
	done
	if [ "${#missing[@]}" = 0 ]; then
		deps_say "all packages for $1 are installed"
		return 0
	fi
	deps_say "installing: ${missing[*]}"
	case $system in
	debian)
		deps_as_root env DEBIAN_FRONTEND=noninteractive apt-get \
			-qq update &&
			deps_as_root env DEBIAN_FRONTEND=noninteractive \
				apt-get -qq install -y --no-install-recommends \
				"${missing[@]}" >/dev/null
		;;
	fedora) deps_as_root dnf -q install -y "${missing[@]}" ;;
	esac || {
		deps_say "could not install: ${missing[*]}"
		return 1
	}
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	case ${1:-} in
	build | tests) deps_install "$1" ;;
	*)
		deps_say 'usage: packaging/deps.sh build|tests'
		exit 1
		;;
	esac
fi
