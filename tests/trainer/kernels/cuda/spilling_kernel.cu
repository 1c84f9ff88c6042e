// More values than registers: a kernel that must not compile with the flags of ours.
__global__ void __launch_bounds__(1024) Spill(float* values, int n) {
  float kept[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) kept[i] = values[threadIdx.x + i * n];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 128; ++i) values[threadIdx.x * n + i] = kept[i] * kept[127 - i];
}
