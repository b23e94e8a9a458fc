#include "core/run_decoder.h"

#include "core/byte_reader.h"

namespace lema {

Status DecodeRun(std::span<const std::byte> bytes, RunRequest* request) {
  *request = {};
  ByteReader in(bytes);
  request->program = in.Choice<uint8_t>(kProgramCount, "program");
  request->part = in.Choice<uint8_t>(kPartCount, "part");
  request->sync = in.Choice<uint8_t>(2, "flag") != 0;
  for (uint32_t i = 0, n = in.Count(12); i < n; ++i) {
    const uint32_t input = in.U32();
    request->inputs.push_back({input, in.Bytes(in.U64())});
  }
  for (uint32_t i = 0, n = in.Count(16); i < n; ++i) {
    SinkPath sink;
    sink.sink = in.U32();
    sink.path = in.Text();
    sink.base = in.U64();
    request->sinks.push_back(std::move(sink));
  }
  return in.Finish("encoded run");
}

}  // namespace lema
