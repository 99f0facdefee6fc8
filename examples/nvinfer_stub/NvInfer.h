// Just as much of TensorRT's NvInfer.h as a loader of weights needs, so that examples and tests build where TensorRT is
// not installed. Written for this project; a real program includes the real header.
#ifndef NV_INFER_H
#define NV_INFER_H

#include <cstdint>

namespace nvinfer1 {

enum class DataType : std::int32_t { kFLOAT = 0, kHALF = 1, kINT8 = 2, kINT32 = 3 };

class Weights {
 public:
  DataType type;
  void const* values;
  std::int64_t count;
};

}  // namespace nvinfer1

#endif  // NV_INFER_H
