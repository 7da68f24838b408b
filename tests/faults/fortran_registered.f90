! ftmpi's interface from Fortran, in a program that starts MPI in C (fortran_registered.c).
subroutine step_once(field, n, step, restored)
  implicit none
  include 'mpif.h'
  integer :: n, step, ierror
  double precision :: field(n)
  logical :: restored
  integer, save :: calls = 0
  ! Codes 1 and 2: no registered state here. An interface, as the buffers are of several types.
  interface
    subroutine ft_protect(name, buffer, count, datatype, ierror)
      !GCC$ ATTRIBUTES NO_ARG_CHECK :: buffer
      character(*), intent(in) :: name
      type(*) :: buffer
      integer, intent(in) :: count, datatype
      integer, intent(out) :: ierror
    end subroutine
  end interface

  if (calls == 0) then
    call ft_protect('field  ', field, n, MPI_DOUBLE_PRECISION, ierror)
    if (ierror > 2) stop 3
    call ft_protect('step', step, 1, MPI_INTEGER, ierror)
    if (ierror > 2) stop 4
    call ft_restored(restored, ierror)
    if (ierror > 2) stop 5
  else
    field = field * 0.5d0 + step
    step = step + 1
    call ft_checkpoint(ierror)
    if (ierror > 2) stop 6
  end if
  calls = calls + 1
end subroutine
