#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace beds::factory {

/// The id under which the inbox keeps it: its own, or that of its message with its position.
std::string_view operation_id(const core::request& from, const core::operation& op,
                              std::size_t index, core::arena& memory);

/// Of an operation's id, in bytes: what the inbox keeps.
constexpr std::size_t longest_id = 255;

/// The content that an id stands for: everything but id and deadline.
core::content_hash content_of(const core::operation& op);

/// What a stored reply says, as far as the batch needs it; of a refusal also what people read in
/// the log and in a dead letter. Nothing when it came damaged from the database: no answer, then.
std::optional<core::outcome> outcome_of_stored(std::string_view reply, core::arena& memory);

/// Refused for good or done: what sending the same id again gets as its answer.
bool is_final(const core::outcome& result);

/// Rows that others hold stood in its way, or its unit ended before its turn: certainly not done,
/// and worth another try.
bool is_busy(const core::outcome& result);

} // namespace beds::factory
