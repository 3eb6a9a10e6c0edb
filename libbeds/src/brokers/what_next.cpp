#include "brokers/what_next.hpp"

#include <algorithm>

namespace beds::brokers {

namespace {

bool failed(const core::outcome& result) {
    return result.status == core::status::error;
}

/// May it end otherwise when the same request is simply tried again?
bool is_transient(const core::outcome& result, bool has_deadline) {
    if (result.code == core::code::deadline_exceeded) {
        return !has_deadline; // the template's deadline is one for each attempt
    }
    return is_retryable(result.code) || result.effect == core::effect::unknown;
}

} // namespace

const core::outcome* worst_of(std::span<const core::outcome> results) {
    const core::outcome* first = nullptr;
    for (const auto& result : results) {
        if (!failed(result)) {
            continue;
        }
        if (!is_transient(result, false)) {
            return &result;
        }
        first = first == nullptr ? &result : first;
    }
    return first;
}

bool repeats(std::span<const core::outcome> results) {
    return std::any_of(results.begin(), results.end(), [](const auto& result) {
        return result.at_least_once && result.effect != core::effect::none;
    });
}

std::string_view effect_of_all(std::span<const core::outcome> results) {
    bool applied = false;
    bool left_undone = false;
    for (const auto& result : results) {
        if (result.effect == core::effect::unknown) {
            return to_string(core::effect::unknown);
        }
        applied = applied || result.effect == core::effect::applied;
        left_undone = left_undone || (!result.ok() && result.effect == core::effect::none);
    }
    if (applied && left_undone) {
        return "partly";
    }
    return to_string(applied ? core::effect::applied : core::effect::none);
}

what_next next_for(const worked_on& message) {
    const auto& results = message.results;
    if (std::none_of(results.begin(), results.end(), failed)) {
        return what_next::nothing;
    }
    const bool transient = std::any_of(results.begin(), results.end(), [&](const auto& result) {
        return failed(result) && is_transient(result, message.has_deadline);
    });
    if (!transient || repeats(results) || message.op_class == core::op_class::read) {
        return what_next::dead_letter;
    }
    if (message.database_away) {
        return what_next::parked;
    }
    return message.attempts < message.max_attempts ? what_next::retried : what_next::dead_letter;
}

retry_step next_retry(unsigned attempts, double random) {
    constexpr std::chrono::milliseconds delays[] = {
        std::chrono::seconds{1}, std::chrono::seconds{5}, std::chrono::seconds{25}};
    const auto level = std::clamp<unsigned>(attempts, 1, std::size(delays));
    const auto longest = delays[level - 1];
    return {level, longest / 2 +
                       std::chrono::duration_cast<std::chrono::milliseconds>(longest / 2 * random)};
}

} // namespace beds::brokers
