#!/usr/bin/env bash
# cuda-toolkit.sh 12|13: CUDA's compiler, headers and static runtime in build/cuda-toolkit-N, without an installer and
# without root; prints the path of its nvcc. Does nothing when it is there already. What it cannot get, it says, and fails.
#
# 13 comes from NVIDIA's Python wheels. Those of 12 have headers, runtime and ptxas but no nvcc; the compiler is then
# Debian's package of it, unpacked and not installed. 12 is the last that compiles for sm_60 and sm_70 (P100, V100).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly release=${1:-}
readonly folder=$PWD/build/cuda-toolkit-$release
fail() {
  echo "cuda-toolkit: $*" >&2
  exit 1
}
[[ $(uname -m) == x86_64 ]] || fail "these packages are for x86-64"

# wheels DIR NAME==VERSION…
wheels() {
  local to=$1
  shift
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
    --only-binary=:all: --target "$to" "$@" >&2 || fail "no Python wheels of CUDA $release"
}

make_13() {
  wheels "$stage/wheels" nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
  mv "$stage/wheels/nvidia/cu13" "$stage/toolkit"
  ln -s lib "$stage/toolkit/lib64"
  ln -s libcudart.so.13 "$stage/toolkit/lib/libcudart.so"
}

# The suite of Debian that has CUDA 12, asked for with lists of its own: what this machine installs from stays as it is.
debian_package() {
  local key=/usr/share/keyrings/debian-archive-keyring.gpg mirror
  [[ -f $key ]] || fail "CUDA 12's compiler comes from Debian, and this is no Debian"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | sort -u | head -1)
  [[ -n $mirror ]] || fail "apt knows no mirror of Debian; try apt-get update"
  mkdir -p "$stage/apt/lists/partial" "$stage/apt/cache/archives/partial"
  echo "deb [signed-by=$key] $mirror trixie non-free" >"$stage/apt/sources.list"
  local apt=(apt-get -qq -oDir::Etc::SourceList="$stage/apt/sources.list" -oDir::Etc::SourceParts=/dev/null
    -oDir::State::Lists="$stage/apt/lists" -oDir::Cache="$stage/apt/cache" -oAPT::Sandbox::User=root)
  "${apt[@]}" update >&2 && (cd "$stage" && "${apt[@]}" download "$1" >&2) || fail "no package $1"
  dpkg-deb --extract "$stage"/*.deb "$stage/debian"
}

make_12() {
  wheels "$stage/wheels" nvidia-cuda-nvcc-cu12==12.4.131 nvidia-cuda-runtime-cu12==12.4.127 nvidia-cuda-cccl-cu12==12.9.27
  # The only one of 12 with the static runtime in it.
  wheels "$stage/runtime" nvidia-cuda-runtime-cu12==12.9.79
  debian_package nvidia-cuda-toolkit=12.4.131~12.4.1-2
  local from=$stage/wheels/nvidia unpacked=$stage/debian/usr to=$stage/toolkit
  mkdir -p "$to"/{bin,include,lib64,nvvm/bin}
  cp -r "$from"/{cuda_cccl,cuda_nvcc,cuda_runtime}/include/. "$to/include"
  cp "$stage"/runtime/nvidia/cuda_runtime/lib/{libcudart.so.12,libcudart_static.a,libculibos.a} "$to/lib64"
  ln -s libcudart.so.12 "$to/lib64/libcudart.so"
  # For kernels that launch kernels, which there are none of here; nvcc links it all the same.
  ar rc "$to/lib64/libcudadevrt.a"
  cp -r "$from/cuda_nvcc/nvvm/libdevice" "$to/nvvm"
  cp "$unpacked"/bin/{cudafe++,cuobjdump,fatbinary,nvlink,ptxas} "$to/bin"
  cp -r "$unpacked/lib/nvidia-cuda-toolkit/bin"/{nvcc,crt} "$to/bin"
  cp "$unpacked/lib/nvidia-cuda-toolkit/bin/cicc" "$to/nvvm/bin"
  # Debian's names its own folders; this is what NVIDIA's says.
  cat >"$to/bin/nvcc.profile" <<'PROFILE'
TOP                = $(_HERE_)/..
CICC_PATH          = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(CICC_PATH):$(_HERE_):
INCLUDES          += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64"
PROFILE
}

if [[ ! -x $folder/bin/nvcc ]]; then
  mkdir -p build
  stage=$(mktemp -d build/cuda-toolkit.XXXXXX)
  stage=$PWD/$stage
  trap 'rm -rf "$stage"' EXIT
  case $release in
    12) make_12 ;;
    13) make_13 ;;
    *) fail "which? 12 or 13" ;;
  esac
  mv "$stage/toolkit" "$folder"
fi
echo "$folder/bin/nvcc"
