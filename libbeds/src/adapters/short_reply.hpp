#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/outcome.hpp>

#include <span>

namespace beds::adapters {

/// What the inbox keeps instead of a reply that is too large for it: that the operation was done,
/// and with which effect. `results` are found by the operation's index; the text lives in
/// `memory`.
const sealed_reply* short_reply(const sealed_reply& large, outcomes results, core::arena& memory);

} // namespace beds::adapters
