#pragma once

#include <beds/core/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace beds::brokers {

/// Wakes a thread that waits in poll(2).
class wake_event {
public:
    wake_event() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (descriptor_ < 0) {
            throw core::error(core::errc::internal, "cannot make an eventfd");
        }
    }
    ~wake_event() { ::close(descriptor_); }
    wake_event(const wake_event&) = delete;
    wake_event& operator=(const wake_event&) = delete;

    [[nodiscard]] int descriptor() const { return descriptor_; }
    void set() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
    }
    void clear() const {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto read = ::read(descriptor_, &count, sizeof count);
    }
    void wait(std::chrono::milliseconds longest) const {
        pollfd watched{descriptor_, POLLIN, 0};
        ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(longest.count(), 0)));
    }

private:
    int descriptor_;
};

} // namespace beds::brokers
