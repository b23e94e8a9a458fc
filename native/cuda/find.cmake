# Whether the main build makes lema_cuda.so. LEMA_CUDA is ON, OFF, or AUTO: where a driver and a toolkit are. Machines
# with a toolkit alone build in seconds what they can run; `npm run build:cuda` compiles for all devices.
set(LEMA_CUDA AUTO CACHE STRING "Build the CUDA object for the device of this machine: ON, OFF or AUTO")
find_program(LEMA_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
set(lema_builds_cuda OFF)
if(LEMA_CUDA STREQUAL "AUTO")
  if(LEMA_NVCC AND EXISTS /dev/nvidiactl)
    set(lema_builds_cuda ON)
  endif()
elseif(LEMA_CUDA)
  set(lema_builds_cuda ON)
endif()
