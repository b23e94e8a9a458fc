// Loops whose cost is memory traffic: element by element, or row by row with one sum.
#pragma once

#include "kernels/cpu/loops.h"
#include "kernels/cpu/vector_math.h"

namespace lema::cpu::LEMA_ISA {

// use(typed pointer) for the storage dtype of activations and weights.
template <typename Use>
inline void WithType(const void* data, DType dtype, const Use& use) {
  switch (dtype) {
    case DType::kBF16: return use(static_cast<const Bf16*>(data));
    case DType::kF16: return use(static_cast<const F16*>(data));
    default: return use(static_cast<const float*>(data));
  }
}

template <typename Use>
inline void WithResultType(void* data, DType dtype, const Use& use) {
  if (dtype == DType::kBF16) return use(static_cast<Bf16*>(data));
  return use(static_cast<float*>(data));
}

inline void Add(const float* a, const float* b, float* y, int64_t count) {
  ForVectors(count, [=](int64_t i, int64_t lanes) { Store(y + i, Load(a + i, lanes) + Load(b + i, lanes), lanes); });
}

inline void Convert(Elements x, void* y_data, DType y_dtype, bool accumulate, int64_t count) {
  WithType(x.data, x.dtype, [=](const auto* from) {
    WithResultType(y_data, y_dtype, [=](auto* y) {
      if (accumulate) {
        ForVectors(count, [=](int64_t i, int64_t lanes) { Store(y + i, Load(y + i, lanes) + Load(from + i, lanes), lanes); });
      } else {
        ForVectors(count, [=](int64_t i, int64_t lanes) { Store(y + i, Load(from + i, lanes), lanes); });
      }
    });
  });
}

// (mean(x²) + epsilon)^(−1/2)
inline float InverseRootMeanSquare(const float* x, int64_t width, float epsilon) {
  F32 squares{};
  ForVectors(width, [&](int64_t i, int64_t lanes) {
    const F32 value = Load(x + i, lanes);
    squares = Fma(value, value, squares);
  });
  return 1.0f / __builtin_sqrtf(SumLanes(squares) / static_cast<float>(width) + epsilon);
}

inline void RmsNorm(const float* x, Elements weight, void* y_data, DType y_dtype, int64_t width, float epsilon) {
  const float inverse = InverseRootMeanSquare(x, width, epsilon);
  WithType(weight.data, weight.dtype, [=](const auto* gain) {
    WithResultType(y_data, y_dtype, [=](auto* y) {
      ForVectors(width, [=](int64_t i, int64_t lanes) {
        Store(y + i, Load(x + i, lanes) * inverse * Load(gain + i, lanes), lanes);
      });
    });
  });
}

inline void RmsNormBackward(Elements dy_elements, const float* x, Elements weight, float* dx, bool accumulate,
                            int64_t width, float epsilon) {
  const float inverse = InverseRootMeanSquare(x, width, epsilon);
  WithType(weight.data, weight.dtype, [=](const auto* gain) {
    WithType(dy_elements.data, dy_elements.dtype, [=](const auto* dy) {
      F32 products{};
      ForVectors(width, [&](int64_t i, int64_t lanes) {
        products = Fma(Load(gain + i, lanes) * Load(dy + i, lanes), Load(x + i, lanes), products);
      });
      const float shared = inverse * inverse * inverse * SumLanes(products) / static_cast<float>(width);
      ForVectors(width, [=](int64_t i, int64_t lanes) {
        const F32 value = inverse * Load(gain + i, lanes) * Load(dy + i, lanes) - Load(x + i, lanes) * shared;
        Store(dx + i, accumulate ? Load(dx + i, lanes) + value : value, lanes);
      });
    });
  });
}

inline void Rope(const float* x, const float* cosine, const float* sine, float direction, void* y_data, DType y_dtype,
                 bool accumulate, int64_t pairs) {
  WithResultType(y_data, y_dtype, [=](auto* y) {
    ForVectors(pairs, [=](int64_t p, int64_t lanes) {
      const F32 c = Load(cosine + p, lanes);
      const F32 s = direction * Load(sine + p, lanes);
      const F32 x1 = Load(x + p, lanes);
      const F32 x2 = Load(x + pairs + p, lanes);
      const F32 y1 = x1 * c - x2 * s;
      const F32 y2 = x2 * c + x1 * s;
      Store(y + p, accumulate ? Load(y + p, lanes) + y1 : y1, lanes);
      Store(y + pairs + p, accumulate ? Load(y + pairs + p, lanes) + y2 : y2, lanes);
    });
  });
}

inline void Swiglu(const float* gate, const float* up, void* y_data, DType y_dtype, int64_t count) {
  WithResultType(y_data, y_dtype, [=](auto* y) {
    ForVectors(count, [=](int64_t i, int64_t lanes) {
      const F32 g = Load(gate + i, lanes);
      Store(y + i, g * Sigmoid(g) * Load(up + i, lanes), lanes);
    });
  });
}

inline void SwigluBackward(Elements dy_elements, const float* gate, const float* up, void* dgate_data,
                           DType dgate_dtype, void* dup_data, DType dup_dtype, int64_t count) {
  WithType(dy_elements.data, dy_elements.dtype, [=](const auto* dy) {
    WithResultType(dgate_data, dgate_dtype, [=](auto* dgate) {
      WithResultType(dup_data, dup_dtype, [=](auto* dup) {
        ForVectors(count, [=](int64_t i, int64_t lanes) {
          const F32 d = Load(dy + i, lanes);
          const F32 g = Load(gate + i, lanes);
          const F32 u = Load(up + i, lanes);
          const F32 sigmoid = Sigmoid(g);
          Store(dup + i, d * g * sigmoid, lanes);
          Store(dgate + i, d * u * sigmoid * (1.0f + g * (1.0f - sigmoid)), lanes);
        });
      });
    });
  });
}

// Operation by operation as the reference kernel: nothing may be fused or reordered here.
inline void Adamw(float* param, const float* grad, float* first, float* second, const AdamwScalars& s, int64_t count) {
  ForVectors(count, [=](int64_t i, int64_t lanes) {
    const F32 g = s.clip * Load(grad + i, lanes);
    F32 m = Load(first + i, lanes);
    m = m + s.first_weight * (g - m);
    F32 v = Load(second + i, lanes) * s.second_decay;
    v = v + s.second_weight * g * g;
    const F32 denominator = SquareRoot(v) / s.bias_correction + s.epsilon;
    Store(param + i, Load(param + i, lanes) * s.decay - s.step_size * m / denominator, lanes);
    Store(first + i, m, lanes);
    Store(second + i, v, lanes);
  });
}

inline void CrossEntropyGradient(const float* expected, const float* label, float sum, float inverse, float* dx,
                                 int64_t count) {
  ForVectors(count, [=](int64_t i, int64_t lanes) {
    Store(dx + i, (Load(expected + i, lanes) / sum - Load(label + i, lanes)) * inverse, lanes);
  });
}

// Eight f64 partial sums whatever the instruction set, added pairwise.
inline double SquareSum(const float* x, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) sums[lane] += static_cast<double>(x[i + lane]) * static_cast<double>(x[i + lane]);
  }
  for (int lane = 0; i < count; ++i, ++lane) sums[lane] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace lema::cpu::LEMA_ISA
