// Which kernels compute attention.
#pragma once

#include <cstdint>

#include "cuda/capability.h"

namespace lema::cuda {

enum class AttentionPath { kWarpgroup64, kWarpgroup128, kTensor64, kTensor128, kSimt64, kSimt128, kSimt256 };

// `size` of a head; `in_bf16`: queries (and so keys and values) and outputs (and so their gradients). Nothing that a plan may choose.
constexpr AttentionPath AttentionPathOf(int64_t size, bool in_bf16, int capability) {
  if (in_bf16 && capability == kWarpgroupCapability) {
    if (size == 64) return AttentionPath::kWarpgroup64;
    if (size == 128) return AttentionPath::kWarpgroup128;
  }
  if (in_bf16 && capability >= kTensorCoreCapability) {
    if (size == 64) return AttentionPath::kTensor64;
    if (size == 128) return AttentionPath::kTensor128;
  }
  if (size <= 64) return AttentionPath::kSimt64;
  return size <= 128 ? AttentionPath::kSimt128 : AttentionPath::kSimt256;
}

constexpr const char* NameOf(AttentionPath path) {
  switch (path) {
    case AttentionPath::kWarpgroup64: return "warpgroup 64";
    case AttentionPath::kWarpgroup128: return "warpgroup 128";
    case AttentionPath::kTensor64: return "tensor 64";
    case AttentionPath::kTensor128: return "tensor 128";
    case AttentionPath::kSimt64: return "simt 64";
    case AttentionPath::kSimt128: return "simt 128";
    case AttentionPath::kSimt256: return "simt 256";
  }
  return "";
}

}  // namespace lema::cuda
