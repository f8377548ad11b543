/* A stand-in for CUDA's driver library: the GPU's memory is the process's own.
   FAKE_GPUS are the GPUs' names, separated by commas; all have compute capability 9.0. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OUT_OF_MEMORY 2
#define INVALID_DEVICE 101
#define MOST_BYTES (1ull << 30)

static int live_buffers = 0;

static int name_of(int device, char *name, size_t size) {
  char names[1024];
  const char *given = getenv("FAKE_GPUS");
  strncpy(names, given ? given : "", sizeof names - 1);
  names[sizeof names - 1] = 0;
  char *next = strtok(names, ",");
  for (int index = 0; next; next = strtok(NULL, ","), ++index)
    if (index == device) {
      strncpy(name, next, size);
      return 0;
    }
  return INVALID_DEVICE;
}

int cuInit(unsigned flags) { return flags; }
int cuDeviceGetCount(int *count) {
  char name[256];
  for (*count = 0; !name_of(*count, name, sizeof name); ++*count) {}
  return 0;
}
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { return name_of(device, name, size); }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : -1;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &live_buffers; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return 0; }
int cuCtxSetCurrent(void *context) { return context != &live_buffers; }
int cuCtxSynchronize(void) { return 0; }
int cuMemAlloc_v2(uint64_t *address, size_t size) {
  if (size > MOST_BYTES) return OUT_OF_MEMORY;
  *address = (uint64_t)(uintptr_t)malloc(size);
  ++live_buffers;
  return 0;
}
int cuMemFree_v2(uint64_t address) { free((void *)(uintptr_t)address); --live_buffers; return 0; }
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) { memcpy((void *)(uintptr_t)to, from, size); return 0; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { memcpy(to, (void *)(uintptr_t)from, size); return 0; }
int cuGetErrorName(int code, const char **name) {
  *name = code == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_UNKNOWN";
  return 0;
}

/* For the tests: buffers not freed yet. And TensorRT's library, as far as it tells its version. */
int liveBuffers(void) { return live_buffers; }
int getInferLibVersion(void) { return 110400; }
