#include "adapters/mariadb/sql.hpp"

#include <beds/core/arena.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace beds::adapters::mariadb {
namespace {

using templates::template_def;

const std::string& column_of(const template_def& target, field_id field) {
    return target.fields[field].column;
}

void start(query& out, const bound_operation& op) {
    out.clear();
    out.comment(op.target->name, core::to_string(op.op));
}

void select_list(query& out, const selection& columns, const template_def& target) {
    for (std::size_t i = 0; i < columns.fields.size(); ++i) {
        out.text(i == 0 ? "" : ", ").name(column_of(target, columns.fields[i]));
    }
}

/// k1 = ? AND k2 = ?
void key_equals(query& out, const template_def& target, std::span<const core::value> key,
                const table_shape& shape) {
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        out.text(i == 0 ? "" : " AND ").name(column_of(target, target.key[i])).text(" = ");
        out.bind(key[i], encoding_of(shape, target.key[i]));
    }
}

/// k IN (?,?) or (k1, k2) IN ((?,?),(?,?)), padded by repeating the last key.
void key_in(query& out, const template_def& target, operation_list keys, const table_shape& shape) {
    const bool compound = target.key.size() > 1;
    out.text(compound ? "(" : "");
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        out.text(i == 0 ? "" : ", ").name(column_of(target, target.key[i]));
    }
    out.text(compound ? ") IN (" : " IN (");
    const std::size_t size = padded_size(keys.size());
    for (std::size_t i = 0; i < size; ++i) {
        const auto& key = keys[std::min(i, keys.size() - 1)]->key;
        out.text(i == 0 ? "" : ",").text(compound ? "(" : "");
        for (std::size_t part = 0; part < key.size(); ++part) {
            out.text(part == 0 ? "" : ",");
            out.bind(key[part], encoding_of(shape, target.key[part]));
        }
        out.text(compound ? ")" : "");
    }
    out.text(")");
}

std::string_view operator_text(comparison op) {
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
    default:
        return {};
    }
}

/// The text as a LIKE pattern that matches what begins with it; `|` escapes.
std::string_view prefix_pattern(std::string_view text, core::arena& memory) {
    const auto room = memory.make_span<char>(text.size() * 2 + 1);
    char* at = room.data();
    for (const char c : text) {
        if (c == '%' || c == '_' || c == '|') {
            *at++ = '|';
        }
        *at++ = c;
    }
    *at++ = '%';
    return {room.data(), static_cast<std::size_t>(at - room.data())};
}

void add_condition(query& out, const template_def& target, const condition& given,
                   const table_shape& shape, core::arena& memory) {
    out.name(column_of(target, given.field));
    const encoding how = encoding_of(shape, given.field);
    switch (given.op) {
    case comparison::is_null:
        out.text(" IS NULL");
        return;
    case comparison::is_not_null:
        out.text(" IS NOT NULL");
        return;
    case comparison::prefix: {
        core::value pattern = given.values.front();
        pattern.text = prefix_pattern(pattern.text, memory);
        out.text(" LIKE ").bind(pattern).text(" ESCAPE '|'");
        return;
    }
    case comparison::in: {
        if (given.values.empty()) {
            out.text(" IS NULL AND FALSE"); // nothing is in an empty list
            return;
        }
        out.text(" IN (");
        // Padded, so that lists of many lengths share a few statements.
        const std::size_t size = given.values.size() <= most_in_one_statement
                                     ? padded_size(given.values.size())
                                     : given.values.size();
        for (std::size_t i = 0; i < size; ++i) {
            out.text(i == 0 ? "" : ",");
            out.bind(given.values[std::min(i, given.values.size() - 1)], how);
        }
        out.text(")");
        return;
    }
    default:
        out.text(operator_text(given.op)).bind(given.values.front(), how);
        return;
    }
}

/// Conditions of `where` and `if` and the key; at least one stands there.
void add_where(query& out, const bound_operation& op, const table_shape& shape,
               core::arena& memory) {
    const template_def& target = *op.target;
    std::string_view glue = " WHERE ";
    if (!op.key.empty()) {
        out.text(glue);
        key_equals(out, target, op.key, shape);
        glue = " AND ";
    }
    for (const auto& given : op.where) {
        out.text(glue);
        add_condition(out, target, given, shape, memory);
        glue = " AND ";
    }
    for (const auto& expected : op.expect) {
        out.text(glue).name(column_of(target, expected.field)).text(" <=> ");
        out.bind(expected.value, encoding_of(shape, expected.field));
        glue = " AND ";
    }
}

bool may_be_null(const template_def& target, const table_shape& shape, field_id field) {
    const auto& column = shape.columns[field];
    return target.fields[field].nullable || (column.known && column.nullable);
}

/// Rows behind the cursor: for each sort field, those equal in all fields before it and behind in
/// it. NULL stands before all values when ascending and behind them when descending.
void add_after(query& out, const bound_operation& op, const table_shape& shape) {
    const template_def& target = *op.target;
    const auto column = [&](std::size_t i) -> const std::string& {
        return column_of(target, op.sort[i].field);
    };
    const auto value = [&](std::size_t i) {
        out.bind(op.after[i], encoding_of(shape, op.sort[i].field));
    };
    // A plain bound on the first field lets the server start in the middle of the index.
    const auto& first = op.sort.front();
    const bool first_nullable = may_be_null(target, shape, first.field);
    if (!op.after.front().is_null()) {
        if (first.direction == direction::ascending) {
            out.name(column(0)).text(" >= ");
            value(0);
            out.text(" AND ");
        } else if (!first_nullable) {
            out.name(column(0)).text(" <= ");
            value(0);
            out.text(" AND ");
        }
    }
    out.text("(");
    bool any = false;
    for (std::size_t i = 0; i < op.sort.size(); ++i) {
        const bool descending = op.sort[i].direction == direction::descending;
        if (op.after[i].is_null() && descending) {
            continue; // nothing stands behind NULL
        }
        out.text(any ? " OR (" : "(");
        any = true;
        for (std::size_t before = 0; before < i; ++before) {
            out.name(column(before));
            if (op.after[before].is_null()) {
                out.text(" IS NULL AND ");
            } else {
                out.text(" = ");
                value(before);
                out.text(" AND ");
            }
        }
        if (op.after[i].is_null()) {
            out.name(column(i)).text(" IS NOT NULL");
        } else if (!descending) {
            out.name(column(i)).text(" > ");
            value(i);
        } else if (may_be_null(target, shape, op.sort[i].field)) {
            out.text("(").name(column(i)).text(" < ");
            value(i);
            out.text(" OR ").name(column(i)).text(" IS NULL)");
        } else {
            out.name(column(i)).text(" < ");
            value(i);
        }
        out.text(")");
    }
    out.text(any ? ")" : "FALSE)");
}

/// A key's `?` in a derived table, with the type of the column it is compared with: otherwise the
/// server could not use the index.
void bind_key_column(query& out, const template_def& target, field_id field,
                     const core::value& value, const table_shape& shape) {
    const column_shape& column = shape.columns[field];
    std::string_view opening;
    std::string_view closing;
    using core::type_kind;
    switch (target.fields[field].type.kind) {
    case type_kind::boolean:
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
        opening = "CAST(";
        closing = " AS SIGNED)";
        break;
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
    case type_kind::uint64:
        opening = "CAST(";
        closing = " AS UNSIGNED)";
        break;
    case type_kind::date:
        opening = "CAST(";
        closing = " AS DATE)";
        break;
    case type_kind::time:
        opening = "CAST(";
        closing = " AS TIME(6))";
        break;
    case type_kind::datetime:
        opening = "CAST(";
        closing = " AS DATETIME(6))";
        break;
    default:
        if (column.uuid) {
            opening = "CAST(";
            closing = " AS UUID)";
        } else if (column.is_text()) {
            out.text("CONVERT(").bind(value, encoding_of(shape, field)).text(" USING ");
            out.text(column.charset).text(") COLLATE ").text(column.collation);
            return;
        }
        break;
    }
    out.text(opening).bind(value, encoding_of(shape, field)).text(closing);
}

/// The rest of a SELECT that reads `limit` + 1 rows.
void add_find(query& out, const selection& columns, const bound_operation& op,
              const table_shape& shape, core::arena& memory) {
    const template_def& target = *op.target;
    select_list(out, columns, target);
    out.text(" FROM ").object(target.read_object());
    add_where(out, op, shape, memory);
    if (!op.after.empty()) {
        out.text(op.where.empty() ? " WHERE " : " AND ");
        add_after(out, op, shape);
    }
    for (std::size_t i = 0; i < op.sort.size(); ++i) {
        const auto field = op.sort[i].field;
        // An ENUM column sorts by the number of its value but compares as text; a cursor needs one
        // order.
        const bool as_text = target.fields[field].type.kind == core::type_kind::enumeration;
        out.text(i == 0 ? " ORDER BY " : ", ").text(as_text ? "CONCAT(" : "");
        out.name(column_of(target, field)).text(as_text ? ")" : "");
        out.text(op.sort[i].direction == direction::descending ? " DESC" : "");
    }
    out.text(" LIMIT ").bind(core::value::of_uint(std::uint64_t{op.limit} + 1));
}

void add_count(query& out, const bound_operation& op, const table_shape& shape,
               core::arena& memory) {
    out.text("COUNT(*) FROM ").object(op.target->read_object());
    add_where(out, op, shape, memory);
}

void add_exists(query& out, const bound_operation& op, const table_shape& shape,
                core::arena& memory) {
    out.text("EXISTS (SELECT 1 FROM ").object(op.target->read_object());
    add_where(out, op, shape, memory);
    out.text(")");
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Does `bind_key_column` compare this value as `column = ?` would? Its conversion to the column's
/// character set must lose nothing.
bool joins_exactly(const template_def& target, field_id field, const core::value& value,
                   const table_shape& shape) {
    using core::type_kind;
    const column_shape& column = shape.columns[field];
    switch (target.fields[field].type.kind) {
    case type_kind::string:
    case type_kind::enumeration:
    case type_kind::uuid:
        break;
    case type_kind::json:
    case type_kind::document:
        return false;
    default:
        return true;
    }
    if (!column.known) {
        return false;
    }
    return !column.is_text() || value.is_null() || column.charset == "utf8mb4" ||
           is_ascii(value.text);
}

void add_number(query& out, char letter, std::size_t number) {
    std::array<char, 24> digits{};
    digits[0] = letter;
    const auto [end, problem] =
        std::to_chars(digits.data() + 1, digits.data() + digits.size(), number);
    static_cast<void>(problem); // 23 characters hold any size_t
    out.text({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

} // namespace

std::size_t selection::place(field_id field) {
    const auto found = std::find(fields.begin(), fields.end(), field);
    if (found != fields.end()) {
        return static_cast<std::size_t>(found - fields.begin());
    }
    fields.push_back(field);
    return fields.size() - 1;
}

encoding encoding_of(const table_shape& shape, field_id field) {
    return shape.columns[field].uuid_bytes ? encoding::uuid_bytes : encoding::standard;
}

bool keys_compare_by_value(const template_def& target, const table_shape& shape) {
    return std::all_of(target.key.begin(), target.key.end(), [&](field_id field) {
        const auto kind = target.fields[field].type.kind;
        if (kind != core::type_kind::string && kind != core::type_kind::enumeration) {
            return true; // a UUID has one spelling, whatever the collation of its column
        }
        const auto& column = shape.columns[field];
        return column.known ? column.is_binary_text() || !column.is_text()
                            : target.fields[field].collation.empty();
    });
}

bool key_is_unique(const template_def& target, const table_shape& shape) {
    if (shape.unique_indexes.empty() && shape.wider_indexes.empty()) {
        return true; // a view, or not to be seen: the template's word counts
    }
    return std::any_of(
        shape.unique_indexes.begin(), shape.unique_indexes.end(), [&](const auto& index) {
            return !shape.wider_indexes.contains(index.first) &&
                   std::all_of(index.second.begin(), index.second.end(), [&](field_id field) {
                       return std::find(target.key.begin(), target.key.end(), field) !=
                              target.key.end();
                   });
        });
}

bool can_join(operation_list work, const table_shape& shape) {
    return std::all_of(work.begin(), work.end(), [&](const bound_operation* op) {
        const template_def& target = *op->target;
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            if (!joins_exactly(target, target.key[i], op->key[i], shape)) {
                return false;
            }
        }
        return std::all_of(op->expect.begin(), op->expect.end(), [&](const assignment& expected) {
            return joins_exactly(target, expected.field, expected.value, shape);
        });
    });
}

void fetch_by_keys(query& out, const selection& columns, operation_list keys,
                   const table_shape& shape) {
    const template_def& target = *keys.front()->target;
    start(out, *keys.front());
    out.text("SELECT ");
    select_list(out, columns, target);
    out.text(" FROM ").object(target.read_object()).text(" WHERE ");
    key_in(out, target, keys, shape);
}

void fetch_by_arms(query& out, const selection& columns, operation_list keys,
                   const table_shape& shape) {
    const template_def& target = *keys.front()->target;
    start(out, *keys.front());
    const core::value nothing{};
    const std::size_t size = padded_size(keys.size());
    for (std::size_t i = 0; i < size; ++i) {
        out.text(i == 0 ? "SELECT " : " UNION ALL SELECT ");
        add_number(out, ' ', i);
        out.text(", ");
        select_list(out, columns, target);
        out.text(" FROM ").object(target.read_object()).text(" WHERE ");
        for (std::size_t part = 0; part < target.key.size(); ++part) {
            out.text(part == 0 ? "" : " AND ");
            out.name(column_of(target, target.key[part])).text(" = ");
            // Arms that only pad look for NULL and find nothing.
            out.bind(i < keys.size() ? keys[i]->key[part] : nothing,
                     encoding_of(shape, target.key[part]));
        }
    }
}

void fetch_by_join(query& out, const selection& columns, operation_list keys,
                   const table_shape& shape) {
    const template_def& target = *keys.front()->target;
    start(out, *keys.front());
    const core::value nothing{};
    const std::size_t size = padded_size(keys.size());
    out.text("SELECT v.n");
    for (const auto field : columns.fields) {
        out.text(", t.").name(column_of(target, field));
    }
    out.text(" FROM (");
    for (std::size_t row = 0; row < size; ++row) {
        add_number(out.text(row == 0 ? "SELECT" : " UNION ALL SELECT"), ' ', row);
        out.text(row == 0 ? " n" : "");
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            bind_key_column(out.text(","), target, target.key[i],
                            row < keys.size() ? keys[row]->key[i] : nothing, shape);
            if (row == 0) {
                add_number(out.text(" "), 'k', i);
            }
        }
    }
    out.text(") v STRAIGHT_JOIN ").object(target.read_object()).text(" t ON ");
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        out.text(i == 0 ? "t." : " AND t.").name(column_of(target, target.key[i])).text(" = v.");
        add_number(out, 'k', i);
    }
}

void find(query& out, const selection& columns, const bound_operation& op, const table_shape& shape,
          core::arena& memory) {
    start(out, op);
    out.text("SELECT ");
    add_find(out, columns, op, shape, memory);
}

void find_by_arms(query& out, const selection& columns, operation_list work,
                  const table_shape& shape, core::arena& memory) {
    start(out, *work.front());
    for (std::size_t i = 0; i < work.size(); ++i) {
        out.text(i == 0 ? "(SELECT" : ") UNION ALL (SELECT");
        add_number(out, ' ', i);
        out.text(", ");
        add_find(out, columns, *work[i], shape, memory);
    }
    out.text(")");
}

void count(query& out, const bound_operation& op, const table_shape& shape, core::arena& memory) {
    start(out, op);
    out.text("SELECT ");
    add_count(out, op, shape, memory);
}

void exists(query& out, const bound_operation& op, const table_shape& shape, core::arena& memory) {
    start(out, op);
    out.text("SELECT ");
    add_exists(out, op, shape, memory);
}

void numbers_by_arms(query& out, operation_list work, const table_shape& shape,
                     core::arena& memory) {
    start(out, *work.front());
    for (std::size_t i = 0; i < work.size(); ++i) {
        out.text(i == 0 ? "SELECT" : " UNION ALL SELECT");
        add_number(out, ' ', i);
        out.text(", ");
        if (work[i]->op == core::verb::count) {
            add_count(out, *work[i], shape, memory);
        } else {
            add_exists(out, *work[i], shape, memory);
        }
    }
}

void insert(query& out, const template_def& target, std::span<const insert_row> rows,
            std::span<const field_id> returning, const table_shape& shape) {
    out.clear();
    out.comment(target.name, "insert").text("INSERT INTO ").object(target.object).text(" (");
    const insert_row& first = rows.front();
    for (std::size_t i = 0; i < first.size(); ++i) {
        out.text(i == 0 ? "" : ", ").name(column_of(target, first[i].field));
    }
    out.text(") VALUES ");
    for (std::size_t row = 0; row < rows.size(); ++row) {
        out.text(row == 0 ? "(" : ",(");
        for (std::size_t i = 0; i < rows[row].size(); ++i) {
            out.text(i == 0 ? "" : ",");
            out.bind(rows[row][i].value, encoding_of(shape, rows[row][i].field));
        }
        out.text(")");
    }
    for (std::size_t i = 0; i < returning.size(); ++i) {
        out.text(i == 0 ? " RETURNING " : ", ").name(column_of(target, returning[i]));
    }
}

void update_one(query& out, const bound_operation& op, const table_shape& shape,
                core::arena& memory) {
    const template_def& target = *op.target;
    start(out, op);
    out.text("UPDATE ").object(target.object);
    std::string_view glue = " SET ";
    for (const auto& change : op.set) {
        out.text(glue).name(column_of(target, change.field)).text(" = ");
        out.bind(change.value, encoding_of(shape, change.field));
        glue = ", ";
    }
    for (const auto& change : op.inc) {
        const auto& column = column_of(target, change.field);
        out.text(glue).name(column).text(" = ").name(column).text(" + ").bind(change.value);
        glue = ", ";
    }
    add_where(out, op, shape, memory);
    for (const auto& change : op.inc) {
        if (!op.key.empty() && may_be_null(target, shape, change.field)) {
            out.text(" AND ").name(column_of(target, change.field)).text(" IS NOT NULL");
        }
    }
}

bool may_add_to_null(const bound_operation& op, const table_shape& shape) {
    return std::any_of(op.inc.begin(), op.inc.end(), [&](const assignment& change) {
        return may_be_null(*op.target, shape, change.field);
    });
}

void rows_without_value(query& out, const bound_operation& op, const table_shape& shape,
                        core::arena& memory) {
    const template_def& target = *op.target;
    start(out, op);
    std::string_view glue = "SELECT COUNT(IF(";
    for (const auto& change : op.inc) {
        out.text(glue).name(column_of(target, change.field)).text(" IS NULL");
        glue = " OR ";
    }
    out.text(", 1, NULL)) FROM ").object(target.object);
    add_where(out, op, shape, memory);
    out.text(" FOR UPDATE");
}

void update_by_join(query& out, operation_list work, const table_shape& shape) {
    const bound_operation& first = *work.front();
    const template_def& target = *first.target;
    const core::value nothing{};
    start(out, first);
    out.text("UPDATE (");
    const std::size_t size = padded_size(work.size());
    for (std::size_t row = 0; row < size; ++row) {
        const bool padding = row >= work.size();
        const bound_operation& op = *work[std::min(row, work.size() - 1)];
        out.text(row == 0 ? "SELECT " : " UNION ALL SELECT ");
        // Names count only where they stand first.
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            out.text(i == 0 ? "" : ",");
            bind_key_column(out, target, target.key[i], padding ? nothing : op.key[i], shape);
            if (row == 0) {
                add_number(out.text(" "), 'k', i);
            }
        }
        for (std::size_t i = 0; i < op.set.size(); ++i) {
            out.text(",").bind(op.set[i].value, encoding_of(shape, op.set[i].field));
            if (row == 0) {
                add_number(out.text(" "), 's', i);
            }
        }
        for (std::size_t i = 0; i < op.inc.size(); ++i) {
            out.text(",").bind(op.inc[i].value);
            if (row == 0) {
                add_number(out.text(" "), 'i', i);
            }
        }
        for (std::size_t i = 0; i < op.expect.size(); ++i) {
            bind_key_column(out.text(","), target, op.expect[i].field, op.expect[i].value, shape);
            if (row == 0) {
                add_number(out.text(" "), 'e', i);
            }
        }
    }
    out.text(") v STRAIGHT_JOIN ").object(target.object).text(" t ON ");
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        out.text(i == 0 ? "t." : " AND t.").name(column_of(target, target.key[i])).text(" = v.");
        add_number(out, 'k', i);
    }
    for (std::size_t i = 0; i < first.expect.size(); ++i) {
        out.text(" AND t.").name(column_of(target, first.expect[i].field)).text(" <=> v.");
        add_number(out, 'e', i);
    }
    for (const auto& change : first.inc) {
        if (may_be_null(target, shape, change.field)) {
            out.text(" AND t.").name(column_of(target, change.field)).text(" IS NOT NULL");
        }
    }
    std::string_view glue = " SET t.";
    for (std::size_t i = 0; i < first.set.size(); ++i) {
        out.text(glue).name(column_of(target, first.set[i].field)).text(" = v.");
        add_number(out, 's', i);
        glue = ", t.";
    }
    for (std::size_t i = 0; i < first.inc.size(); ++i) {
        const auto& column = column_of(target, first.inc[i].field);
        out.text(glue).name(column).text(" = t.").name(column).text(" + v.");
        add_number(out, 'i', i);
        glue = ", t.";
    }
}

void remove_one(query& out, const bound_operation& op, const table_shape& shape,
                core::arena& memory) {
    start(out, op);
    out.text("DELETE FROM ").object(op.target->object);
    add_where(out, op, shape, memory);
}

void remove_by_keys(query& out, operation_list work, const table_shape& shape) {
    start(out, *work.front());
    const template_def& target = *work.front()->target;
    out.text("DELETE FROM ").object(target.object).text(" WHERE ");
    if (work.front()->expect.empty()) {
        key_in(out, target, work, shape);
        return;
    }
    const std::size_t size = padded_size(work.size());
    for (std::size_t row = 0; row < size; ++row) {
        const bound_operation& op = *work[std::min(row, work.size() - 1)];
        key_equals(out.text(row == 0 ? "(" : " OR ("), target, op.key, shape);
        for (const auto& expected : op.expect) {
            out.text(" AND ").name(column_of(target, expected.field)).text(" <=> ");
            out.bind(expected.value, encoding_of(shape, expected.field));
        }
        out.text(")");
    }
}

void keys_for_update(query& out, const selection& columns, const bound_operation& op,
                     std::uint64_t most, const looked_in& rows, core::arena& memory) {
    start(out, op);
    out.text("SELECT ");
    select_list(out, columns, *op.target);
    out.text(" FROM ").object(rows.object);
    add_where(out, op, rows.shape, memory);
    out.text(" LIMIT ").bind(core::value::of_uint(most)).text(" FOR UPDATE");
}

void row_is_there(query& out, const bound_operation& op, looked_for what, const looked_in& rows,
                  core::arena& memory) {
    start(out, op);
    out.text("SELECT 1 FROM ").object(rows.object);
    auto asked = op;
    if (what == looked_for::key) {
        asked.expect = {};
    }
    add_where(out, asked, rows.shape, memory);
}

} // namespace beds::adapters::mariadb
