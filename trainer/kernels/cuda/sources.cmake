# The GPU backend's sources, which also are built for an emulated device (tests/trainer/kernels/cuda): kernels, and what
# puts them together. What calls CUDA's libraries is not among them.
set(cuda_kernels
  arg_max.cu attention.cu attention_grad.cu batch_norm.cu column_sums.cu convolution.cu copies.cu ctc.cu elementwise.cu embedding.cu
  global_pooling.cu gradient_kernels.cu id_order.cu layer_norm.cu layout.cu linear.cu loss.cu pooling.cu recurrent.cu recurrent_grad.cu rms_norm.cu rotary.cu
  swiglu.cu windows.cu)
set(cuda_backend cuda_backend.cc dense_library.cc)
