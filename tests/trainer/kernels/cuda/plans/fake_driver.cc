// A libcuda.so.1 with no device behind it. cuDNN looks these names up when it plans for a device that is only
// described, and gives up where one is missing; it calls only those that succeed here. Nothing can run: everything else
// says CUDA_ERROR_STUB_LIBRARY.
//
// A newer cuDNN may want more names: it prints "Could not load symbol NAME", and they join the list.

namespace {

constexpr int kSuccess = 0, kStubLibrary = 34;
int something;  // what handles point to: nobody looks into it

}  // namespace

extern "C" {

#define REFUSES(name) \
  int name() { return kStubLibrary; }

REFUSES(cuCtxGetCurrent)
REFUSES(cuCtxGetLimit)
REFUSES(cuCtxPopCurrent)
REFUSES(cuCtxPushCurrent)
REFUSES(cuDeviceGet)
REFUSES(cuDeviceGetCount)
REFUSES(cuGetErrorName)
REFUSES(cuGetErrorString)
REFUSES(cuGetProcAddress)
REFUSES(cuGetProcAddress_v2)
REFUSES(cuKernelGetAttribute)
REFUSES(cuKernelSetAttribute)
REFUSES(cuLaunchCooperativeKernel)
REFUSES(cuLaunchKernel)
REFUSES(cuLaunchKernelEx)
REFUSES(cuLibraryLoadFromFile)
REFUSES(cuLibraryUnload)
REFUSES(cuLinkAddData)
REFUSES(cuLinkComplete)
REFUSES(cuLinkCreate)
REFUSES(cuLinkDestroy)
REFUSES(cuOccupancyMaxPotentialClusterSize)
REFUSES(cuStreamGetCtx)

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return kSuccess;
}
int cuLibraryLoadData(void** library) {
  *library = &something;
  return kSuccess;
}
int cuLibraryGetKernel(void** kernel) {
  *kernel = &something;
  return kSuccess;
}

}  // extern "C"
