#pragma once

#include <beds/core/value.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::core {

/// Number of an operation within its batch.
using op_index = std::uint32_t;

/// The public names and types of the cells of a row, in order. Made once per template and
/// projection, then shared by all rows.
class row_layout {
public:
    struct column {
        std::string name{};
        field_type type{};
    };

    row_layout() = default;
    explicit row_layout(std::vector<column> columns);

    [[nodiscard]] std::span<const column> columns() const { return columns_; }
    [[nodiscard]] std::size_t size() const { return columns_.size(); }
    /// `"name":` of column i, ready for JSON. Field names need no escaping (templates see to it).
    [[nodiscard]] std::string_view json_key(std::size_t i) const { return json_keys_[i]; }

private:
    std::vector<column> columns_;
    std::vector<std::string> json_keys_;
};

/// Where the parts of a result that are not its outcome go. Adapters write, in any order of
/// operations; `wire` turns it into reply bytes, the in-process client into typed rows. Values are
/// views that are valid during the call only. Called by one thread at a time.
class row_sink {
public:
    virtual ~row_sink() = default;

    /// Forgets all that was written for `op`: a rerun starts from nothing.
    virtual void reset(op_index op) = 0;

    /// Starts one row of the result's `rows`. Its cells follow in the order of the layout, every
    /// one of them, then `end_row()`. The layout must live until the batch ends.
    virtual void begin_row(op_index op, const row_layout& layout) = 0;
    virtual void cell(const value& given) = 0;
    virtual void end_row() = 0;

    /// `to` gets the same rows as `from`, which is complete: two operations of one group asked for
    /// one row.
    virtual void share_rows(op_index from, op_index to) = 0;

    /// Fetch and find have rows, even when there are none.
    virtual void no_rows(op_index op) = 0;

    /// More rows exist: `position` holds the sort fields' values of the last row written, from
    /// which the sink makes the cursor; `tag` is the operation's `cursor_tag`.
    virtual void next(op_index op, std::uint64_t tag, std::span<const value> position) = 0;
    virtual void total(op_index op, std::uint64_t total) = 0;
    virtual void exists(op_index op, bool exists) = 0;
    /// Rows that a write matched.
    virtual void count(op_index op, std::uint64_t count) = 0;
    /// Key of an inserted row; called once per row. A compound key has several values, and then the
    /// layout names them.
    virtual void key(op_index op, const row_layout& layout, std::span<const value> key) = 0;
    /// One named result set of a call; rows follow by begin_row until the next set begins. A set
    /// without rows is announced all the same.
    virtual void begin_set(op_index op, std::string_view name) = 0;
    /// The out arguments of a call, all at once.
    virtual void out(op_index op, const row_layout& layout, std::span<const value> values) = 0;
};

struct outcome;

/// A row_sink whose results can be finished, stored and answered again: what the factory works
/// with.
class result_sink : public row_sink {
public:
    /// The finished result as the bytes that an inbox stores. They live in `memory`.
    virtual std::string_view encode(op_index op, const outcome& result, arena& memory) = 0;
    /// The operation was answered before: `reply` are the bytes that `encode` gave then.
    virtual void stored(op_index op, std::string_view reply) = 0;
    /// Further members of a result that come from the node itself (describe): `"name":value,…`.
    virtual void raw(op_index op, std::string_view json_members) = 0;
    /// A result of more bytes ends as LIMIT_EXCEEDED.
    virtual void limit(op_index /*op*/, std::size_t /*bytes*/) {}
};

} // namespace beds::core
