// The inner loops of the cpu kernels, compiled once for each instruction set; `ActiveLoops` is the best that this
// processor has. The kernels around them (one file an op) check, split the work into tasks and hold no arithmetic.
//
// Untyped pointers go with the dtype beside them. A matrix product is a sum over the depth in ascending order into one
// accumulator (an AVX512-BF16 one adds pairs), so that no tile size, thread or batch changes a bit of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor.h"

namespace lema::cpu {

// Elements of a dtype somewhere in memory.
struct Elements {
  const void* data;
  DType dtype;
};

// A factor of a product. Along the result it steps by `outer` elements, along the depth by `inner`; one of them is 1.
struct Factor {
  const void* data;
  DType dtype;
  int64_t outer;
  int64_t inner;
};

// rows × columns at `stride`: result (+)= alpha · product.
struct Result {
  void* data;
  DType dtype;
  int64_t stride;
  bool accumulate;
  float alpha;
};

// One head of one sequence, [length, size] at `stride` elements.
struct HeadRows {
  void* data;
  DType dtype;
  int64_t stride;
};

struct AttentionTask {
  HeadRows q, k, v, o;
  const int32_t* segment_start;  // [length]; null: every row sees all before it
  float* log_sum_exp;            // [length]; may be null
  int64_t length, size;          // rows of k and v
  float scale;
  int64_t first_query, queries;  // the task's rows of q
  int64_t past;                  // positions before the first row of q
};

struct AttentionBackwardTask {
  HeadRows d_o, q, k, v, o, dq;  // q and its companions: the first head of the group, the others follow
  HeadRows dk, dv;
  const int32_t* segment_start;  // [length]
  const float* log_sum_exp;      // [heads, length]
  int64_t length, size, heads;
  float scale;
};

struct CrossEntropyTask {
  Factor x;                  // [rows, depth]
  const void* weight;        // packed as columns: [depth, vocabulary]
  const void* values;        // packed as columns of the transpose: [vocabulary, depth]; null: loss alone
  const void* weight_rows;   // [vocabulary, depth] as stored
  DType weight_dtype;
  int64_t rows, depth, vocabulary, first_row;
  const int32_t* labels;     // [rows]
  float *maximum, *sum, *label_logit;  // [rows]
  float *expected_row, *label_row;     // [rows, depth]
  void* scratch;
};

struct AdamwScalars {
  float clip, step_size, decay, bias_correction, first_weight, second_decay, second_weight, epsilon;
};

// Rows up to which packing the right factor costs more than it saves.
inline constexpr int64_t kFewRows = 4;

struct Loops {
  const char* name;

  void (*add)(const float* a, const float* b, float* y, int64_t count);
  // y (+)= x
  void (*convert)(Elements x, void* y, DType y_dtype, bool accumulate, int64_t count);
  void (*rms_norm)(const float* x, Elements weight, void* y, DType y_dtype, int64_t width, float epsilon);
  void (*rms_norm_backward)(Elements dy, const float* x, Elements weight, float* dx, bool accumulate, int64_t width,
                            float epsilon);
  // One head of 2·pairs elements.
  void (*rope)(const float* x, const float* cosine, const float* sine, float direction, void* y, DType y_dtype,
               bool accumulate, int64_t pairs);
  void (*swiglu)(const float* gate, const float* up, void* y, DType y_dtype, int64_t count);
  void (*swiglu_backward)(Elements dy, const float* gate, const float* up, void* dgate, DType dgate_dtype, void* dup,
                          DType dup_dtype, int64_t count);
  void (*adamw)(float* param, const float* grad, float* first, float* second, const AdamwScalars& scalars,
                int64_t count);
  // y = (expected / sum − label) · inverse
  void (*cross_entropy_gradient)(const float* expected, const float* label, float sum, float inverse, float* dx,
                                 int64_t count);
  double (*square_sum)(const float* x, int64_t count);

  // Bytes of a packed factor of `extent` rows or columns.
  size_t (*packed_bytes)(int64_t extent, int64_t depth, DType compute);
  // Prepares a factor for `product`, in the dtype that the product computes in.
  void (*pack_columns)(const Factor& factor, int64_t columns, int64_t depth, DType compute, void* packed);
  // `row_scratch`: packed_bytes(rows, depth, compute), used where the left factor cannot be read in place.
  void (*product)(const Factor& left, const void* packed_right, int64_t rows, int64_t columns, int64_t depth,
                  DType compute, const Result& result, void* row_scratch);

  // The same for few rows (1 to kFewRows) with the right factor as it is, its depth side by side: the same bits.
  void (*product_of_few_rows)(const Factor& left, const Factor& right, int64_t rows, int64_t columns, int64_t depth,
                              DType compute, const Result& result, void* row_scratch);

  size_t (*attention_scratch)(int64_t length, int64_t size);
  void (*attention)(const AttentionTask& task, void* scratch);
  size_t (*attention_backward_scratch)(int64_t length, int64_t size);
  void (*attention_backward)(const AttentionBackwardTask& task, void* scratch);
  size_t (*cross_entropy_scratch)(int64_t rows, int64_t vocabulary, int64_t depth, DType compute);
  void (*cross_entropy)(const CrossEntropyTask& task);
};

const Loops& GenericLoops();
#if defined(__x86_64__)
const Loops& Avx2Loops();
const Loops& Avx512Loops();
const Loops& Avx512Bf16Loops();
#endif

const Loops& ActiveLoops();

}  // namespace lema::cpu
