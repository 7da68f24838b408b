! ftmpi's interface from Fortran, in a program that starts MPI in C (fortran_registered.c).
subroutine step_once(field, n, step, restored)
  implicit none
  include 'mpif.h'
  integer :: n, step, ierror
  double precision :: field(n)
  logical :: restored
  integer, save :: calls = 0

  if (calls == 0) then
    call ft_protect('field  ', field, n, MPI_DOUBLE_PRECISION, ierror)
    if (ierror /= 0) stop 3
    call ft_protect('step', step, 1, MPI_INTEGER, ierror)
    if (ierror /= 0) stop 4
    call ft_restored(restored, ierror)
    if (ierror /= 0) stop 5
  else
    field = field * 0.5d0 + step
    step = step + 1
    call ft_checkpoint(ierror)
    if (ierror /= 0) stop 6
  end if
  calls = calls + 1
end subroutine
