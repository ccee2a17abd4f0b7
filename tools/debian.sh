#!/bin/sh
# Installs the Debian packages that are missing: tools/debian.sh PACKAGE...
# A package whose program is on the PATH is not installed, wherever the program
# came from. On another system than Debian it says what to install.
set -eu

missing=
for package in "$@"; do
	case $package in
	nodejs) program=node ;;
	*) program=$package ;;
	esac
	command -v "$program" >/dev/null && continue
	dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' && continue
	missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "$0: install these first, by the names that they have on this system:$missing" >&2
	exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing$missing (Debian)"
$sudo apt-get -qq update
# Word splitting is meant: the names of packages have no spaces.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends $missing
