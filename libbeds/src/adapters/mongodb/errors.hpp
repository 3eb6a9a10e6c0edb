#pragma once

#include "adapters/mongodb/mongoc_include.hpp"

#include <beds/core/outcome.hpp>
#include <beds/templates/template_def.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beds::adapters::mongodb {

/// What the server said about a command or about one write of it. Views into its reply.
struct server_error {
    std::int32_t code = 0;
    std::string_view message;
    bson_iter_t document{}; ///< the element that holds it, for details; only when `has_document`
    bool has_document = false;
};

/// What a code of the server means to a client.
struct meaning {
    core::code code = core::code::internal;
    std::string_view detail;
};
meaning meaning_of(std::int32_t server_code);

/// What a code says of one write and not of a command: a bad value does not go with the row's.
std::int32_t code_of_one_write(std::int32_t server_code);

/// Did a write command that failed as a whole certainly change nothing?
bool certainly_nothing_done(std::int32_t server_code);
/// The same for a pipeline that writes, which may fail in the middle in more ways.
bool no_pipeline_began(std::int32_t server_code);
/// Is the server about to go away or no longer the one that takes writes? Then the session is of no
/// more use.
bool server_is_leaving(std::int32_t server_code);

/// Did the server end the command because its `maxTimeMS` was over? A write may be half done then.
bool time_is_over(std::int32_t server_code);
/// Was this one write of a command certainly not done? Behind a router a write can fail because
/// the server that did it was not heard of again.
bool write_certainly_failed(std::int32_t server_code);

/// "name" of "E11000 … index: name dup key: …"; empty when it is not there.
std::string_view index_of_duplicate(std::string_view message);

/// The stored name that a failed validation or a duplicate's `keyPattern` is about, when told.
std::optional<std::string> column_at_fault(const server_error& error);

std::optional<templates::field_id> field_of_column(const templates::template_def& target,
                                                   std::string_view column);

} // namespace beds::adapters::mongodb
