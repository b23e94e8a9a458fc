// A joined thread with a small stack. The default of 8 MiB a thread would count against a limit on data memory and
// against the plan's reserve, for lanes that need a few kilobytes.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>
#include <system_error>
#include <utility>

namespace lema {

class Thread {
 public:
  // Throws std::system_error when the system gives no thread; made at load, where that becomes a Status.
  explicit Thread(std::function<void()> body) : body_(std::make_unique<std::function<void()>>(std::move(body))) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    const int error = pthread_create(&thread_, &attributes, [](void* body) -> void* {
      (*static_cast<std::function<void()>*>(body))();
      return nullptr;
    }, body_.get());
    pthread_attr_destroy(&attributes);
    if (error != 0) throw std::system_error(error, std::generic_category(), "cannot start a thread");
  }
  ~Thread() {
    if (body_) pthread_join(thread_, nullptr);
  }
  Thread(Thread&&) = default;
  Thread& operator=(Thread&&) = delete;

 private:
  static constexpr size_t kStackBytes = 1 << 20;

  std::unique_ptr<std::function<void()>> body_;  // null once moved from
  pthread_t thread_;
};

}  // namespace lema
