#!/bin/bash
# A Fortran program runs as always with FT_MODE unset or off, and is refused, with the reason, where
# FT_MODE asks for a protection that it would not get.
#   fortran_test.sh MPIFORT LIBFTMPI
set -u
compiler=$1 library=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/ftmpi-fortran.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset FT_MODE

program() {  # MODULE INITIALISATION
  printf 'program test\n use %s\n integer :: provided, error\n %s\n print "(a)", "ran"\n call mpi_finalize(error)\nend program\n' "$1" "$2"
}
program mpi 'call mpi_init(error)' >mpi.f90
program mpi 'call mpi_init_thread(MPI_THREAD_SINGLE, provided, error)' >mpi_thread.f90
program mpi_f08 'call mpi_init(error)' >f08.f90
program mpi_f08 'call mpi_init_thread(MPI_THREAD_SINGLE, provided, error)' >f08_thread.f90

status=0
for source in mpi mpi_thread f08 f08_thread; do
  "$compiler" "$source.f90" -o "$source" || exit 2
  for mode in '' off causal; do
    timeout 60 mpirun --oversubscribe -np 2 -x "LD_PRELOAD=$library" -x "FT_MODE=$mode" "./$source" \
      >out 2>err
    code=$?
    case $mode in
      causal) [[ $code -eq 2 && ! -s out && $(grep -c "FT_MODE=causal.*Fortran" err) -eq 1 ]] ;;
      *) [[ $code -eq 0 && $(grep -c '^ran$' out) -eq 2 && $(grep -c ftmpi err) -eq 0 ]] ;;
    esac || { echo "$source, FT_MODE='$mode': exit code $code"; cat out err; status=1; }
  done
done
exit $status
