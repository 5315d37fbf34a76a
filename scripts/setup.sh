# Sourced by start and check: what both need before they can begin. A step that
# was done before costs a look: packages are compared with dpkg's list, make
# knows what is stale, and configure runs again only when its arguments change.

top=$(cd "$(dirname "$0")/.." && pwd -P)
cpus=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

build_packages='build-essential autoconf automake libtool pkg-config libssl-dev libconfig-dev
	libc-ares-dev libpcre2-dev liblua5.4-dev libcunit1-dev'
peer_packages='python3 sip-tester baresip-core sipsak'

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 3; }

missing_packages() {
	for p; do
		case $(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null) in
		installed) ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

# as_root COMMAND...: directly or through sudo; fails when neither is possible.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

can_be_root() {
	[ "$(id -u)" = 0 ] && return
	command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

# need_packages NAME...: install what is missing of them.
need_packages() {
	command -v dpkg-query >/dev/null || return 0	# not Debian: configure names what it lacks
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	can_be_root || die "missing packages, and neither root nor sudo here: apt-get install $missing"
	say "installing $missing"
	as_root apt-get update -q || say 'apt-get update failed: trying with the lists at hand'
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $missing ||
		die "could not install: apt-get install $missing"
}

compiler() {
	if command -v ccache >/dev/null; then echo 'ccache gcc'; else echo gcc; fi
}

# build FOLDER [TARGET [CONFIGURE ARGUMENT...]]: bring $top/FOLDER up to date.
build() {
	tree=$top/$1 target=${2:-all}
	shift; [ $# = 0 ] || shift
	if [ ! -x "$top/configure" ]; then
		say 'autoreconf'
		(cd "$top" && autoreconf -fi >/dev/null) || return 1
	fi
	mkdir -p "$tree" || return 1
	[ ! -e "$top/.git" ] || set -- --enable-werror "$@"	# a tree that is worked on
	args="CC=$(compiler) $*"
	if [ ! -f "$tree/Makefile" ] || [ "$(cat "$tree/.configured" 2>/dev/null)" != "$args" ]; then
		say "configure $(basename "$tree") $*"
		(cd "$tree" && "$top/configure" -q CC="$(compiler)" "$@") || return 1
		printf '%s\n' "$args" >"$tree/.configured"
	fi
	say "build $(basename "$tree")"
	make -C "$tree" --no-print-directory -s -j"$cpus" "$target"
}
