#pragma once

#include "brokers/resend.hpp"
#include "brokers/what_next.hpp"

#include <beds/amqp/message.hpp>
#include <beds/core/outcome.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace beds::brokers {

/// What a batch remembers of each of its messages.
struct taken {
    amqp::delivery* delivery = nullptr;
    std::string_view event{};
    origin from{};
    std::optional<core::outcome> refused{}; ///< the message as a whole
    std::size_t message = 0;                ///< position among the factory's messages
    std::uint64_t sequence = 0;             ///< of its reply; 0: its confirm is not waited for
    what_next after = what_next::nothing;
    std::chrono::milliseconds held_for{0}; ///< of a lane: until it is tried again
};

} // namespace beds::brokers
