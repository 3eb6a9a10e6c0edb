#pragma once

#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace beds::brokers {

/// What becomes of a request that was worked on and that nobody waits for.
enum class what_next : std::uint8_t {
    nothing,     ///< it is acknowledged: all went well
    parked,      ///< kept until its database is there again; does not count as an attempt
    retried,     ///< tried again after a delay
    dead_letter, ///< to the dead letters: refused for good, or tried often enough
};

struct worked_on {
    std::span<const core::outcome> results{};
    core::op_class op_class = core::op_class::read; ///< of the queue it came from
    /// It was never tried on the database, which was away before and after: what ends the session
    /// that works on it must not wait for the next one for ever.
    bool database_away = false;
    /// Its sender set a deadline: after that there is nothing to try again.
    bool has_deadline = false;
    unsigned attempts = 1; ///< this one counted
    unsigned max_attempts = 1;
};

/// Reads are never tried again: nobody waits for their rows. Neither is a message of which a part
/// was applied that would be applied once more (`at_least_once`).
what_next next_for(const worked_on& message);

/// Something of it was applied, or may have been, that would be applied once more.
bool repeats(std::span<const core::outcome> results);

/// What became of all of it together: `partly` when a part was applied and another was not, else
/// the effect that the parts have, and `unknown` when it is that of any part.
std::string_view effect_of_all(std::span<const core::outcome> results);

/// The error that stands for the message as a whole: the first that is refused for good, else the
/// first; nullptr when all went well.
const core::outcome* worst_of(std::span<const core::outcome> results);

struct retry_step {
    unsigned level = 1; ///< of `amqp::retry_queue`
    std::chrono::milliseconds delay{};
};

/// After so many attempts (1, 2, …): about 1 s, 5 s, then 25 s, each between half of it and all of
/// it, so that what failed together does not come back together. `random` is from [0, 1).
retry_step next_retry(unsigned attempts, double random);

} // namespace beds::brokers
