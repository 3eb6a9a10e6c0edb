#pragma once

#include "adapters/mariadb/handles.hpp"

#include <beds/core/value.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace beds::adapters::mariadb {

/// One cell of a row of the binary protocol, where the driver received it. Valid until the next row
/// is fetched.
struct raw_cell {
    const unsigned char* data = nullptr; ///< null: NULL
    std::size_t size = 0;                ///< without a length prefix

    [[nodiscard]] std::string_view text() const {
        return {reinterpret_cast<const char*>(data), size};
    }
};

/// Takes one cell of type `type` from `at` and moves `at` behind it. Nothing: it would reach beyond
/// `end`, where its row ends, or its length is none; then `at` is not moved.
std::optional<raw_cell> take_cell(enum_field_types type, unsigned char** at,
                                  const unsigned char* end);

/// Room for text that has to be written anew while a row is looked at.
using cell_text = std::array<char, 88>;

/// The typed value of a cell: what the template calls the field decides, whatever the column is.
/// Text is a view into the driver's buffer or `room`. False: the stored value does not fit the
/// type.
bool read_cell(const raw_cell& cell, const MYSQL_FIELD& column, const core::field_type& type,
               cell_text& room, core::value& to);

/// What a column may hold and a type does not.
enum class unreadable_kind : std::uint8_t {
    other_type,
    no_time_of_day, ///< a TIME that is negative or longer than a day
    no_date,        ///< '0000-00-00', '2024-05-00'
    no_truth,       ///< a number that is neither 0 nor 1
    upper_case,     ///< see `is_uuid_in_upper_case`
};
/// Of a cell that `read_cell` did not read.
unreadable_kind why_unreadable(const MYSQL_FIELD& column, const core::field_type& type);

/// Is it text that the column tells from the same UUID in lower case? No key or cursor with the
/// UUID that `read_cell` made of it would find the row.
bool is_uuid_in_upper_case(const raw_cell& cell, const MYSQL_FIELD& column,
                           const core::field_type& type);

/// 36 characters from 16 bytes, and back (`text` must be a UUID).
void format_uuid(const unsigned char* bytes, char* text);
void parse_uuid(std::string_view text, unsigned char* bytes);

} // namespace beds::adapters::mariadb
