// What the metadata of the op table cannot say about a call; both host backends ask before they prepare it.
#pragma once

#include <cstdint>

#include "core/status.h"
#include "core/tensor.h"
#include "core/text.h"

namespace lema {

inline Status CheckPositive(int32_t value, const char* name) {
  if (value > 0) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, Cat(name, " is ", value));
}

inline Status CheckF16Factors(int32_t value) {
  if (value == 0 || value == 1) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, Cat("f16_factors is ", value));
}

inline Status CheckProduct(int32_t row_tile, int32_t column_tile, int32_t f16_factors) {
  LEMA_RETURN_IF_ERROR(CheckPositive(row_tile, "row_tile"));
  LEMA_RETURN_IF_ERROR(CheckPositive(column_tile, "column_tile"));
  return CheckF16Factors(f16_factors);
}

// q: [B, S, N, D], k: [B, S, G, D].
inline Status CheckGroupedHeads(const TensorView& q, const TensorView& k) {
  if (k.dim[2] > 0 && q.dim[2] % k.dim[2] == 0) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, Cat(q.dim[2], " query heads are no multiple of ", k.dim[2], " groups"));
}

// Position s of a sequence belongs to a segment that starts at or before it. start: [B, S].
inline Status CheckSegments(const TensorView& start) {
  const int64_t length = start.dim[1];
  for (int64_t i = 0; i < start.elements(); ++i) {
    const int32_t first = start.as<const int32_t>()[i];
    if (first < 0 || first > i % length) {
      return Status(StatusCode::kOutOfRange, Cat("position ", i % length, " has its segment start at ", first));
    }
  }
  return Status::Ok();
}

// kv_length, new_tokens: [B, 1]; a step of at most `rows` positions fits behind those that a cache of `capacity` holds.
inline Status CheckStep(const TensorView& kv_length, const TensorView& new_tokens, int64_t rows, int64_t capacity) {
  for (int64_t b = 0; b < new_tokens.elements(); ++b) {
    const int64_t past = kv_length.as<const int32_t>()[b], count = new_tokens.as<const int32_t>()[b];
    if (past >= 0 && count >= 1 && count <= rows && past + count <= capacity) continue;
    return Status(StatusCode::kOutOfRange, Cat(count, " new positions of at most ", rows, " behind ", past,
                                               " in a cache of ", capacity));
  }
  return Status::Ok();
}

// x: [B, S, N, D], cosine: [B, S, P].
inline Status CheckRope(const TensorView& x, const TensorView& cosine, int32_t direction) {
  if (x.dim[3] != 2 * cosine.dim[2]) {
    return Status(StatusCode::kInvalidArgument, Cat("heads of ", x.dim[3], " with ", cosine.dim[2], " frequencies"));
  }
  if (direction == 1 || direction == -1) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, Cat("rope direction ", direction));
}

// tokens: [B, S] in [0, rows).
inline Status CheckTokens(const TensorView& tokens, int64_t rows) {
  for (int64_t i = 0; i < tokens.elements(); ++i) {
    const int32_t token = tokens.as<const int32_t>()[i];
    if (token < 0 || token >= rows) {
      return Status(StatusCode::kOutOfRange, Cat("token ", token, " at ", i, " of a vocabulary of ", rows));
    }
  }
  return Status::Ok();
}

// The chunk's online-softmax state and the rows it keeps. expected_row and label_row come together or not at all.
inline Status CheckCrossEntropyTile(const TensorView& expected_row, const TensorView& label_row, int32_t first_row,
                                    int32_t vocabulary_tile, int32_t row_tile, int32_t f16_factors) {
  LEMA_RETURN_IF_ERROR(CheckF16Factors(f16_factors));
  LEMA_RETURN_IF_ERROR(CheckPositive(row_tile, "row_tile"));
  LEMA_RETURN_IF_ERROR(CheckPositive(vocabulary_tile, "vocabulary_tile"));
  if (first_row < 0 || first_row % vocabulary_tile != 0) {
    return Status(StatusCode::kInvalidArgument, Cat("first_row ", first_row, " in tiles of ", vocabulary_tile));
  }
  if (expected_row.present() == label_row.present()) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, "expected_row without label_row, or the other way round");
}

// The gradient needs both rows.
inline Status CheckCrossEntropyFinish(const TensorView& expected_row, const TensorView& label_row,
                                      const TensorView& dx) {
  if (dx.present() == expected_row.present() && dx.present() == label_row.present()) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, "dx, expected_row and label_row come together or not at all");
}

// A position with this label is not supervised: it has no loss and no gradient.
inline constexpr int32_t kIgnoredLabel = -100;

}  // namespace lema
