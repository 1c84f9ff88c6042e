// The part of NVML that energy is read with: knows one GPU, "GPU-1", which has used 1,234,500 millijoules more at each
// question.
#include <cstring>

extern "C" {
int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  static int gpu;
  if (std::strcmp(uuid, "GPU-1") != 0) return 6;  // NVML_ERROR_NOT_FOUND
  *device = &gpu;
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* millijoules) {
  static unsigned long long used = 0;
  *millijoules = used += 1'234'500;
  return 0;
}
}
