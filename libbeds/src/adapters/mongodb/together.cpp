#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/filters.hpp"
#include "adapters/mongodb/session.hpp"

#include <algorithm>
#include <utility>

// Finds and counts of one shape that differ in the value of one equality are one command with
// `$in`; its rows are dealt out by that value. Whatever is not as it should be sends them one at a
// time.

namespace beds::adapters::mongodb {
namespace {

using core::value;

constexpr std::size_t most_values = 1000;
/// As many rows as one command may be asked for: what somebody asked for in vain is read twice.
constexpr std::size_t most_rows = 16'384;

/// Is equality of these in the database the same as here?
bool is_plain(core::type_kind kind) {
    return kind != core::type_kind::float64 && kind != core::type_kind::json &&
           kind != core::type_kind::document;
}

bool same(const value& left, const value& right) {
    return left.type == right.type && !core::less(left, right) && !core::less(right, left);
}

/// The one equality in whose value they differ; nothing when they differ in something else.
std::optional<std::size_t> varying(std::span<const bound_operation* const> ops) {
    const auto& first = *ops.front();
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < first.where.size(); ++i) {
        const auto& one = first.where[i];
        const bool equal = std::all_of(ops.begin(), ops.end(), [&](const auto* op) {
            const auto& other = op->where[i];
            return std::equal(one.values.begin(), one.values.end(), other.values.begin(),
                              other.values.end(), same);
        });
        const bool can_vary = one.op == comparison::eq && one.values.size() == 1 &&
                              is_plain(first.target->fields[one.field].type.kind) &&
                              std::none_of(ops.begin(), ops.end(), [&](const auto* op) {
                                  return op->where[i].values.front().is_null();
                              });
        if (equal) {
            continue;
        }
        if (found || !can_vary) {
            return std::nullopt;
        }
        found = i;
    }
    return found;
}

} // namespace

/// Operations by the value in which they differ.
struct mongodb_session::shared_condition {
    std::size_t position = 0; ///< of the condition
    std::vector<const bound_operation*> by_value;
    std::vector<value> values; ///< each once, in order
    std::vector<condition> where;
    bound_operation asked;

    shared_condition(operation_list ops, std::size_t at)
        : position(at), by_value(ops.begin(), ops.end()) {
        std::stable_sort(
            by_value.begin(), by_value.end(),
            [&](const auto* left, const auto* right) { return core::less(of(*left), of(*right)); });
        for (const auto* op : by_value) {
            if (values.empty() || core::less(values.back(), of(*op))) {
                values.push_back(of(*op));
            }
        }
        const auto& first = *ops.front();
        where.assign(first.where.begin(), first.where.end());
        where[position].op = comparison::in;
        where[position].values = values;
        asked = first;
        asked.where = where;
    }
    shared_condition(const shared_condition&) = delete;
    shared_condition& operator=(const shared_condition&) = delete;

    [[nodiscard]] const value& of(const bound_operation& op) const {
        return op.where[position].values.front();
    }
    [[nodiscard]] field_id field() const { return where[position].field; }
    /// Those that asked for this value; empty: nobody.
    [[nodiscard]] operation_list askers(const value& of_row) const {
        const auto begin = std::lower_bound(
            by_value.begin(), by_value.end(), of_row,
            [&](const auto* op, const value& given) { return core::less(of(*op), given); });
        auto end = begin;
        while (end != by_value.end() && !core::less(of_row, of(**end))) {
            ++end;
        }
        return {begin, end};
    }
};

bool mongodb_session::compares_bytes(const std::string& object) {
    if (const auto known = plain_.find(object); known != plain_.end()) {
        return known->second;
    }
    command_.clear();
    command_.int32("listCollections", 1);
    command_.begin_document("filter");
    command_.string("name", object);
    command_.end();
    if (execute(aim::read) != ending::answered) {
        return false; // not allowed, perhaps: each asks for itself
    }
    bool there = false;
    bool plain = true;
    each_document(aim::read, [&](const bson_iter_t& document) {
        bson_iter_t member;
        bson_iter_t option;
        there = true;
        if (bson_iter_recurse(&document, &member) && bson_iter_find(&member, "options") &&
            bson_iter_recurse(&member, &option) && bson_iter_find(&option, "collation")) {
            plain = false;
        }
        return true;
    });
    if (there) {
        plain_[object] = plain;
    }
    return there && plain;
}

step_result mongodb_session::read_together(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front();
    const bool finds = first.op == core::verb::find;
    const auto alone = [&](operation_list which) {
        for (const auto* op : which) {
            const auto result = finds ? find(scope, *op) : count(scope, *op);
            if (result != step_result::done) {
                return result;
            }
        }
        return step_result::done;
    };
    const std::size_t limit = first.limit == 0 ? first.target->limits.max_rows : first.limit;
    const auto most =
        finds ? std::min(most_values, most_rows / (limit + 1)) : std::size_t{most_values};
    if (ops.size() < 2 || most < 2 || !first.after.empty() ||
        !compares_bytes(first.target->read_object())) {
        return client_ ? alone(ops) : give_up(scope, ops);
    }
    while (!ops.empty()) {
        const auto chunk = ops.first(may_share(ops, most));
        ops = ops.subspan(chunk.size());
        const auto position = chunk.size() > 1 ? varying(chunk) : std::nullopt;
        std::vector<const bound_operation*> left;
        if (!position) {
            left.assign(chunk.begin(), chunk.end());
        } else {
            const shared_condition shared{chunk, *position};
            const auto how = finds ? find_together(scope, shared, limit, left)
                                   : count_together(scope, shared, left);
            if (how != ending::answered && how != ending::refused) {
                for (const auto* op : chunk) {
                    scope.rows.reset(op->index);
                }
                return give_up(scope, chunk);
            }
        }
        const auto result = alone(left);
        if (result != step_result::done) {
            return result;
        }
    }
    return step_result::done;
}

mongodb_session::ending mongodb_session::find_together(run_scope& scope,
                                                       const shared_condition& shared,
                                                       std::size_t limit,
                                                       std::vector<const bound_operation*>& left) {
    const auto& asked = shared.asked;
    const auto& target = *asked.target;
    begin_command("find", target.read_object(), asked, aim::read);
    std::vector<field_id> wanted{asked.fields.begin(), asked.fields.end()};
    const auto add = [&](field_id field) {
        const auto at = std::find(wanted.begin(), wanted.end(), field);
        const auto place = static_cast<std::size_t>(at - wanted.begin());
        if (at == wanted.end()) {
            wanted.push_back(field);
        }
        return place;
    };
    std::vector<std::size_t> sort_places;
    for (const auto& key : asked.sort) {
        sort_places.push_back(add(key.field));
    }
    const auto place = add(shared.field());
    append_projection(target, wanted);
    command_.begin_document("filter");
    const auto one_by_one = [&] {
        for (const auto* op : shared.by_value) {
            scope.rows.reset(op->index);
        }
        left.assign(shared.by_value.begin(), shared.by_value.end());
        return ending::refused;
    };
    if (append_where(command_, asked, scope.memory)) {
        return one_by_one();
    }
    command_.end();
    if (!asked.sort.empty()) {
        command_.begin_document("sort");
        append_sort(command_, asked);
        command_.end();
    }
    const auto total = shared.values.size() * (limit + 1);
    command_.int64("limit", static_cast<std::int64_t>(total));
    command_.int64("batchSize", static_cast<std::int64_t>(total) + 1);

    struct page {
        std::size_t rows = 0;
        bool more = false;
        std::vector<value> position;
    };
    std::vector<page> pages(shared.values.size());
    std::size_t seen = 0;
    bool strange = false;
    auto how = execute(aim::read);
    if (how == ending::answered) {
        how = each_document(aim::read, [&](const bson_iter_t& document) {
            ++seen;
            const auto misfitting = read_row(document, target, wanted, cells_);
            const auto askers = misfitting ? operation_list{} : shared.askers(cells_[place]);
            if (askers.empty()) {
                strange = true; // each tells for itself
                return false;
            }
            auto& at = pages[static_cast<std::size_t>(
                std::lower_bound(shared.values.begin(), shared.values.end(), cells_[place],
                                 [](const value& a, const value& b) { return core::less(a, b); }) -
                shared.values.begin())];
            if (at.rows == limit) {
                at.more = true;
                return true;
            }
            for (const auto* op : askers) {
                scope.rows.begin_row(op->index, *op->layout);
                for (std::size_t i = 0; i < op->fields.size(); ++i) {
                    scope.rows.cell(cells_[i]);
                }
                scope.rows.end_row();
            }
            if (++at.rows == limit) {
                for (const auto from : sort_places) {
                    auto& kept = at.position.emplace_back(cells_[from]);
                    kept.text = scope.memory.copy(kept.text);
                }
            }
            return true;
        });
    }
    if (how == ending::refused || strange) {
        return one_by_one();
    }
    if (how != ending::answered) {
        return how;
    }
    const bool all = seen < total;
    for (const auto* op : shared.by_value) {
        const auto& at = pages[static_cast<std::size_t>(
            std::lower_bound(shared.values.begin(), shared.values.end(), shared.of(*op),
                             [](const value& a, const value& b) { return core::less(a, b); }) -
            shared.values.begin())];
        if (!all && !at.more) {
            // Others have so many rows that its own may not have come.
            scope.rows.reset(op->index);
            left.push_back(op);
            continue;
        }
        if (at.rows == 0) {
            scope.rows.no_rows(op->index);
        } else if (at.more) {
            scope.rows.next(op->index, op->cursor_tag, at.position);
        }
        scope.results[op->index] = core::outcome{};
    }
    return how;
}

mongodb_session::ending mongodb_session::count_together(run_scope& scope,
                                                        const shared_condition& shared,
                                                        std::vector<const bound_operation*>& left) {
    const auto& target = *shared.asked.target;
    const auto& field = target.fields[shared.field()];
    const auto one_by_one = [&] {
        left.assign(shared.by_value.begin(), shared.by_value.end());
        return ending::refused;
    };
    begin_command("aggregate", target.read_object(), shared.asked, aim::read);
    command_.begin_array("pipeline");
    command_.begin_document("0");
    command_.begin_document("$match");
    if (append_where(command_, shared.asked, scope.memory)) {
        return one_by_one();
    }
    command_.end();
    command_.end();
    command_.begin_document("1");
    command_.begin_document("$group");
    command_.string("_id", "$" + field.column);
    command_.begin_document("n");
    command_.int32("$sum", 1);
    command_.end();
    // An array matches each of its items and belongs to none of them.
    command_.begin_document("arrays");
    command_.begin_document("$sum");
    command_.begin_array("$cond");
    command_.begin_document("0");
    command_.begin_array("$isArray");
    command_.string("0", "$" + field.column);
    command_.end();
    command_.end();
    command_.int32("1", 1);
    command_.int32("2", 0);
    command_.end();
    command_.end();
    command_.end();
    command_.end();
    command_.end();
    command_.end();
    command_.begin_document("cursor");
    command_.int32("batchSize", static_cast<std::int32_t>(shared.values.size() + 1));
    command_.end();
    std::vector<std::uint64_t> totals(shared.values.size());
    bool strange = false;
    auto how = execute(aim::read);
    if (how == ending::answered) {
        how = each_document(aim::read, [&](const bson_iter_t& document) {
            bson_iter_t id;
            bson_iter_t n;
            value of = value::of_null();
            row_memory_.reset();
            strange = !bson_iter_recurse(&document, &id) || !bson_iter_find(&id, "_id") ||
                      !bson_iter_recurse(&document, &n) || !bson_iter_find(&n, "n") ||
                      !read_value(id, field.type, row_memory_, of);
            bson_iter_t arrays;
            strange = strange || !bson_iter_recurse(&document, &arrays) ||
                      !bson_iter_find(&arrays, "arrays") || bson_iter_as_int64(&arrays) != 0;
            const auto at =
                std::lower_bound(shared.values.begin(), shared.values.end(), of,
                                 [](const value& a, const value& b) { return core::less(a, b); });
            strange = strange || at == shared.values.end() || core::less(of, *at);
            if (!strange) {
                totals[static_cast<std::size_t>(at - shared.values.begin())] +=
                    static_cast<std::uint64_t>(bson_iter_as_int64(&n));
            }
            return !strange;
        });
    }
    if (how == ending::refused || strange) {
        return one_by_one();
    }
    if (how != ending::answered) {
        return how;
    }
    for (const auto* op : shared.by_value) {
        const auto at =
            std::lower_bound(shared.values.begin(), shared.values.end(), shared.of(*op),
                             [](const value& a, const value& b) { return core::less(a, b); });
        scope.rows.total(op->index, totals[static_cast<std::size_t>(at - shared.values.begin())]);
        scope.results[op->index] = core::outcome{};
    }
    return how;
}

} // namespace beds::adapters::mongodb
