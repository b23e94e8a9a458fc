// The Node module: the only file that knows of JavaScript, and a translation only.
//
//   info()                        what this build is
//   device(backend)               the device that "cuda" would compute on; throws where there is none
//   new Engine(options)           open
//     .load(plan, paths)          → Promise; arenas, files, prepared calls
//     .run(request)               → Promise of statistics: one part of one program
//     .readTensor / .writeTensor  bytes of a buffer, between runs
//     .digest(ranges)             SHA-256 of each
//     .trace()                    times of the last run
//     .deviceBytes()              in use on the device now
//     .cancel() .close()          from any moment; close waits until nothing runs
//
// A failure becomes an Error with `code`, `instruction`, `op` and `where` (file:line of the native source).
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>

#include "core/cuda_loader.h"
#include "core/engine.h"
#include "core/run_decoder.h"
#include "core/text.h"
#include "generated/ops.h"
#include "kernels/cpu/loops.h"
#include "napi.h"

namespace lema {
namespace {

const char* CodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return "ok";
    case StatusCode::kInvalidArgument: return "invalid-argument";
    case StatusCode::kOutOfRange: return "out-of-range";
    case StatusCode::kIoError: return "io-error";
    case StatusCode::kTruncated: return "truncated";
    case StatusCode::kDigestMismatch: return "digest-mismatch";
    case StatusCode::kNonFinite: return "non-finite";
    case StatusCode::kKernelError: return "kernel-error";
    case StatusCode::kCancelled: return "cancelled";
    case StatusCode::kResourceExhausted: return "resource-exhausted";
    case StatusCode::kOpTableMismatch: return "op-table-mismatch";
    case StatusCode::kUnavailable: return "unavailable";
  }
  return "unknown";
}

Napi::Error ToError(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.status.message());
  Napi::Object value = error.Value();
  const auto& where = failure.status.where();
  value.Set("code", CodeName(failure.status.code()));
  value.Set("instruction", failure.instruction);
  value.Set("op", failure.op);
  value.Set("where", Cat(where.file_name(), ":", where.line()));
  return error;
}

void ThrowIfFailed(Napi::Env env, const Status& status) {
  if (!status.ok()) throw ToError(env, {status, "", ""});
}

std::vector<std::byte> CopyBytes(const Napi::Value& value) {
  const auto array = value.As<Napi::Uint8Array>();
  const auto data = reinterpret_cast<const std::byte*>(array.Data());
  return {data, data + array.ByteLength()};
}

uint64_t ToSize(const Napi::Value& value) {
  const double number = value.As<Napi::Number>().DoubleValue();
  constexpr double kExact = 9007199254740992.0;
  if (!(number >= 0 && number < kExact)) throw Napi::RangeError::New(value.Env(), "not a byte count");
  return static_cast<uint64_t>(number);
}

// What the JavaScript object, the worker under way and close() share.
struct Session {
  explicit Session(EngineOptions options) : engine(std::make_unique<Engine>(std::move(options))) {}

  std::mutex mutex;
  std::condition_variable idle;
  bool busy = false;
  std::unique_ptr<Engine> engine;
};

// Work off the JavaScript thread, its result translated back on it. The one asynchronous boundary there is.
class Task final : public Napi::AsyncWorker {
 public:
  using Work = std::function<Failure(Engine&)>;
  using Result = std::function<Napi::Value(Napi::Env)>;

  static Napi::Value Start(Napi::Env env, std::shared_ptr<Session> session, Work work, Result result) {
    {
      const std::lock_guard lock(session->mutex);
      if (session->busy) throw Napi::Error::New(env, "the engine is busy");
      session->busy = true;
      session->engine->Arm();  // from here on a cancel is for this task, begun or not
    }
    auto* task = new Task(env, std::move(session), std::move(work), std::move(result));
    task->Queue();
    return task->deferred_.Promise();
  }

 protected:
  void Execute() override {
    try {
      failure_ = work_(*session_->engine);
    } catch (const std::exception& error) {
      failure_ = {Status(StatusCode::kResourceExhausted, error.what()), "", ""};
    }
    const std::lock_guard lock(session_->mutex);
    session_->busy = false;
    session_->idle.notify_all();
  }
  void OnOK() override {
    if (failure_.status.ok()) {
      deferred_.Resolve(result_(Env()));
    } else {
      deferred_.Reject(ToError(Env(), failure_).Value());
    }
  }

 private:
  Task(Napi::Env env, std::shared_ptr<Session> session, Work work, Result result)
      : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), session_(std::move(session)),
        work_(std::move(work)), result_(std::move(result)) {}

  Napi::Promise::Deferred deferred_;
  const std::shared_ptr<Session> session_;
  const Work work_;
  const Result result_;
  Failure failure_;
};

class EngineObject final : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(env, "Engine",
                       {InstanceMethod<&EngineObject::Load>("load"), InstanceMethod<&EngineObject::Run>("run"),
                        InstanceMethod<&EngineObject::ReadTensor>("readTensor"),
                        InstanceMethod<&EngineObject::WriteTensor>("writeTensor"),
                        InstanceMethod<&EngineObject::Digest>("digest"), InstanceMethod<&EngineObject::Trace>("trace"),
                        InstanceMethod<&EngineObject::DeviceBytes>("deviceBytes"), InstanceMethod<&EngineObject::Cancel>("cancel"),
                        InstanceMethod<&EngineObject::Close>("close")});
  }

  // options: {backend, serialLanes, diskWorkers, diskThrottle (bytes a second, 0: none)}
  explicit EngineObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const auto given = info[0].As<Napi::Object>();
    EngineOptions options;
    options.backend = given.Get("backend").As<Napi::String>().Utf8Value();
    options.serial_lanes = given.Get("serialLanes").As<Napi::Boolean>().Value();
    options.disk.workers = given.Get("diskWorkers").As<Napi::Number>().Int32Value();
    options.disk.bytes_per_second = ToSize(given.Get("diskThrottle"));
    session_ = std::make_shared<Session>(std::move(options));
  }

  ~EngineObject() override {
    if (session_) StopAndWait();
  }

 private:
  Napi::Value Load(const Napi::CallbackInfo& info) {
    auto plan = std::make_shared<std::vector<std::byte>>(CopyBytes(info[0]));
    std::vector<std::string> paths;
    const auto list = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); ++i) paths.push_back(list.Get(i).As<Napi::String>().Utf8Value());
    auto found = std::make_shared<EngineInfo>();
    return Task::Start(
        info.Env(), Open(info),
        [plan, paths, found](Engine& engine) {
          Failure failure = engine.Load(*plan, paths);
          *found = engine.info();
          return failure;
        },
        [found](Napi::Env env) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("ramBytes", static_cast<double>(found->ram_bytes));
          result.Set("vramBytes", static_cast<double>(found->vram_bytes));
          result.Set("directIo", found->direct_io);
          result.Set("deviceBytesBefore", static_cast<double>(found->device_bytes_before));
          result.Set("deviceBytesAfter", static_cast<double>(found->device_bytes_after));
          return result;
        });
  }

  Napi::Value Run(const Napi::CallbackInfo& info) {
    auto encoded = std::make_shared<std::vector<std::byte>>(CopyBytes(info[0]));
    auto stats = std::make_shared<RunStats>();
    return Task::Start(
        info.Env(), Open(info),
        [encoded, stats](Engine& engine) -> Failure {
          RunRequest request;
          if (Status s = DecodeRun(*encoded, &request); !s.ok()) return {s, "", ""};
          return engine.Run(request, stats.get());
        },
        [stats](Napi::Env env) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("bytesRead", static_cast<double>(stats->bytes_read));
          result.Set("bytesWritten", static_cast<double>(stats->bytes_written));
          result.Set("nanoseconds", static_cast<double>(stats->nanoseconds));
          result.Set("tensorsVerified", static_cast<double>(stats->tensors_verified));
          return result;
        });
  }

  // (buffer, offset, bytes) → Uint8Array
  Napi::Value ReadTensor(const Napi::CallbackInfo& info) {
    Engine& engine = Idle(info);
    const uint32_t buffer = info[0].As<Napi::Number>().Uint32Value();
    const uint64_t offset = ToSize(info[1]);
    // Before the allocation: an absurd size is a range error, not an attempt.
    const uint64_t bytes = ToSize(info[2]);
    ThrowIfFailed(info.Env(), engine.CheckRange(buffer, offset, bytes));
    auto result = Napi::Uint8Array::New(info.Env(), bytes);
    ThrowIfFailed(info.Env(), engine.Read(buffer, offset, {reinterpret_cast<std::byte*>(result.Data()), bytes}));
    return result;
  }

  // (Float64Array of [buffer, offset, bytes] for each range) → Uint8Array of 32 bytes for each
  Napi::Value Digest(const Napi::CallbackInfo& info) {
    const auto given = info[0].As<Napi::Float64Array>();
    auto ranges = std::make_shared<std::vector<ByteRange>>();
    for (size_t i = 0; i + 3 <= given.ElementLength(); i += 3) {
      ranges->push_back({static_cast<uint32_t>(given[i]), ToSize(Napi::Number::New(info.Env(), given[i + 1])),
                         ToSize(Napi::Number::New(info.Env(), given[i + 2]))});
    }
    auto digests = std::make_shared<std::vector<Sha256Digest>>(ranges->size());
    return Task::Start(
        info.Env(), Open(info),
        [ranges, digests](Engine& engine) -> Failure { return {engine.Digest(*ranges, *digests), "", ""}; },
        [digests](Napi::Env env) -> Napi::Value {
          auto result = Napi::Uint8Array::New(env, digests->size() * sizeof(Sha256Digest));
          std::memcpy(result.Data(), digests->data(), result.ByteLength());
          return result;
        });
  }

  // (buffer, offset, Uint8Array)
  void WriteTensor(const Napi::CallbackInfo& info) {
    Engine& engine = Idle(info);
    const auto from = info[2].As<Napi::Uint8Array>();
    const std::span bytes(reinterpret_cast<const std::byte*>(from.Data()), from.ByteLength());
    ThrowIfFailed(info.Env(), engine.Write(info[0].As<Napi::Number>().Uint32Value(), ToSize(info[1]), bytes));
  }

  // Float64Array of [start, end, waited] for each instruction of the last part in serial order, in nanoseconds.
  Napi::Value Trace(const Napi::CallbackInfo& info) {
    const std::span<const TraceSpan> spans = Idle(info).trace();
    auto result = Napi::Float64Array::New(info.Env(), 3 * spans.size());
    for (size_t i = 0; i < spans.size(); ++i) {
      result[3 * i] = static_cast<double>(spans[i].start);
      result[3 * i + 1] = static_cast<double>(spans[i].end);
      result[3 * i + 2] = static_cast<double>(spans[i].waited);
    }
    return result;
  }

  Napi::Value DeviceBytes(const Napi::CallbackInfo& info) {
    uint64_t in_use = 0;
    ThrowIfFailed(info.Env(), Idle(info).DeviceBytes(&in_use));
    return Napi::Number::New(info.Env(), static_cast<double>(in_use));
  }

  void Cancel(const Napi::CallbackInfo&) {
    if (!session_) return;
    const std::lock_guard lock(session_->mutex);
    if (session_->busy) session_->engine->Cancel();
  }

  void Close(const Napi::CallbackInfo&) {
    if (!session_) return;
    StopAndWait();
    session_->engine.reset();
    session_.reset();
  }

  void StopAndWait() {
    std::unique_lock lock(session_->mutex);
    if (session_->busy) session_->engine->Cancel();
    session_->idle.wait(lock, [this] { return !session_->busy; });
  }

  std::shared_ptr<Session> Open(const Napi::CallbackInfo& info) const {
    if (!session_) throw Napi::Error::New(info.Env(), "the engine is closed");
    return session_;
  }

  Engine& Idle(const Napi::CallbackInfo& info) const {
    const auto session = Open(info);
    const std::lock_guard lock(session->mutex);
    if (session->busy) throw Napi::Error::New(info.Env(), "the engine is busy");
    if (!session->engine->loaded()) throw Napi::Error::New(info.Env(), "no plan is loaded");
    return *session->engine;
  }

  std::shared_ptr<Session> session_;
};

Napi::Value Info(const Napi::CallbackInfo& info) {
  auto result = Napi::Object::New(info.Env());
  result.Set("opTable", kOpTableHash);
  result.Set("compiler", Cat("g++ ", __VERSION__));
  result.Set("instructionSet", cpu::ActiveLoops().name);
  return result;
}

Napi::Value Device(const Napi::CallbackInfo& info) {
  CudaDevice device;
  ThrowIfFailed(info.Env(), ProbeCuda(info[0].As<Napi::String>().Utf8Value(), &device));
  auto result = Napi::Object::New(info.Env());
  result.Set("name", device.name);
  result.Set("capability", device.capability);
  result.Set("products", device.products);
  result.Set("driver", device.driver);
  result.Set("runtime", device.runtime);
  result.Set("totalBytes", static_cast<double>(device.total_bytes));
  result.Set("freeBytes", static_cast<double>(device.free_bytes));
  return result;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("info", Napi::Function::New(env, Info));
  exports.Set("device", Napi::Function::New(env, Device));
  exports.Set("Engine", EngineObject::Class(env));
  return exports;
}

NODE_API_MODULE(lema, Init)

}  // namespace
}  // namespace lema
