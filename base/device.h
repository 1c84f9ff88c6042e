// A device that computes beside the host: a GPU (base/cuda), or threads that play one (base/emulated_device.h), with
// which everything that orders work on a GPU is tested where there is none. Memory, streams, events and captured work;
// what runs on a stream comes from a backend.
//
// Work on a stream runs in the order in which it was enqueued, beside the host and other streams. Every address that
// Copy and kernels get stays valid until the work is done. Errors of the device (work that failed, a card that fell off
// the bus) appear as Error(kPeer) at the next call; too little memory is Error(kUsage) with what there was.
//
// One thread at a time uses a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace lockstep {

struct DeviceInfo {
  std::string name;          ///< "NVIDIA H100 80GB HBM3"
  std::string uuid;          ///< "GPU-...", or "MIG-..." of a part of one
  int ordinal = 0;           ///< among the devices that this process sees
  int major = 0, minor = 0;  ///< compute capability
  int processors = 0;        ///< streaming multiprocessors: cuBLAS promises equal bits for equal numbers of them
  size_t memory = 0;         ///< bytes, all of it
  bool bf16 = false;         ///< has bf16 matrix units
};

/// Memory, freed with the object. Movable through its pointer only.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  template <typename T>
  T* As() const {
    return reinterpret_cast<T*>(data_);
  }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 protected:
  DeviceMemory(std::byte* data, size_t size) : data_(data), size_(size) {}

 private:
  std::byte* data_;
  size_t size_;
};

/// A point in a stream's work.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  /// Whether the work before its last Record is done; true where it was never recorded.
  virtual bool Done() = 0;
};

/// Work captured from a stream, to be run again and again.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
};

class DeviceStream {
 public:
  virtual ~DeviceStream() = default;

  /// Either side may be device memory or pinned memory of the host.
  virtual void Copy(void* to, const void* from, size_t bytes) = 0;
  virtual void Clear(void* to, size_t bytes) = 0;
  /// In captured work: each run of the graph records the event anew, for streams outside of it.
  virtual void Record(DeviceEvent& event) = 0;
  /// What is enqueued from now on waits for the work before `event`'s last Record.
  virtual void Wait(DeviceEvent& event) = 0;

  /// Until EndCapture, what is enqueued here is kept and not run. Copies of captured work read their addresses anew in
  /// each run.
  virtual void BeginCapture() = 0;
  virtual std::unique_ptr<DeviceGraph> EndCapture() = 0;
  virtual void Run(DeviceGraph& graph) = 0;

  /// Blocks until all work is done: for set-up and tests; elsewhere poll an event.
  virtual void Synchronize() = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  virtual size_t free_memory() const = 0;

  /// Zeroed device memory, aligned to 256 bytes. `what` names it where there is too little: "activations".
  virtual std::unique_ptr<DeviceMemory> Allocate(size_t bytes, const std::string& what) = 0;
  /// Zeroed memory of the host that copies go to and come from without a detour.
  virtual std::unique_ptr<DeviceMemory> AllocatePinned(size_t bytes) = 0;
  virtual std::unique_ptr<DeviceStream> MakeStream() = 0;
  virtual std::unique_ptr<DeviceEvent> MakeEvent() = 0;
  /// Every thread that uses the device calls this first.
  virtual void UseOnThisThread() = 0;
};

}  // namespace lockstep
