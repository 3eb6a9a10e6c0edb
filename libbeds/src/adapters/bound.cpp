#include <beds/adapters/bound.hpp>

#include <algorithm>

namespace beds::adapters {

namespace {

bool same_fields(std::span<const assignment> left, std::span<const assignment> right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](const assignment& a, const assignment& b) { return a.field == b.field; });
}

} // namespace

const core::value* given_value(std::span<const assignment> from, field_id field) {
    const auto found = std::find_if(
        from.begin(), from.end(), [field](const assignment& each) { return each.field == field; });
    return found == from.end() ? nullptr : &found->value;
}

bool same_shape(const bound_operation& left, const bound_operation& right) {
    if (left.target != right.target || left.op != right.op || left.call != right.call ||
        left.key.size() != right.key.size() || left.after.size() != right.after.size() ||
        left.limit != right.limit || left.rows.size() != right.rows.size() ||
        left.args.size() != right.args.size()) {
        return false;
    }
    if (!std::equal(left.fields.begin(), left.fields.end(), right.fields.begin(),
                    right.fields.end())) {
        return false;
    }
    if (!std::equal(left.unique.begin(), left.unique.end(), right.unique.begin(),
                    right.unique.end()) ||
        !std::equal(left.taken_over.begin(), left.taken_over.end(), right.taken_over.begin(),
                    right.taken_over.end())) {
        return false;
    }
    // The number of values is part of the shape: `in` with three values is another statement than
    // `in` with four.
    if (!std::equal(left.where.begin(), left.where.end(), right.where.begin(), right.where.end(),
                    [](const condition& a, const condition& b) {
                        return a.field == b.field && a.op == b.op &&
                               a.values.size() == b.values.size();
                    })) {
        return false;
    }
    if (!std::equal(left.sort.begin(), left.sort.end(), right.sort.begin(), right.sort.end(),
                    [](const sort_key& a, const sort_key& b) {
                        return a.field == b.field && a.direction == b.direction;
                    })) {
        return false;
    }
    // Rows of one insert have the same fields, so the first row speaks for all.
    if (!left.rows.empty() && !same_fields(left.rows.front(), right.rows.front())) {
        return false;
    }
    return same_fields(left.set, right.set) && same_fields(left.inc, right.inc) &&
           same_fields(left.expect, right.expect);
}

bool less_key(std::span<const core::value> left, std::span<const core::value> right) {
    return std::lexicographical_compare(
        left.begin(), left.end(), right.begin(), right.end(),
        [](const core::value& a, const core::value& b) { return core::less(a, b); });
}

} // namespace beds::adapters
