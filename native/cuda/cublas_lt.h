// What lema uses of cuBLASLt, with the numbers and layouts of its documentation (cuBLAS 12 and 13): neither header nor
// library is needed to build, and a machine without it computes by lema's own kernels. The values of its enums are its
// binary interface.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace lema::cuda {

struct CublasLt {
  using Handle = struct LtHandle*;
  using Description = struct LtDescription*;
  using Layout = struct LtLayout*;
  using Preference = struct LtPreference*;
  struct Algorithm {
    uint64_t data[8];
  };
  struct Heuristic {
    Algorithm algorithm;
    size_t workspace_bytes;
    int32_t status;
    float waves;
    int32_t reserved[4];
  };
  static_assert(sizeof(Heuristic) == 96);

  enum Type : int32_t { kF32 = 0, kBf16 = 14 };
  enum ComputeType : int32_t { kCompute32F = 68 };
  enum Operation : int32_t { kAsItIs = 0, kTransposed = 1 };
  enum DescriptionAttribute : int32_t { kTransA = 3 };
  enum PreferenceAttribute : int32_t {
    kMaxWorkspaceBytes = 1,
    kReductionSchemes = 3,
    kAlignmentA = 5,
    kAlignmentB = 6,
    kAlignmentC = 7,
    kAlignmentD = 8,
  };
  enum ConfigAttribute : int32_t { kSplitK = 2, kReductionScheme = 3 };

  size_t (*version)();
  int32_t (*create)(Handle*);
  int32_t (*destroy)(Handle);
  int32_t (*description_create)(Description*, ComputeType, Type scale);
  int32_t (*description_destroy)(Description);
  int32_t (*description_set)(Description, DescriptionAttribute, const void*, size_t);
  int32_t (*layout_create)(Layout*, Type, uint64_t rows, uint64_t columns, int64_t leading_dimension);
  int32_t (*layout_destroy)(Layout);
  int32_t (*preference_create)(Preference*);
  int32_t (*preference_destroy)(Preference);
  int32_t (*preference_set)(Preference, PreferenceAttribute, const void*, size_t);
  int32_t (*heuristic)(Handle, Description, Layout a, Layout b, Layout c, Layout d, Preference, int wanted, Heuristic*, int* found);
  int32_t (*config_get)(const Algorithm*, ConfigAttribute, void*, size_t, size_t* written);
  int32_t (*multiply)(Handle, Description, const void* alpha, const void* a, Layout, const void* b, Layout, const void* beta,
                      const void* c, Layout, void* d, Layout, const Algorithm*, void* workspace, size_t workspace_bytes, cudaStream_t);
};

// The library of this machine, loaded once and for good; null where there is none, or where LEMA_CUBLASLT is `off`. `on`
// insists on one, the name of a file on that one. `where`: its file, or why there is none.
const CublasLt* FindCublasLt(std::string* where);

// What LEMA_CUBLASLT says; empty: nothing.
inline std::string AskedOfCublasLt() {
  const char* const asked = std::getenv("LEMA_CUBLASLT");
  return asked == nullptr ? "" : asked;
}

inline bool InsistsOnCublasLt() { return AskedOfCublasLt() != "" && AskedOfCublasLt() != "off"; }

}  // namespace lema::cuda
