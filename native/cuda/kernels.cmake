# One file an op; both builds of the device's kernels take the list from here.
get_filename_component(cuda_kernel_folder ${CMAKE_CURRENT_LIST_DIR}/../kernels/cuda ABSOLUTE)
file(GLOB cuda_kernels CONFIGURE_DEPENDS ${cuda_kernel_folder}/*.cu)
list(APPEND cuda_kernels ${CMAKE_CURRENT_LIST_DIR}/capability.cu)
