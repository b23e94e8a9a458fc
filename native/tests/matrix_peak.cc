#include "matrix_peak.h"

#include <algorithm>
#include <chrono>
#include <dnnl.hpp>

namespace lema::test {

double MatrixPeak(DType dtype, int64_t rows, int64_t columns, int64_t depth) {
  using Memory = dnnl::memory;
  const auto type = dtype == DType::kBF16 ? Memory::data_type::bf16 : Memory::data_type::f32;
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const Memory::desc left({rows, depth}, type, Memory::format_tag::ab);
  const Memory::desc right({depth, columns}, type, Memory::format_tag::ba);
  const Memory::desc result({rows, columns}, Memory::data_type::f32, Memory::format_tag::ab);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(engine, left, right, result);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(left, right, result), engine);
#endif
  const dnnl::matmul product(description);
  Memory a(left, engine), b(right, engine), c(result, engine);
  double best = 0.0;
  for (int run = 0; run < 8; ++run) {
    const auto start = std::chrono::steady_clock::now();
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2e-9 * static_cast<double>(rows * columns * depth) / seconds.count());
  }
  return best;
}

}  // namespace lema::test
