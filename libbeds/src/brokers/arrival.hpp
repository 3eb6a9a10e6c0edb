#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace beds::brokers {

/// How long something took to come for the first time; written by one thread, read by any.
class arrival {
public:
    void start() { began_.store(now(), std::memory_order_relaxed); }
    void note() {
        if (took_.load(std::memory_order_relaxed) < 0) {
            took_.store(since_start(), std::memory_order_relaxed);
        }
    }
    [[nodiscard]] std::chrono::microseconds waited() const {
        const auto took = took_.load(std::memory_order_relaxed);
        return std::chrono::microseconds{took < 0 ? since_start() : took};
    }

private:
    static std::int64_t now() {
        return std::chrono::duration_cast<std::chrono::microseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }
    [[nodiscard]] std::int64_t since_start() const {
        const auto began = began_.load(std::memory_order_relaxed);
        return began == 0 ? 0 : now() - began;
    }

    std::atomic<std::int64_t> began_{0};
    std::atomic<std::int64_t> took_{-1};
};

} // namespace beds::brokers
