#include "adapters/mongodb/filters.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace beds::adapters::mongodb {
namespace {

using core::value;

const std::string& column(const bound_operation& op, field_id field) {
    return op.target->fields[field].column;
}

/// `name: {$operator: value}`
encode_problem compare(bson_writer& to, const bound_operation& op, field_id field,
                       std::string_view comparison, const value& with, core::arena& memory) {
    to.begin_document(column(op, field));
    auto problem = append_field(to, comparison, with, *op.target, field, memory);
    to.end();
    return problem;
}

/// `name: value`, which servers find in an index most surely; `name: {$eq: value}` where the value
/// is a document, whose members the server might take for operators.
encode_problem equals(bson_writer& to, const bound_operation& op, field_id field, const value& with,
                      core::arena& memory) {
    if (with.type == value::kind::json || with.type == value::kind::document) {
        return compare(to, op, field, "$eq", with, memory);
    }
    return append_field(to, column(op, field), with, *op.target, field, memory);
}

void compare_null(bson_writer& to, const bound_operation& op, field_id field,
                  std::string_view comparison) {
    to.begin_document(column(op, field));
    to.null(comparison);
    to.end();
}

encode_problem in_list(bson_writer& to, const bound_operation& op, const condition& from,
                       std::string_view comparison, core::arena& memory) {
    to.begin_document(column(op, from.field));
    to.begin_array(comparison);
    std::size_t i = 0;
    for (const auto& one : from.values) {
        if (auto problem =
                append_field(to, element_name{i++}, one, *op.target, from.field, memory)) {
            return problem;
        }
    }
    if (from.op == comparison::ne) {
        to.null(element_name{i}); // `ne` does not match null
    }
    to.end();
    to.end();
    return std::nullopt;
}

encode_problem append_condition(bson_writer& to, const bound_operation& op, const condition& from,
                                core::arena& memory) {
    const auto with = [&](std::string_view comparison) -> encode_problem {
        if (from.values.empty()) {
            return "a condition without a value";
        }
        return compare(to, op, from.field, comparison, from.values.front(), memory);
    };
    switch (from.op) {
    case comparison::eq:
        if (from.values.empty()) {
            return "a condition without a value";
        }
        return equals(to, op, from.field, from.values.front(), memory);
    case comparison::lt:
        return with("$lt");
    case comparison::le:
        return with("$lte");
    case comparison::gt:
        return with("$gt");
    case comparison::ge:
        return with("$gte");
    case comparison::ne:
        return in_list(to, op, from, "$nin", memory);
    case comparison::in:
        return in_list(to, op, from, "$in", memory);
    case comparison::prefix: {
        if (from.values.empty()) {
            return "a condition without a value";
        }
        constexpr std::size_t longest = 8000; // the server compiles at most 16 to 32 KiB
        if (from.values.front().text.size() > longest) {
            return "a prefix of more than 8000 bytes";
        }
        to.begin_document(column(op, from.field));
        to.string("$regex", prefix_pattern(from.values.front().text));
        to.end();
        return std::nullopt;
    }
    case comparison::is_null:
        compare_null(to, op, from.field, "$eq");
        return std::nullopt;
    case comparison::is_not_null:
        compare_null(to, op, from.field, "$ne");
        return std::nullopt;
    }
    return "a condition of no known kind";
}

/// What comes after a position in the order of `sort`: for each sort field, the rows that are equal
/// in the fields before it and beyond the position in this one. Null and missing come first when
/// ascending, last when descending.
encode_problem append_after(bson_writer& to, const bound_operation& op, core::arena& memory) {
    to.begin_array("$or");
    std::size_t arm = 0;
    const auto equal_before = [&](std::size_t fields) -> encode_problem {
        for (std::size_t i = 0; i < fields; ++i) {
            if (auto problem = equals(to, op, op.sort[i].field, op.after[i], memory)) {
                return problem;
            }
        }
        return std::nullopt;
    };
    for (std::size_t i = 0; i < op.sort.size(); ++i) {
        const auto& key = op.sort[i];
        const auto& position = op.after[i];
        const bool ascending = key.direction == direction::ascending;
        if (position.is_null() && !ascending) {
            continue; // nothing comes after null
        }
        to.begin_document(element_name{arm++});
        if (auto problem = equal_before(i)) {
            return problem;
        }
        if (position.is_null()) {
            compare_null(to, op, key.field, "$ne");
        } else if (auto problem =
                       compare(to, op, key.field, ascending ? "$gt" : "$lt", position, memory)) {
            return problem;
        }
        to.end();
        if (!ascending && !op.target->fields[key.field].in_key) {
            to.begin_document(element_name{arm++});
            if (auto problem = equal_before(i)) {
                return problem;
            }
            compare_null(to, op, key.field, "$eq");
            to.end();
        }
    }
    if (arm == 0) {
        // The last position of all: an arm that no document satisfies.
        to.begin_document(element_name{arm});
        to.begin_document("_id");
        to.begin_array("$in");
        to.end();
        to.end();
        to.end();
    }
    to.end();
    return std::nullopt;
}

} // namespace

std::string prefix_pattern(std::string_view prefix) {
    std::string pattern = "^";
    for (const char c : prefix) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
        if (c == '\0') {
            pattern += "\\x00";
        } else if (c == '\n') {
            pattern += "\\n";
        } else {
            if (!plain && static_cast<unsigned char>(c) >= 0x20) {
                pattern.push_back('\\');
            }
            pattern.push_back(c);
        }
    }
    return pattern;
}

encode_problem append_key(bson_writer& to, const bound_operation& op, core::arena& memory) {
    const auto& key = op.target->key;
    for (std::size_t i = 0; i < key.size() && i < op.key.size(); ++i) {
        if (auto problem = equals(to, op, key[i], op.key[i], memory)) {
            return problem;
        }
    }
    return std::nullopt;
}

encode_problem append_keys(bson_writer& to, std::span<const bound_operation* const> ops,
                           core::arena& memory) {
    const auto& target = *ops.front()->target;
    if (ops.size() == 1) {
        return append_key(to, *ops.front(), memory);
    }
    if (target.key.size() == 1) {
        to.begin_document(target.fields[target.key.front()].column);
        to.begin_array("$in");
        std::size_t i = 0;
        for (const auto* op : ops) {
            if (auto problem = append_field(to, element_name{i++}, op->key.front(), target,
                                            target.key.front(), memory)) {
                return problem;
            }
        }
        to.end();
        to.end();
        return std::nullopt;
    }
    to.begin_array("$or");
    std::size_t i = 0;
    for (const auto* op : ops) {
        to.begin_document(element_name{i++});
        if (auto problem = append_key(to, *op, memory)) {
            return problem;
        }
        to.end();
    }
    to.end();
    return std::nullopt;
}

std::size_t may_share(std::span<const bound_operation* const> ops, std::size_t most) {
    constexpr std::size_t most_text = std::size_t{1} << 20;
    std::size_t text = 0;
    std::size_t count = 0;
    for (; count < std::min(most, ops.size()); ++count) {
        for (const auto& part : ops[count]->key) {
            text += part.text.size();
        }
        for (const auto& one : ops[count]->where) {
            for (const auto& given : one.values) {
                text += given.text.size();
            }
        }
        if (text > most_text && count != 0) {
            break;
        }
    }
    return count;
}

encode_problem append_where(bson_writer& to, const bound_operation& op, core::arena& memory) {
    // Members of a document may not repeat: what names a field again goes into an `$and`.
    std::vector<field_id> named;
    if (!op.key.empty()) {
        named.assign(op.target->key.begin(), op.target->key.end());
    }
    const auto is_new = [&](field_id field) {
        if (std::find(named.begin(), named.end(), field) != named.end()) {
            return false;
        }
        named.push_back(field);
        return true;
    };
    std::vector<const condition*> more_conditions;
    std::vector<const assignment*> more_expected;
    for (const auto& one : op.where) {
        if (!is_new(one.field)) {
            more_conditions.push_back(&one);
        } else if (auto problem = append_condition(to, op, one, memory)) {
            return problem;
        }
    }
    for (const auto& one : op.expect) {
        if (!is_new(one.field)) {
            more_expected.push_back(&one);
        } else if (auto problem = equals(to, op, one.field, one.value, memory)) {
            return problem;
        }
    }
    if (!op.after.empty()) {
        if (auto problem = append_after(to, op, memory)) {
            return problem;
        }
    }
    if (more_conditions.empty() && more_expected.empty()) {
        return std::nullopt;
    }
    to.begin_array("$and");
    std::size_t i = 0;
    for (const auto* one : more_conditions) {
        to.begin_document(element_name{i++});
        if (auto problem = append_condition(to, op, *one, memory)) {
            return problem;
        }
        to.end();
    }
    for (const auto* one : more_expected) {
        to.begin_document(element_name{i++});
        if (auto problem = equals(to, op, one->field, one->value, memory)) {
            return problem;
        }
        to.end();
    }
    to.end();
    return std::nullopt;
}

void append_sort(bson_writer& to, const bound_operation& op) {
    for (const auto& key : op.sort) {
        to.int32(column(op, key.field), key.direction == direction::ascending ? 1 : -1);
    }
}

} // namespace beds::adapters::mongodb
