#pragma once

#include <beds/core/row.hpp>
#include <beds/core/value.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beds::testing {

/// A `core::value` that owns its text, so that it outlives the call that gave it.
class owned_value {
public:
    owned_value() = default;
    explicit owned_value(const core::value& from);

    [[nodiscard]] core::value::kind kind() const { return kind_; }
    [[nodiscard]] bool is_null() const { return kind_ == core::value::kind::null; }
    /// A view into this object. A `document` was turned into JSON text when it was recorded.
    [[nodiscard]] core::value view() const;

    /// Same kind and same content; JSON text is compared by what it means: white space, escapes and
    /// the order of an object's members do not matter.
    friend bool operator==(const owned_value& left, const owned_value& right);

private:
    core::value::kind kind_ = core::value::kind::null;
    std::uint64_t bits_ = 0; ///< integer, unsigned integer or the bits of a double
    std::string text_;
};

/// For messages: `null`, `42`, `"text"`, `2026-01-31`, …
std::string to_string(const owned_value& value);

struct recorded_row {
    std::vector<std::string> names;
    std::vector<owned_value> cells;

    /// The cell of that name; throws std::out_of_range when the row has none.
    [[nodiscard]] const owned_value& at(std::string_view name) const;
    friend bool operator==(const recorded_row&, const recorded_row&) = default;
};
std::string to_string(const recorded_row& row);

struct recorded_set {
    std::string name;
    std::vector<recorded_row> rows;
};

struct recorded_cursor {
    std::uint64_t tag = 0;
    std::vector<owned_value> position;
};

/// All that was written for one operation.
struct recorded_result {
    bool has_rows = false; ///< rows were written, or `no_rows` was said
    std::vector<recorded_row> rows;
    std::optional<recorded_cursor> next;
    std::optional<std::uint64_t> total;
    std::optional<bool> exists;
    std::optional<std::uint64_t> count;
    std::vector<std::vector<owned_value>> keys;
    std::vector<recorded_set> sets;
    std::optional<recorded_row> out;
    std::uint32_t resets = 0;
};

/// A `row_sink` that keeps typed rows, and watches that it is used as its contract says: the number
/// and kinds of cells, rows ended, nothing shared from an unfinished row. For tests of adapters and
/// factories and for embedding programs' own tests. Not thread-safe.
class recording_sink final : public core::row_sink {
public:
    /// The result of an operation; empty when nothing was written for it.
    [[nodiscard]] const recorded_result& of(core::op_index op) const;
    /// Everything that broke the contract of `row_sink` so far, in words. Empty: nothing did.
    [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
    void clear();

    void reset(core::op_index op) override;
    void begin_row(core::op_index op, const core::row_layout& layout) override;
    void cell(const core::value& given) override;
    void end_row() override;
    void share_rows(core::op_index from, core::op_index to) override;
    void no_rows(core::op_index op) override;
    void next(core::op_index op, std::uint64_t tag, std::span<const core::value> position) override;
    void total(core::op_index op, std::uint64_t total) override;
    void exists(core::op_index op, bool exists) override;
    void count(core::op_index op, std::uint64_t count) override;
    void key(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> key) override;
    void begin_set(core::op_index op, std::string_view name) override;
    void out(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> values) override;

private:
    recorded_result& open(core::op_index op, const char* what);
    void check_cell(const core::row_layout& layout, std::size_t column, const core::value& given);

    std::map<core::op_index, recorded_result> results_;
    std::vector<std::string> violations_;
    const core::row_layout* layout_ = nullptr; ///< of the row that is open
    core::op_index row_op_ = 0;
    recorded_row row_;
};

/// The kind of value that a cell of this type has.
core::value::kind kind_of(const core::field_type& type);

} // namespace beds::testing
