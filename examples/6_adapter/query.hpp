// The text of one statement about a template's table, and the values that go with it.
#pragma once

#include "database.hpp"

#include <beds/adapters/bound.hpp>
#include <beds/core/value.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds_sqlite {

using beds::adapters::assignment;
using beds::adapters::bound_operation;
using beds::adapters::field_id;

/// Grows from left to right. No value of a caller ever stands in the text, only a place for it; so
/// operations of one shape share a prepared statement, too.
class query {
public:
    explicit query(const beds::templates::template_def& target) : target_(target) {}

    /// SQL that we wrote ourselves.
    query& text(std::string_view sql);
    query& object();
    /// Separated by commas, as are the following.
    query& columns(std::span<const field_id> fields);
    query& values(std::span<const assignment> given);
    query& settings(std::span<const assignment> given);
    query& number(std::int64_t given);
    /// What ON CONFLICT does: these fields get the values of the row that could not be inserted.
    query& take_over(std::span<const field_id> fields);

    // Each adds to the same WHERE, which comes with the first of them.
    query& has_key(std::span<const beds::core::value> key);
    /// The rows that the operation is about: by its key, and by its `where`.
    query& is_meant_by(const bound_operation& op);
    /// Null equals null here.
    query& equals(std::span<const assignment> expected);
    /// Behind the last row of the page before.
    query& comes_after_page_of(const bound_operation& op);

    query& order(std::span<const beds::adapters::sort_key> by);

    [[nodiscard]] statement prepare(database& on) const;

private:
    struct bound_value {
        beds::core::value given;
        const beds::core::field_type* type;
    };

    query& column(field_id field);
    query& value(field_id field, const beds::core::value& given);
    query& next_condition();
    void condition(const beds::adapters::condition& asked);
    void behind(const beds::adapters::sort_key& by, const beds::core::value& last);

    const beds::templates::template_def& target_;
    std::string text_;
    std::vector<bound_value> values_;
    bool has_condition_ = false;
};

} // namespace beds_sqlite
