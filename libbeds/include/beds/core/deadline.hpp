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
    /// A span too long for the clock is `never()`; a negative one has expired.
    [[nodiscard]] static deadline after(duration span, const clock& source = machine_clock()) {
        const steady_time now = source.steady_now();
        return span >= steady_time::max() - now ? never() : deadline{now + span};
    }
    /// From an absolute time of day, such as the header `beds-deadline`. A later step of the system
    /// clock does not move it. More than a year ahead is `never()`, more than a year ago is a year
    /// ago, so that no number a client sends overflows a clock.
    [[nodiscard]] static deadline at(system_time when, const clock& source = machine_clock()) {
        constexpr std::chrono::hours year{24 * 365};
        const system_time now = source.system_now();
        if (when > now + year) {
            return never();
        }
        const system_time counted = std::max(when, now - year);
        return after(std::chrono::duration_cast<duration>(counted - now), source);
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
