#pragma once

#include "brokers/taken.hpp"

#include <beds/core/clock.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>
#include <beds/factory/factory.hpp>
#include <beds/observe/log.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace beds::brokers {

/// One operation, or a message as a whole, that did not go well.
struct failure {
    std::string_view event{};      ///< as its caller was told
    std::string_view message_id{}; ///< the caller's
    std::string_view trace{};      ///< the caller's `traceparent`
    std::string_view template_name{};
    std::optional<core::verb> op{};
    std::size_t position = 0; ///< in its envelope
    core::outcome result{};
};

/// Tells operators what did not go well: a line `BEDS_REQUEST_FAILED` for each, with what finds it
/// again in the caller's own records, and never with values of a request. What applications are
/// told in the course of their work (NOT_FOUND, DUPLICATE_KEY, …) is debug, anything else info.
/// Lines of one second are bounded; of the rest a sum. For one thread.
class failure_log {
public:
    static constexpr std::uint32_t most_a_second = 50;

    failure_log(observe::log_sink log, std::string_view name) : log_(std::move(log)), name_(name) {}

    void enter(std::span<const taken> batch, std::span<const factory::message> messages,
               core::steady_time now);
    void enter(const failure& one, core::steady_time now);
    /// The sum of what was left out, when its second is over.
    void sum_up(core::steady_time now);

private:
    observe::log_sink log_;
    std::string name_;
    std::string text_;
    core::steady_time second_{};
    std::uint32_t written_ = 0;
    std::uint64_t left_out_ = 0;
    std::array<std::uint64_t, core::code_count> left_out_of_{};
};

} // namespace beds::brokers
