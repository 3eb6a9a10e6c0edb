#pragma once

#include <beds/core/clock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace beds::brokers {

/// What is seen of the broker whose turn it is.
struct broker_view {
    bool stopped = false; ///< its thread has finished
    bool tried = false;   ///< since it was started anew it has tried both of its servers
    bool serves = false;  ///< it is connected to RabbitMQ and its database
};

/// In which order the brokers of one group are replaced: one after the other, the next one only
/// when the one before serves, so that all but one serve at any time. Decisions only: fed with what
/// is seen and the time, it says what to do.
class replacement {
public:
    enum class action : std::uint8_t {
        wait,
        retire,  ///< tell `current` to finish what it holds
        tell,    ///< `current` is not finished after `patience`: to be said; it is waited for
        start,   ///< `current` has finished: begin it anew
        give_up, ///< the fresh one does not serve after `patience`; the rest of the group stays
        done,    ///< all of the group were replaced
    };

    replacement(std::size_t brokers, std::chrono::milliseconds patience)
        : brokers_(brokers), patience_(patience) {}

    /// What is due. Every action but `wait`, `give_up` and `done` is to be carried out at once and
    /// is said once.
    action next(const broker_view& seen, core::steady_time now);

    [[nodiscard]] std::size_t current() const { return current_; }
    [[nodiscard]] std::size_t replaced() const { return current_; }
    [[nodiscard]] bool ended() const { return phase_ == phase::gave_up || current_ == brokers_; }

private:
    enum class phase : std::uint8_t { next, finishing, late, starting, gave_up };

    std::size_t brokers_;
    std::chrono::milliseconds patience_;
    std::size_t current_ = 0;
    phase phase_ = phase::next;
    bool served_before_ = false; ///< what did not serve need not serve afterwards
    core::steady_time since_{};
};

} // namespace beds::brokers
