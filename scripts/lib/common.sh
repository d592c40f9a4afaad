# Shared by the scripts of this directory and by .ci/run: where the repository is, how to report, how to find or install the
# programs the tests need (PostgreSQL, Redis, Node, Python). Sourced, never run. Starts and stops nothing: that is scripts/services.
# shellcheck shell=bash

REPO_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# Tools that had to be fetched (Node, a Python environment) are kept here between runs.
TOOLS_DIR="$REPO_ROOT/target/tools"
NODE_MIN_MAJOR=20

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command as root: directly, or through sudo when the caller is not root.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root or sudo for: $*"
  fi
}

# install_packages PACKAGE...: installs Debian packages without starting or enabling the services they carry.
install_packages() {
  command -v apt-get >/dev/null || die "please install by hand: $* (this machine has no apt-get)"
  say "installing $*"
  local policy=/usr/sbin/policy-rc.d ours=
  # A policy file that answers 101 keeps package scripts from starting daemons. An existing one belongs to the owner of the machine.
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    ours=yes
  fi
  local status=0
  {
    as_root apt-get update -qq &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
  } >&2 </dev/null || status=$?
  [ -z "$ours" ] || as_root rm -f "$policy"
  [ "$status" -eq 0 ] || die "apt-get could not install $*"
}

# Keeps a service that was installed only for the tests from starting at the next boot.
disable_service() {
  command -v systemctl >/dev/null || return 0
  as_root systemctl disable --quiet "$1" >/dev/null 2>&1 || true
}

# Prints the directory that holds postgres, initdb and pg_ctl, or fails.
find_postgres_bin() {
  local dir newest=
  for dir in /usr/lib/postgresql/*/bin; do
    [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && newest="$dir"
  done
  if [ -z "$newest" ] && command -v postgres >/dev/null && command -v initdb >/dev/null; then
    newest="$(dirname "$(readlink -f "$(command -v postgres)")")"
  fi
  [ -n "$newest" ] || return 1
  printf '%s\n' "$newest"
}

# Sets POSTGRES_BIN, installing PostgreSQL when there is none.
need_postgres() {
  if ! POSTGRES_BIN="$(find_postgres_bin)"; then
    install_packages postgresql
    disable_service postgresql
    POSTGRES_BIN="$(find_postgres_bin)" || die "PostgreSQL was installed, but its programs were not found"
  fi
}

# Makes sure that redis-server and redis-cli are there.
need_redis() {
  if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    install_packages redis-server
    disable_service redis-server
  fi
  command -v redis-server >/dev/null || die "redis-server was installed, but is not in PATH"
}
