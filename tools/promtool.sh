#!/bin/sh
# Puts promtool at bin/promtool: the one on the PATH, or else the one of Debian's
# package prometheus. The package is unpacked and not installed, since its
# installation would start a Prometheus here.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin
if found=$(command -v promtool); then
	ln -sf "$found" bin/promtool
	exit
fi
if ! command -v apt-get >/dev/null; then
	echo "promtool is missing: install Prometheus (https://prometheus.io/download), then run this again" >&2
	exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(
	cd "$work"
	# Without this, apt downloads as a user that cannot write to the folder.
	get() { apt-get download -qq -o APT::Sandbox::User=root prometheus; }
	get || { apt-get update -qq && get; }
	dpkg -x prometheus_*.deb .
) >&2
mv "$work/usr/bin/promtool" bin/promtool
