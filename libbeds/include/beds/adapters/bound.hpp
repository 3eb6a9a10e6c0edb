#pragma once

#include <beds/core/deadline.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/row.hpp>
#include <beds/core/value.hpp>
#include <beds/templates/template_def.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace beds::adapters {

using templates::field_id;

/// A field and a value of its type.
struct assignment {
    field_id field = 0;
    core::value value;
};

/// The value that a row, `set`, `inc` or `if` gives a field; null: none is given. A value may be
/// NULL.
const core::value* given_value(std::span<const assignment> from, field_id field);

enum class comparison : std::uint8_t { eq, ne, lt, le, gt, ge, in, prefix, is_null, is_not_null };

/// One condition of `where`; all conditions of an operation hold together.
struct condition {
    field_id field = 0;
    comparison op = comparison::eq;
    std::span<const core::value> values; ///< one, several for `in`, none for the null tests
};

enum class direction : std::uint8_t { ascending, descending };

struct sort_key {
    field_id field = 0;
    adapters::direction direction = adapters::direction::ascending;
};

/// One operation whose every part is checked against its template and typed. Views into the batch's
/// arena and the message; the template outlives the batch.
struct bound_operation {
    core::op_index index = 0; ///< what results are written under
    core::verb op = core::verb::fetch;
    /// What the caller said. With `soft_delete` a delete is done by an update that marks the row,
    /// and a fetch by a find of a row without mark.
    core::verb asked = core::verb::fetch;
    const templates::template_def* target = nullptr;
    core::deadline deadline = core::deadline::never();

    /// fetch, find: the fields to return and their layout. insert, update, delete: those of
    /// `return`, of each row as a fetch would show it when the write is done (deleted ones: right
    /// before it); empty: no rows.
    std::span<const field_id> fields;
    const core::row_layout* layout = nullptr;

    /// fetch, update, delete by key: one value per key field, in key order. Empty: by `where`.
    std::span<const core::value> key;
    std::span<const condition> where;

    /// find: always ends in the key's fields, so that the order is total (the factory appends
    /// them).
    std::span<const sort_key> sort;
    std::uint32_t limit = 0; ///< rows to return; read one more to know whether a next page exists
    std::span<const core::value>
        after; ///< cursor: the sort fields' values of the last row seen; empty: first page
    std::uint64_t cursor_tag =
        0; ///< binds a cursor to template, filter and sort; for row_sink::next

    /// insert: one span of assignments per row; every row has the same fields in the same order,
    /// generated and default values included.
    std::span<const std::span<const assignment>> rows;
    /// insert with `on_conflict`: the key, or the fields of a unique index. A row that has these
    /// values already gets the fields `taken_over` of the new one (none: it stays as it is) instead
    /// of failing; null is no value. Empty: without `on_conflict`. What another unique index
    /// forbids fails as ever. The count is that of rows inserted and changed; the keys are those of
    /// the rows that are there then.
    std::span<const field_id> unique;
    std::span<const field_id> taken_over;

    std::span<const assignment> set;
    std::span<const assignment> inc;
    std::span<const assignment> expect; ///< `if`

    const templates::call* call = nullptr;
    std::span<const core::value> args; ///< in the template's order; null when not given
};

/// Two operations of the same shape differ in values only: they can share one statement.
bool same_shape(const bound_operation& left, const bound_operation& right);

/// The order in which rows are locked: field by field as `core::less` says, a missing key first.
bool less_key(std::span<const core::value> left, std::span<const core::value> right);

enum class group_mode : std::uint8_t {
    /// Same template and shape, independent of each other, no key twice among updates and deletes.
    /// The adapter may run them in any order and in one statement; one that fails fails alone.
    /// `call` groups run strictly in the order given.
    independent,
    /// Any operations of the connection, strictly in order, all or nothing: the first failure
    /// undoes
    /// what the group did; the others end as `skipped`.
    atomic,
};

struct group {
    group_mode mode = group_mode::independent;
    std::span<const bound_operation* const> operations;
};

} // namespace beds::adapters
