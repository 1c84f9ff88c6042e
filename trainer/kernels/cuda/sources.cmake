# The GPU backend's sources, which also are built for an emulated device (tests/trainer/kernels/cuda): kernels, and what
# puts them together. What calls CUDA's libraries is not among them.
set(cuda_kernels elementwise.cu)
set(cuda_backend cuda_backend.cc dense_library.cc)
