#pragma once

#include "adapters/mariadb/query.hpp"
#include "adapters/mariadb/shape.hpp"

#include <beds/adapters/bound.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace beds::core {
class arena;
}

/// The text of every statement on tables and views. Pure: no server, no driver. Identifiers come
/// from the template; everything that a client sent is a bound value.
namespace beds::adapters::mariadb {

using operation_list = std::span<const bound_operation* const>;

/// What a SELECT returns: the operation's fields first, then those that the adapter itself needs.
struct selection {
    std::vector<field_id> fields;
    std::size_t asked = 0; ///< how many of them the client sees

    void start(std::span<const field_id> wanted) {
        fields.assign(wanted.begin(), wanted.end());
        asked = fields.size();
    }
    /// Position of the field's cell; appended when it is not there yet.
    std::size_t place(field_id field);
};

/// Are keys equal exactly when their values are? Otherwise the column's collation decides, and rows
/// cannot be matched to operations by value.
bool keys_compare_by_value(const templates::template_def& target, const table_shape& shape);

/// SELECT … WHERE key IN (…), padded by repeating the last key.
void fetch_by_keys(query& out, const selection& columns, operation_list keys,
                   const table_shape& shape);
/// SELECT 0, … WHERE key = … UNION ALL SELECT 1, … : each row names its operation.
void fetch_by_arms(query& out, const selection& columns, operation_list keys,
                   const table_shape& shape);
/// The same as a join on the keys, at a third of the cost, where `can_join`.
void fetch_by_join(query& out, const selection& columns, operation_list keys,
                   const table_shape& shape);
/// Reads `limit` + 1 rows.
void find(query& out, const selection& columns, const bound_operation& op, const table_shape& shape,
          core::arena& memory);
/// Several finds of one shape as (SELECT 0, … LIMIT ?) UNION ALL (SELECT 1, …): each row names its
/// operation, and operations come in order.
void find_by_arms(query& out, const selection& columns, operation_list work,
                  const table_shape& shape, core::arena& memory);
void count(query& out, const bound_operation& op, const table_shape& shape, core::arena& memory);
void exists(query& out, const bound_operation& op, const table_shape& shape, core::arena& memory);
/// Several counts or several exists of one shape: a row of place and number for each.
void numbers_by_arms(query& out, operation_list work, const table_shape& shape,
                     core::arena& memory);

using insert_row = std::span<const assignment>;
/// INSERT of exactly these rows; `returning`: fields to give back (servers that can).
void insert(query& out, const templates::template_def& target, std::span<const insert_row> rows,
            std::span<const field_id> returning, const table_shape& shape);

/// By key or where, with `if`.
void update_one(query& out, const bound_operation& op, const table_shape& shape,
                core::arena& memory);
/// Does a key match one row at most, as far as can be seen? Otherwise a statement's total tells
/// nothing about single operations.
bool key_is_unique(const templates::template_def& target, const table_shape& shape);
/// Does a join on these keys (and `if`) match what each operation alone would?
bool can_join(operation_list work, const table_shape& shape);
/// Several updates by key of one shape: a join on the values, padded with keys that match nothing.
void update_by_join(query& out, operation_list work, const table_shape& shape);
void remove_one(query& out, const bound_operation& op, const table_shape& shape,
                core::arena& memory);
/// Several deletes by key, with `if`.
void remove_by_keys(query& out, operation_list work, const table_shape& shape);
/// Where a write looks for rows: in the object, or, where a procedure writes and no right on the
/// object is needed, where they are read.
struct looked_in {
    const std::string& object;
    const table_shape& shape;
};
/// SELECT … FOR UPDATE of what the operation writes, as its own condition finds it.
void keys_for_update(query& out, const selection& columns, const bound_operation& op,
                     std::uint64_t most, const looked_in& rows, core::arena& memory);
/// Is the row that the operation means there, and (`expected`) as its `if` says?
enum class looked_for : std::uint8_t { key, expected };
void row_is_there(query& out, const bound_operation& op, looked_for what, const looked_in& rows,
                  core::arena& memory);
/// Can `inc` meet a field without a value? To that nothing can be added.
bool may_add_to_null(const bound_operation& op, const table_shape& shape);
/// Of an update by `where`: how many of its rows have no value to add to? They are all locked, so
/// that none of them loses it meanwhile.
void rows_without_value(query& out, const bound_operation& op, const table_shape& shape,
                        core::arena& memory);

/// A value of a field as the column takes it.
encoding encoding_of(const table_shape& shape, field_id field);

} // namespace beds::adapters::mariadb
