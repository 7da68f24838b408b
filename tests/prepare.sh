# Sourced by tests/run and tests/main_job: installs what the build needs where it is missing (Debian 12),
# and builds into $FTMPI_BUILD (default: build/ in the source tree).
set -eu
source_directory=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${FTMPI_BUILD:-$source_directory/build}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

build_packages="g++ cmake ninja-build pkg-config python3 openmpi-bin libopenmpi-dev libcli11-dev
  nlohmann-json3-dev libfmt-dev libspdlog-dev libxxhash-dev libhdf5-dev libzstd-dev libboost-dev"
test_packages="libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev strace gfortran
  hdf5-tools python3-h5py"

# install_packages PACKAGE...: those that are missing.
install_packages() {
  local missing=() package as_root=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}; this is no Debian, so install what corresponds to them and build with cmake" >&2
    return 1
  fi
  if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
      echo "missing: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# build_all CMAKE-OPTION...
build_all() {
  cmake -S "$source_directory" -B "$build" -G Ninja "$@"
  cmake --build "$build"
}
