#pragma once

#include <beds/core/clock.hpp>

#include <algorithm>
#include <chrono>

namespace beds::core {

/// The moment by which an operation has ended, one way or the other. It covers the whole operation,
/// waiting included. There is no sentinel number: unbounded is `deadline::never()`.
class deadline {
public:
    using duration = std::chrono::steady_clock::duration;

    [[nodiscard]] static deadline never() { return deadline{steady_time::max()}; }
    [[nodiscard]] static deadline at(steady_time when) { return deadline{when}; }
    [[nodiscard]] static deadline after(duration span, const clock& source = machine_clock()) {
        return deadline{source.steady_now() + span};
    }
    /// From an absolute time of day, such as the header `beds-deadline`. A later step of the system
    /// clock does not move it.
    [[nodiscard]] static deadline at(system_time when, const clock& source = machine_clock()) {
        const auto left = when - source.system_now();
        // A time of day far in the future must not overflow the steady clock.
        if (left > std::chrono::hours{24 * 365}) {
            return never();
        }
        return deadline{source.steady_now() + std::chrono::duration_cast<duration>(left)};
    }

    [[nodiscard]] bool is_never() const { return when_ == steady_time::max(); }
    [[nodiscard]] steady_time when() const { return when_; }
    [[nodiscard]] bool expired(const clock& source = machine_clock()) const {
        return !is_never() && source.steady_now() >= when_;
    }
    /// What is left, never negative; `duration::max()` for `never()`.
    [[nodiscard]] duration remaining(const clock& source = machine_clock()) const {
        if (is_never()) {
            return duration::max();
        }
        return std::max(duration::zero(), when_ - source.steady_now());
    }
    [[nodiscard]] std::chrono::milliseconds
    remaining_ms(const clock& source = machine_clock()) const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(remaining(source));
    }
    [[nodiscard]] deadline earlier(deadline other) const {
        return deadline{std::min(when_, other.when_)};
    }

    friend bool operator==(const deadline&, const deadline&) = default;
    friend auto operator<=>(const deadline&, const deadline&) = default;

private:
    explicit deadline(steady_time when) : when_(when) {}
    steady_time when_;
};

} // namespace beds::core
