// The replies of writes, in the database of their effects, so that both are there or none.
#pragma once

#include "database.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/clock.hpp>

#include <span>
#include <vector>

namespace beds_sqlite {

using beds::adapters::operation_identity;
using beds::adapters::sealed_reply;
using beds::adapters::stored_reply;

/// Where it is missing.
void make_inbox(database& in);

/// Those of `ids` that were written before; their replies go into `memory`.
void find_replies(database& in, std::span<const operation_identity> ids, beds::core::arena& memory,
                  std::vector<stored_reply>& known);

/// False: one of the ids is there already, whatever its content.
bool add_replies(database& in, std::span<const sealed_reply> replies, beds::core::system_time now);

/// Some of those that are older, so that nothing has to run in the background: who adds replies
/// takes a few more away than it adds.
void forget_replies(database& in, beds::core::system_time before, std::size_t at_most);

} // namespace beds_sqlite
