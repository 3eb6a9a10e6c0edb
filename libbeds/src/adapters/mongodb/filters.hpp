#pragma once

#include "adapters/mongodb/bson_writer.hpp"

#include <beds/adapters/bound.hpp>

#include <span>

namespace beds::adapters::mongodb {

/// Conditions are written in fixed forms, `{field: {$operator: value}}` or, for values that are not
/// documents, `{field: value}`: a value can be nothing but a value. Each function writes the
/// members of an open document and says what is wrong with a value.

/// Of one row: one member per key field.
encode_problem append_key(bson_writer& to, const bound_operation& op, core::arena& memory);
/// Of many rows: `{field: {$in: […]}}`, of a compound key an `$or` of rows.
encode_problem append_keys(bson_writer& to, std::span<const bound_operation* const> ops,
                           core::arena& memory);
/// How many operations, from the first one on, may share a command: at most `most`, and as many as
/// have 1 MiB of text in their keys and `where`, far from the largest command; one in any case.
std::size_t may_share(std::span<const bound_operation* const> ops, std::size_t most);
/// `where` and `expect` and, for pages, what comes `after`. Empty: everything.
encode_problem append_where(bson_writer& to, const bound_operation& op, core::arena& memory);
/// `{field: 1 or -1, …}` of the operation's sort.
void append_sort(bson_writer& to, const bound_operation& op);
/// A regular expression that matches what begins with `prefix`, and nothing in it has a meaning.
std::string prefix_pattern(std::string_view prefix);

} // namespace beds::adapters::mongodb
