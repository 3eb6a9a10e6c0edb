#include "query.hpp"

#include "sqlite_adapter.hpp"
#include "values.hpp"

#include <algorithm>

namespace beds_sqlite {

using beds::adapters::comparison;
using beds::adapters::direction;
using beds::adapters::sort_key;
namespace core = beds::core;

namespace {

std::string_view operator_of(comparison op) {
    switch (op) {
    case comparison::eq:
        return " = ";
    case comparison::ne:
        return " <> ";
    case comparison::lt:
        return " < ";
    case comparison::le:
        return " <= ";
    case comparison::gt:
        return " > ";
    case comparison::ge:
        return " >= ";
    case comparison::is_null:
        return " IS NULL";
    case comparison::is_not_null:
        return " IS NOT NULL";
    case comparison::in:
    case comparison::prefix:
        break;
    }
    return {};
}

/// Calls `add` for each, with `between` in between.
template <class Range, class Add>
void each_of(query& to, const Range& all, std::string_view between, Add add) {
    std::string_view separator;
    for (const auto& each : all) {
        to.text(separator);
        add(each);
        separator = between;
    }
}

} // namespace

query& query::text(std::string_view sql) {
    text_ += sql;
    return *this;
}

query& query::object() {
    return text(sql_name(target_.object));
}

query& query::column(field_id field) {
    return text(sql_name(target_.fields[field].column));
}

query& query::columns(std::span<const field_id> fields) {
    each_of(*this, fields, ", ", [this](field_id field) { column(field); });
    return *this;
}

query& query::value(field_id field, const core::value& given) {
    values_.push_back({given, &target_.fields[field].type});
    return text("?");
}

query& query::values(std::span<const assignment> given) {
    each_of(*this, given, ", ", [this](const assignment& each) { value(each.field, each.value); });
    return *this;
}

query& query::settings(std::span<const assignment> given) {
    each_of(*this, given, ", ", [this](const assignment& each) {
        column(each.field).text(" = ").value(each.field, each.value);
    });
    return *this;
}

query& query::number(std::int64_t given) {
    static const core::field_type whole{.kind = core::type_kind::int64};
    values_.push_back({core::value::of_int(given), &whole});
    return text("?");
}

query& query::take_over(std::span<const field_id> fields) {
    text(fields.empty() ? "NOTHING" : "UPDATE SET ");
    each_of(*this, fields, ", ",
            [this](field_id field) { column(field).text(" = excluded.").column(field); });
    return *this;
}

query& query::next_condition() {
    text(has_condition_ ? " AND " : " WHERE ");
    has_condition_ = true;
    return *this;
}

query& query::has_key(std::span<const core::value> key) {
    for (std::size_t i = 0; i < key.size(); ++i) {
        const auto field = target_.key[i];
        next_condition().column(field).text(" = ").value(field, key[i]);
    }
    return *this;
}

query& query::is_meant_by(const bound_operation& op) {
    has_key(op.key);
    for (const auto& each : op.where) {
        condition(each);
    }
    return *this;
}

void query::condition(const beds::adapters::condition& asked) {
    const auto& given = asked.values;
    next_condition().column(asked.field);
    switch (asked.op) {
    case comparison::is_null:
    case comparison::is_not_null:
        text(operator_of(asked.op));
        break;
    case comparison::in:
        text(" IN (");
        each_of(*this, given, ", ", [&](const core::value& each) { value(asked.field, each); });
        text(")");
        break;
    case comparison::prefix:
        // As a range, which an index can serve. No byte of UTF-8 is as high as 0xFF.
        text(" >= ").value(asked.field, given[0]).text(" AND ").column(asked.field);
        text(" < ").value(asked.field, given[0]).text(" || CAST(x'FF' AS TEXT)");
        break;
    default:
        text(operator_of(asked.op)).value(asked.field, given[0]);
        break;
    }
}

query& query::equals(std::span<const assignment> expected) {
    for (const auto& each : expected) {
        next_condition().column(each.field).text(" IS ").value(each.field, each.value);
    }
    return *this;
}

query& query::comes_after_page_of(const bound_operation& op) {
    if (op.after.empty()) {
        return *this;
    }
    // The first field is behind, or it is equal and the second one is behind, and so on.
    next_condition().text("(");
    for (std::size_t i = 0; i < op.sort.size(); ++i) {
        text(i == 0 ? "" : " OR ");
        for (std::size_t equal = 0; equal < i; ++equal) {
            const auto field = op.sort[equal].field;
            column(field).text(" IS ").value(field, op.after[equal]).text(" AND ");
        }
        behind(op.sort[i], op.after[i]);
    }
    return text(")");
}

void query::behind(const sort_key& by, const core::value& last) {
    const bool ascending = by.direction == direction::ascending;
    // Null is the least of all, for SQLite as for BEDS.
    if (last.is_null() && ascending) {
        column(by.field).text(" IS NOT NULL");
    } else if (last.is_null()) {
        text("FALSE");
    } else if (ascending) {
        column(by.field).text(" > ").value(by.field, last);
    } else {
        text("(").column(by.field).text(" < ").value(by.field, last);
        text(" OR ").column(by.field).text(" IS NULL)");
    }
}

query& query::order(std::span<const sort_key> by) {
    text(" ORDER BY ");
    each_of(*this, by, ", ", [this](const sort_key& each) {
        column(each.field).text(each.direction == direction::ascending ? "" : " DESC");
    });
    return *this;
}

statement query::prepare(database& on) const {
    auto prepared = on.prepare(text_);
    int place = 0;
    for (const auto& each : values_) {
        bind(prepared, ++place, each.given, *each.type);
    }
    return prepared;
}

} // namespace beds_sqlite
