#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/clock.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace beds::brokers {

/// Makes event ids: the prefix, then time in milliseconds, a number that is random per maker, and a
/// count, all in hexadecimal. They sort by time, and two never meet in practice.
class event_ids {
public:
    explicit event_ids(std::string prefix);

    /// The next id, in `memory`.
    std::string_view next(core::system_time now, core::arena& memory);

private:
    std::string prefix_;
    std::uint32_t maker_;
    std::uint32_t count_ = 0;
};

} // namespace beds::brokers
