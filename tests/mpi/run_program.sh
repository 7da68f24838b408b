#!/bin/bash
# Runs an MPI test program bare and protected, and compares.
#
#   run_program.sh --np N --library LIBFTMPI [--modes "MODE..."] [--linked PROGRAM] [--env NAME=VALUE]
#                  [--notice FUNCTION]... [--output same|varies] [--seconds S] [--repeat K] --
#                  PROGRAM [ARGUMENT...]
#
# The bare run must succeed. Then, for each mode, the same program is run with libftmpi preloaded
# (--linked: the given one, linked with it, in mode causal): it must succeed within S seconds (default
# 60), print the same lines in any order
# (unless --output varies), say each notice (of an MPI function that recovery can't
# cross) exactly once and no other, and leave nothing behind: no process, no file in the job's
# directories. Every run gets a few lines of standard input.
set -u

fail() {
  echo "run_program: $*" >&2
  for stream in out err; do
    if [[ -s $work/$stream ]]; then
      echo "--- standard $stream (last lines):" >&2
      tail -n 40 "$work/$stream" >&2
    fi
  done
  exit 1
}

np=1 library='' modes='' linked='' seconds=60 repeat=1 output=same
environment=() notices=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --np) np=$2; shift 2 ;;
    --library) library=$2; shift 2 ;;
    --modes) modes=$2; shift 2 ;;
    --linked) linked=$2; shift 2 ;;
    --env) environment+=(-x "$2"); shift 2 ;;
    --notice) notices+=("$2"); shift 2 ;;
    --output) output=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --repeat) repeat=$2; shift 2 ;;
    --) shift; break ;;
    *) echo "run_program: unknown option $1" >&2; exit 2 ;;
  esac
done
program=$1; shift

work=$(mktemp -d "${TMPDIR:-/tmp}/ftmpi-test.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_rmaps_base_oversubscribe=1
unset FT_MODE FT_DIR FT_LOCAL LD_PRELOAD
# Preloading goes to the program alone, not to mpirun.
cd "$work" || exit 2
seq 1 100 >"$work/in"

# launch WHAT MPIRUN-OPTIONS... -- PROGRAM ARGUMENT...: leaves standard output in out, error in err.
launch() {
  local what=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  timeout -k 10 "$seconds" mpirun --oversubscribe -np "$np" "${environment[@]}" "${options[@]}" "$@" \
    >"$work/out" 2>"$work/err" <"$work/in"
  local code=$?
  [[ $code -ne 124 && $code -ne 137 ]] || fail "$what: not finished after $seconds s (exit code $code)"
  [[ $code -eq 0 ]] || fail "$what: exit code $code"
}

# Processes of the run: they carry its directory in their environment.
left_processes() {
  grep -lsz "^FT_DIR=$work/" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | tr '\n' ' '
}

protected() {
  local what=$1 mode=$2 binary=$3 preload=$4
  shift 4
  local job=$work/job local_directory=$work/local options=()
  [[ -n $preload ]] && options=(-x "LD_PRELOAD=$preload")
  FT_DIR=$job FT_LOCAL=$local_directory FT_MODE=$mode launch "$what" "${options[@]}" \
    -x FT_MODE -x FT_DIR -x FT_LOCAL -- "$binary" "$@"

  sort "$work/out" >"$work/sorted"
  [[ $output == varies ]] || cmp -s "$work/bare" "$work/sorted" ||
    fail "$what: other output than the bare run's: $(diff "$work/bare" "$work/sorted" | head -n 20)"

  local notice count
  for notice in "${notices[@]+"${notices[@]}"}"; do
    count=$(grep -c "\b$notice: recovery can't cross" "$work/err")
    [[ $count -eq 1 ]] || fail "$what: the notice about $notice was given $count times, not once"
  done
  count=$(grep "recovery can't cross" "$work/err" | grep -vc "MPI calls from several threads")
  [[ $count -eq ${#notices[@]} ]] || fail "$what: $count notices, expected ${#notices[@]}"

  # The companions end when their ranks have; give them the time they need.
  local deadline=$((SECONDS + 15)) processes
  while processes=$(left_processes); [[ -n $processes ]]; do
    [[ $SECONDS -lt $deadline ]] || fail "$what: processes are left: $processes"
    sleep 0.05
  done
  if [[ -d $local_directory && -n $(ls -A "$local_directory") ]]; then
    fail "$what: files are left in FT_LOCAL: $(ls "$local_directory" | head -n 5 | tr '\n' ' ')"
  fi
  [[ ! -d $job || -z $(ls -A "$job") ]] || fail "$what: files are left in FT_DIR: $(ls "$job")"
  rm -rf "$job" "$local_directory"
}

launch "bare run" -- "$program" "$@"
sort "$work/out" >"$work/bare"
for ((round = 0; round < repeat; ++round)); do
  for mode in $modes; do
    protected "FT_MODE=$mode, preloaded" "$mode" "$program" "$library" "$@"
  done
done
if [[ -n $linked ]]; then
  # Linked, and not asked for: as if it were not there.
  launch "linked, FT_MODE unset" -- "$linked" "$@"
  sort "$work/out" >"$work/sorted"
  [[ $output == varies ]] || cmp -s "$work/bare" "$work/sorted" ||
    fail "linked, FT_MODE unset: other output than the bare run's"
  protected "FT_MODE=causal, linked" causal "$linked" '' "$@"
fi
exit 0
