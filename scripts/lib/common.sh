# Shared by the scripts of this directory and by .ci/run: where the repository is, how to report, how to find or install the
# programs the tests need (PostgreSQL, Redis, Node, Python, Chromium). Sourced, never run. Starts and stops nothing: that is scripts/services.
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are for the scripts that source this file

REPO_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# Tools that had to be fetched (Node, a Python environment) are kept here between runs.
TOOLS_DIR="$REPO_ROOT/target/tools"
NODE_MIN=20.19

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

# Sets PGBOUNCER, the program; Debian keeps it where only root's PATH leads.
need_pgbouncer() {
  local found
  found="$(PATH="$PATH:/usr/sbin" command -v pgbouncer)" || {
    install_packages pgbouncer
    disable_service pgbouncer
    found="$(PATH="$PATH:/usr/sbin" command -v pgbouncer)" || die "PgBouncer was installed, but its program was not found"
  }
  PGBOUNCER="$found"
}

# Makes sure that libfaketime is there, by which a process is told another time.
need_faketime() {
  local library
  for library in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1 /usr/local/lib/faketime/libfaketimeMT.so.1; do
    if [ -e "$library" ]; then return; fi
  done
  install_packages faketime
}

# The Rust toolchain is the one thing the user brings; its linker may still be missing.
need_rust() {
  if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
  command -v cargo >/dev/null || die "no cargo: install Rust from https://rustup.rs (rust-toolchain.toml picks the version)"
  { command -v cc && command -v make; } >/dev/null || install_packages build-essential
}

# need_venv NAME REQUIREMENTS: a Python environment in $TOOLS_DIR/NAME holding exactly the pinned requirements; made anew when they change.
need_venv() {
  local dir="$TOOLS_DIR/$1" requirements="$2"
  if [ -x "$dir/bin/python" ] && cmp -s "$requirements" "$dir/requirements.installed"; then return; fi
  if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then install_packages python3 python3-venv; fi
  say "making the Python environment $1"
  rm -rf "$dir"
  mkdir -p "$TOOLS_DIR"
  python3 -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
  cp "$requirements" "$dir/requirements.installed"
}

node_is_new_enough() {
  local found
  found="$("$1" --version 2>/dev/null)" || return 1
  printf '%s\n' "$NODE_MIN" "${found#v}" | sort --check=quiet --version-sort
}

# Puts a new enough node and npm first in PATH. Debian 12 carries 18, so the fallback is the build that PyPI carries.
need_node() {
  if node_is_new_enough node && command -v npm >/dev/null; then return; fi
  need_venv node "$REPO_ROOT/scripts/lib/node-requirements.txt"
  PATH="$TOOLS_DIR/node/bin:$PATH"
  node_is_new_enough node || die "the fetched node is older than $NODE_MIN"
}

# Installs the npm packages of tests/npm by their lock file, unless that very lock file is installed already.
need_npm_packages() {
  local dir="$REPO_ROOT/tests/npm"
  if cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed-lock"; then return; fi
  say "installing the npm packages of the client tests"
  (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  cp "$dir/package-lock.json" "$dir/node_modules/.installed-lock"
}

# Sets POSTERN_TEST_CHROMIUM, installing Debian's Chromium when there is no such browser, and curl, which the README uses.
need_browser() {
  command -v curl >/dev/null || install_packages curl
  if [ -z "${POSTERN_TEST_CHROMIUM:-}" ]; then
    command -v chromium >/dev/null || install_packages chromium
    POSTERN_TEST_CHROMIUM="$(command -v chromium)" || die "chromium was installed, but is not in PATH"
  fi
  export POSTERN_TEST_CHROMIUM
}

# --- stages: named steps with times, for scripts/test and .ci/run

STAGE_LOG_DIR="${STAGE_LOG_DIR:-$REPO_ROOT/target/stages}"
stage_names=()
stage_times=()
stage_states=()

# stage NAME COMMAND...: runs the command, keeps its output in $STAGE_LOG_DIR/NAME.log as well, remembers time and outcome.
# Answers the command's status, so that the caller decides whether to go on.
stage() {
  local name="$1" started status=0
  shift
  mkdir -p "$STAGE_LOG_DIR"
  say "$name: $*"
  started="$(date +%s%N)"
  "$@" 2>&1 | tee "$STAGE_LOG_DIR/${name//[^A-Za-z0-9_.-]/-}.log" || status=$?
  stage_names+=("$name")
  stage_times+=("$((($(date +%s%N) - started) / 1000000))")
  if [ "$status" -eq 0 ]; then stage_states+=(ok); else stage_states+=(FAILED); fi
  return "$status"
}

# Prints one line per stage; fails when a stage failed or none ran.
stage_summary() {
  local i failed=0
  printf '\n%-34s %10s  %s\n' stage seconds outcome
  for i in "${!stage_names[@]}"; do
    printf '%-34s %6d.%03d  %s\n' "${stage_names[i]}" "$((stage_times[i] / 1000))" "$((stage_times[i] % 1000))" "${stage_states[i]}"
    [ "${stage_states[i]}" = ok ] || failed=1
  done
  [ "${#stage_names[@]}" -gt 0 ] && [ "$failed" -eq 0 ]
}
