#include "adapters/memory/unit.hpp"

#include "adapters/json_text.hpp"
#include "adapters/memory/arithmetic.hpp"
#include "adapters/no_rows.hpp"

#include <beds/core/arena.hpp>

#include <algorithm>
#include <exception>
#include <limits>
#include <new>

namespace beds::adapters::memory {

using core::code;
using core::outcome;

namespace {

/// Copies message parts into one detail text.
std::string_view words(core::arena& memory, std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const auto part : parts) {
        text += part;
    }
    return memory.copy(std::string_view{text});
}

bool is_unsigned(core::type_kind kind) {
    return kind >= core::type_kind::uint8 && kind <= core::type_kind::uint64;
}

std::uint64_t largest_generated(core::type_kind kind) {
    switch (kind) {
    case core::type_kind::int8:
        return std::numeric_limits<std::int8_t>::max();
    case core::type_kind::int16:
        return std::numeric_limits<std::int16_t>::max();
    case core::type_kind::int32:
        return std::numeric_limits<std::int32_t>::max();
    case core::type_kind::uint8:
        return std::numeric_limits<std::uint8_t>::max();
    case core::type_kind::uint16:
        return std::numeric_limits<std::uint16_t>::max();
    case core::type_kind::uint32:
        return std::numeric_limits<std::uint32_t>::max();
    default:
        return std::numeric_limits<std::int64_t>::max();
    }
}

/// A bound `eq` is the only condition that pins a field to one value.
const core::value* pinned(std::span<const condition> where, field_id field) {
    for (const auto& each : where) {
        if (each.field == field && each.op == comparison::eq && each.values.size() == 1) {
            return each.values.data();
        }
    }
    return nullptr;
}

bool holds(const condition& asked, const core::value& cell) {
    if (asked.op == comparison::is_null) {
        return cell.is_null();
    }
    if (cell.is_null()) {
        return false;
    }
    switch (asked.op) {
    case comparison::eq:
        return cell == asked.values[0];
    case comparison::ne:
        return !asked.values[0].is_null() && !(cell == asked.values[0]);
    case comparison::lt:
        return core::less(cell, asked.values[0]);
    case comparison::le:
        return !core::less(asked.values[0], cell) && !asked.values[0].is_null();
    case comparison::gt:
        return core::less(asked.values[0], cell) && !asked.values[0].is_null();
    case comparison::ge:
        return !core::less(cell, asked.values[0]) && !asked.values[0].is_null();
    case comparison::in:
        return std::any_of(asked.values.begin(), asked.values.end(),
                           [&cell](const core::value& one) { return cell == one; });
    case comparison::prefix:
        return cell.text.starts_with(asked.values[0].text);
    case comparison::is_not_null:
    case comparison::is_null:
        return true;
    }
    return false;
}

} // namespace

void unit::begin(work_kind kind, core::deadline until) {
    kind_ = kind;
    until_ = until;
    expired_ = false;
    ++number_;
}

bool unit::late() {
    // A look at the clock costs as much as several rows.
    if (++visited_ % 1024 == 0 && until_.expired()) {
        expired_ = true;
    }
    return expired_;
}

binding& unit::bind(const templates::template_def& target) {
    auto found = std::find_if(bindings_.begin(), bindings_.end(),
                              [&target](const binding& each) { return each.target == &target; });
    if (found == bindings_.end()) {
        // Templates come and go with reloads; a place of an earlier unit is taken over.
        found = std::find_if(bindings_.begin(), bindings_.end(), [this](const binding& each) {
            return each.unit != number_ && bindings_.size() >= 64;
        });
        if (found == bindings_.end()) {
            bindings_.emplace_back();
            found = std::prev(bindings_.end());
        }
        found->target = &target;
        found->unit = 0;
    }
    auto& bound = *found;
    if (bound.unit == number_ && (bound.rows != nullptr || !may_write())) {
        return bound;
    }
    bound.unit = number_;
    bound.problem.clear();
    bound.rows = nullptr;
    const auto existing = store_.tables.find(target.object);
    if (existing != store_.tables.end()) {
        bound.rows = existing->second.get();
    }
    if (may_write()) {
        if (bound.rows == nullptr) {
            auto made = std::make_unique<table>(target);
            bound.rows = made.get();
            store_.tables.emplace(target.object, std::move(made));
        }
        bound.problem = bound.rows->adopt(target);
        if (!bound.problem.empty()) {
            context_.log.write(observe::level::error, "BEDS_MEMORY_TABLE", context_.name,
                               "template '" + target.name + "': " + bound.problem);
        }
    }
    bound.columns.resize(target.fields.size());
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        bound.columns[i] =
            bound.rows == nullptr ? no_column : bound.rows->column(target.fields[i].column, i);
    }
    return bound;
}

const core::value& unit::cell(const binding& bound, const row& from, field_id field) const {
    return from.cell(bound.columns[field]);
}

bool unit::matches(const binding& bound, const row& candidate,
                   std::span<const condition> where) const {
    return std::all_of(where.begin(), where.end(), [&](const condition& each) {
        return holds(each, cell(bound, candidate, each.field));
    });
}

bool unit::equal(const binding& bound, const row& candidate,
                 std::span<const assignment> expected) const {
    return std::all_of(expected.begin(), expected.end(), [&](const assignment& each) {
        const auto& there = cell(bound, candidate, each.field);
        if (each.value.type != core::value::kind::document) {
            return there == each.value;
        }
        core::arena memory{1024};
        return there.text == json_text(each.value, memory);
    });
}

template <class Visit>
void unit::each_match(const binding& bound, std::span<const condition> where, Visit visit) {
    if (bound.rows == nullptr) {
        return;
    }
    // Is the key, or a unique index, pinned as a whole?
    const auto try_pinned = [&](std::span<const field_id> wanted, bool is_key) {
        columns_.clear();
        values_.clear();
        for (const auto field : wanted) {
            const auto* value = pinned(where, field);
            if (value == nullptr) {
                return false;
            }
            values_.push_back(*value);
            columns_.push_back(bound.columns[field]);
        }
        record* hit = nullptr;
        if (is_key) {
            hit = bound.rows->find(values_);
        } else if (!bound.rows->find_unique(columns_, values_, in_order_, hit)) {
            return false;
        }
        if (hit != nullptr && matches(bound, *hit->contents, where)) {
            visit(*hit);
        }
        return true;
    };
    if (!where.empty()) {
        if (try_pinned(bound.target->key, true)) {
            return;
        }
        for (const auto& index : bound.target->indexes) {
            if (index.unique && try_pinned(index.fields, false)) {
                return;
            }
        }
    }
    for (const auto& each : bound.rows->in_order()) {
        if (late()) {
            return;
        }
        if (matches(bound, *each->contents, where) && !visit(*each)) {
            return;
        }
    }
}

void unit::emit_row(const binding& bound, const row& from, const bound_operation& op,
                    core::row_sink& rows) {
    rows.begin_row(op.index, *op.layout);
    for (const auto field : op.fields) {
        rows.cell(cell(bound, from, field));
    }
    rows.end_row();
}

void unit::fetch_ahead(std::span<const bound_operation* const> fetches) {
    if (const auto& bound = bind(*fetches.front()->target); bound.rows != nullptr) {
        bound.rows->fetch_ahead(fetches, hashes_);
    }
}

outcome unit::fetch(const bound_operation& op, core::row_sink& rows) {
    const auto& bound = bind(*op.target);
    const auto* const hit = bound.rows == nullptr ? nullptr : bound.rows->find(op.key);
    if (hit == nullptr) {
        rows.no_rows(op.index);
    } else {
        emit_row(bound, *hit->contents, op, rows);
    }
    return {};
}

int unit::compare(const binding& bound, const row& left, const row& right,
                  std::span<const sort_key> by) const {
    for (const auto& each : by) {
        const auto& a = cell(bound, left, each.field);
        const auto& b = cell(bound, right, each.field);
        const int order = core::less(a, b) ? -1 : core::less(b, a) ? 1 : 0;
        if (order != 0) {
            return each.direction == direction::ascending ? order : -order;
        }
    }
    return 0;
}

bool unit::is_after(const binding& bound, const row& candidate, const bound_operation& op) const {
    for (std::size_t i = 0; i < std::min(op.sort.size(), op.after.size()); ++i) {
        const auto& here = cell(bound, candidate, op.sort[i].field);
        const bool less = core::less(here, op.after[i]);
        const bool more = core::less(op.after[i], here);
        if (less || more) {
            return (op.sort[i].direction == direction::ascending) == more;
        }
    }
    return false;
}

outcome unit::find(const bound_operation& op, core::row_sink& rows) {
    const auto& bound = bind(*op.target);
    hits_.clear();
    const std::size_t wanted =
        std::size_t{op.limit} + 1; // one more tells whether there is a next page
    const auto& key = op.target->key;
    const bool key_order =
        op.sort.size() == key.size() &&
        std::equal(key.begin(), key.end(), op.sort.begin(), [](field_id field, const auto& by) {
            return by.field == field && by.direction == direction::ascending;
        });
    if (key_order && bound.rows != nullptr && !op.after.empty() && op.after.size() == key.size()) {
        const auto& ordered = bound.rows->in_order();
        for (auto at = ordered.upper_bound(op.after);
             at != ordered.end() && hits_.size() < wanted && !late(); ++at) {
            if (matches(bound, *(*at)->contents, op.where)) {
                hits_.push_back(at->get());
            }
        }
    } else {
        each_match(bound, op.where, [&](record& hit) {
            if (op.after.empty() || is_after(bound, *hit.contents, op)) {
                hits_.push_back(&hit);
            }
            return !key_order || hits_.size() < wanted;
        });
        if (!key_order) {
            const auto sorted =
                hits_.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, hits_.size()));
            std::partial_sort(
                hits_.begin(), sorted, hits_.end(), [&](const record* left, const record* right) {
                    return compare(bound, *left->contents, *right->contents, op.sort) < 0;
                });
        }
    }
    if (expired_) {
        return {};
    }
    const auto shown = std::min<std::size_t>(op.limit, hits_.size());
    for (std::size_t i = 0; i < shown; ++i) {
        emit_row(bound, *hits_[i]->contents, op, rows);
    }
    if (shown == 0) {
        rows.no_rows(op.index);
    } else if (hits_.size() > shown) {
        values_.clear();
        for (const auto& by : op.sort) {
            values_.push_back(cell(bound, *hits_[shown - 1]->contents, by.field));
        }
        rows.next(op.index, op.cursor_tag, values_);
    }
    return {};
}

outcome unit::count(const bound_operation& op, core::row_sink& rows) {
    const auto& bound = bind(*op.target);
    const bool first_only = op.op == core::verb::exists;
    std::uint64_t total = 0;
    each_match(bound, op.where, [&](record&) {
        ++total;
        return !first_only;
    });
    if (expired_) {
        return {};
    }
    if (first_only) {
        rows.exists(op.index, total > 0);
    } else {
        rows.total(op.index, total);
    }
    return {};
}

outcome unit::duplicate(const binding& bound, violation broken) const {
    for (std::size_t i = 0; i < bound.columns.size(); ++i) {
        if (std::find(broken.begin(), broken.end(), bound.columns[i]) != broken.end()) {
            return outcome::failure(code::duplicate_key, "a row with this value is there already",
                                    bound.target->fields[i].name);
        }
    }
    // The index stands on columns that this template does not show.
    return outcome::failure(code::duplicate_key, "a row with these values is there already");
}

outcome unit::check_nulls(const binding& bound, std::span<const core::value> cells) const {
    for (std::size_t i = 0; i < bound.columns.size(); ++i) {
        const auto& field = bound.target->fields[i];
        if (!field.nullable && cells[bound.columns[i]].is_null()) {
            return outcome::failure(code::constraint, "the field must have a value", field.name);
        }
    }
    return {};
}

void unit::set_cell(const binding& bound, const assignment& given, core::arena& memory) {
    auto& place = cells_[bound.columns[given.field]];
    if (given.value.type == core::value::kind::document) {
        place = core::value::of_text(core::value::kind::json, json_text(given.value, memory));
    } else {
        place = given.value;
    }
}

outcome unit::insert_row(binding& bound, std::span<const assignment> given, core::arena& memory,
                         record*& added) {
    auto& rows = *bound.rows;
    cells_.assign(rows.width(), core::value{});
    for (const auto& each : given) {
        set_cell(bound, each, memory);
    }
    for (std::size_t i = 0; i < bound.columns.size(); ++i) {
        const auto& field = bound.target->fields[i];
        if (field.source != templates::generated::database) {
            continue;
        }
        auto& place = cells_[bound.columns[i]];
        if (place.is_null()) {
            const auto number = rows.next_generated();
            if (number > largest_generated(field.type.kind)) {
                return outcome::failure(code::constraint, "no generated values are left",
                                        field.name);
            }
            place = is_unsigned(field.type.kind)
                        ? core::value::of_uint(number)
                        : core::value::of_int(static_cast<std::int64_t>(number));
        }
    }
    if (auto missing = check_nulls(bound, cells_); !missing.ok()) {
        return missing;
    }
    auto made = std::make_unique<record>(record{row::make(cells_)});
    added = made.get();
    make_room();
    if (const auto broken = rows.insert(std::move(made))) {
        return duplicate(bound, *broken);
    }
    undo_.push_back({change::kind::inserted, &rows, added, {}, {}});
    return outcome::applied();
}

outcome unit::insert(const bound_operation& op, core::row_sink& rows, core::arena& memory) {
    auto& bound = bind(*op.target);
    if (!bound.problem.empty()) {
        return outcome::failure(code::internal, "the template does not fit its object");
    }
    hits_.clear();
    std::uint64_t count = 0;
    for (const auto& given : op.rows) {
        record* added = op.unique.empty() ? nullptr : row_with(bound, op.unique, given);
        if (added == nullptr) {
            if (auto failed = insert_row(bound, given, memory, added); !failed.ok()) {
                return failed;
            }
            ++count;
        } else if (!op.taken_over.empty()) {
            std::vector<assignment> set;
            for (const auto& each : given) {
                if (std::find(op.taken_over.begin(), op.taken_over.end(), each.field) !=
                    op.taken_over.end()) {
                    set.push_back(each);
                }
            }
            bound_operation taken;
            taken.target = op.target;
            taken.set = set;
            if (auto failed = update_row(bound, *added, taken, memory); !failed.ok()) {
                return failed;
            }
            ++count;
        }
        hits_.push_back(added);
    }
    for (const auto* added : hits_) {
        values_.clear();
        for (const auto field : op.target->key) {
            values_.push_back(cell(bound, *added->contents, field));
        }
        rows.key(op.index, op.target->key_layout, values_);
    }
    rows.count(op.index, count);
    return_rows(bound, op, rows);
    return count == 0 ? outcome{} : outcome::applied();
}

record* unit::row_with(const binding& bound, std::span<const field_id> unique,
                       std::span<const assignment> given) {
    std::vector<condition> wanted;
    for (const auto field : unique) {
        const auto* value = given_value(given, field);
        if (value == nullptr || value->is_null()) {
            return nullptr;
        }
        wanted.push_back({field, comparison::eq, {value, 1}});
    }
    record* found = nullptr;
    each_match(bound, wanted, [&](record& hit) {
        found = &hit;
        return false;
    });
    return found;
}

void unit::return_rows(const binding& bound, const bound_operation& op, core::row_sink& rows) {
    if (op.fields.empty()) {
        return;
    }
    rows.no_rows(op.index);
    for (const auto* hit : hits_) {
        emit_row(bound, *hit->contents, op, rows);
    }
}

outcome unit::select_targets(const binding& bound, const bound_operation& op) {
    hits_.clear();
    if (op.key.empty()) {
        each_match(bound, op.where, [&](record& hit) {
            if (equal(bound, *hit.contents, op.expect)) {
                hits_.push_back(&hit);
            }
            return true;
        });
        if (!op.fields.empty() && hits_.size() > op.target->limits.max_rows) {
            return outcome::failure(code::limit_exceeded,
                                    "more rows than this template returns; nothing was changed",
                                    "return");
        }
        return {};
    }
    auto* const hit = bound.rows->find(op.key);
    if (hit == nullptr || !matches(bound, *hit->contents, op.where)) {
        return outcome::failure(code::not_found, "there is no row with this key");
    }
    if (!equal(bound, *hit->contents, op.expect)) {
        return outcome::failure(code::conflict, "the row is not as expected");
    }
    hits_.push_back(hit);
    return {};
}

outcome unit::update_row(binding& bound, record& changed, const bound_operation& op,
                         core::arena& memory) {
    cells_.assign(bound.rows->width(), core::value{});
    const auto before = changed.contents->cells();
    std::copy(before.begin(), before.end(), cells_.begin());
    for (const auto& each : op.set) {
        set_cell(bound, each, memory);
    }
    for (const auto& each : op.inc) {
        const auto& field = bound.target->fields[each.field];
        auto& place = cells_[bound.columns[each.field]];
        const auto sum = place.is_null() || each.value.is_null()
                             ? std::nullopt
                             : add(place, each.value, field.type, memory);
        if (!sum) {
            return outcome::failure(code::constraint,
                                    place.is_null() ? "the field has no value to add to"
                                                    : "the sum is out of the field's range",
                                    field.name);
        }
        place = *sum;
    }
    if (auto missing = check_nulls(bound, cells_); !missing.ok()) {
        return missing;
    }
    auto contents = row::make(cells_);
    make_room();
    if (const auto broken = bound.rows->replace(changed, contents)) {
        return duplicate(bound, *broken);
    }
    undo_.push_back({change::kind::replaced, bound.rows, &changed, std::move(contents), {}});
    return outcome::applied();
}

outcome unit::update(const bound_operation& op, core::row_sink& rows, core::arena& memory) {
    auto& bound = bind(*op.target);
    if (!bound.problem.empty()) {
        return outcome::failure(code::internal, "the template does not fit its object");
    }
    if (auto failed = select_targets(bound, op); !failed.ok() || expired_) {
        return failed;
    }
    const bool deletes = op.asked == core::verb::remove; // by a mark
    if (deletes) {
        return_rows(bound, op, rows);
    }
    for (auto* hit : hits_) {
        if (auto failed = update_row(bound, *hit, op, memory); !failed.ok()) {
            rows.reset(op.index);
            return failed;
        }
    }
    rows.count(op.index, hits_.size());
    if (!deletes) {
        return_rows(bound, op, rows);
    }
    return hits_.empty() ? outcome{} : outcome::applied();
}

outcome unit::remove(const bound_operation& op, core::row_sink& rows) {
    auto& bound = bind(*op.target);
    if (!bound.problem.empty()) {
        return outcome::failure(code::internal, "the template does not fit its object");
    }
    if (auto failed = select_targets(bound, op); !failed.ok() || expired_) {
        return failed;
    }
    return_rows(bound, op, rows);
    for (auto* hit : hits_) {
        make_room();
        undo_.push_back({change::kind::removed, bound.rows, hit, {}, bound.rows->remove(*hit)});
    }
    rows.count(op.index, hits_.size());
    return hits_.empty() ? outcome{} : outcome::applied();
}

void unit::undo_to(std::size_t savepoint) {
    while (undo_.size() > savepoint) {
        auto& last = undo_.back();
        switch (last.what) {
        case change::kind::inserted:
            last.where->remove(*last.place);
            break;
        case change::kind::replaced:
            last.where->replace(*last.place, last.before);
            break;
        case change::kind::removed:
            last.where->insert(std::move(last.removed));
            break;
        }
        undo_.pop_back();
    }
}

void unit::keep() {
    undo_.clear();
}

void unit::make_room() {
    if (undo_.size() == undo_.capacity()) {
        undo_.reserve(2 * undo_.capacity() + 16);
    }
}

/// The view of a unit that a procedure gets.
class call_in_unit final : public memory_call {
public:
    call_in_unit(unit& owner, const bound_operation& op, core::row_sink& rows, core::arena& memory)
        : unit_(owner), op_(op), rows_(rows), memory_(memory) {}

    [[nodiscard]] const templates::template_def& target() const override { return *op_.target; }
    [[nodiscard]] const templates::call& called() const override { return *op_.call; }
    [[nodiscard]] std::span<const core::value> args() const override { return op_.args; }

    [[nodiscard]] std::span<const core::value> fetch(const templates::template_def& of,
                                                     std::span<const core::value> key) override {
        const auto& bound = unit_.bind(of);
        const auto* const hit = bound.rows == nullptr ? nullptr : bound.rows->find(key);
        if (hit == nullptr) {
            return {};
        }
        // Texts stay where they are: rows that are replaced are kept until the unit ends.
        return memory_.copy(in_field_order(bound, *hit));
    }

    void scan(const templates::template_def& of,
              const std::function<bool(std::span<const core::value>)>& visit) override {
        const auto& bound = unit_.bind(of);
        unit_.each_match(bound, {},
                         [&](const record& each) { return visit(in_field_order(bound, each)); });
    }

    core::outcome insert(const templates::template_def& into,
                         std::span<const assignment> row) override {
        auto op = made(into, core::verb::insert);
        const std::span<const assignment> rows[] = {row};
        op.rows = rows;
        return write(op);
    }

    core::outcome update(const templates::template_def& of, std::span<const core::value> key,
                         std::span<const assignment> set,
                         std::span<const assignment> inc) override {
        auto op = made(of, core::verb::update);
        op.key = key;
        op.set = set;
        op.inc = inc;
        return write(op);
    }

    core::outcome remove(const templates::template_def& of,
                         std::span<const core::value> key) override {
        auto op = made(of, core::verb::remove);
        op.key = key;
        return write(op);
    }

    void begin_set(std::size_t set) override {
        set_ = &op_.call->returns.at(set);
        rows_.begin_set(op_.index, set_->name);
    }

    void row(std::span<const core::value> cells) override {
        if (set_ == nullptr || cells.size() != set_->layout.size()) {
            throw core::error{core::errc::internal,
                              "a procedure's row does not have the fields of its result set"};
        }
        rows_.begin_row(op_.index, set_->layout);
        for (const auto& cell : cells) {
            rows_.cell(cell);
        }
        rows_.end_row();
    }

    void out(std::span<const core::value> values) override {
        if (values.size() != op_.call->out_layout.size()) {
            throw core::error{core::errc::internal,
                              "a procedure's out arguments are not those of its template"};
        }
        rows_.out(op_.index, op_.call->out_layout, values);
    }

    [[nodiscard]] core::outcome reject(std::string_view reason, std::string_view detail) override {
        auto refused = core::outcome::failure(core::code::rejected, memory_.copy(detail));
        refused.reason = memory_.copy(reason);
        return refused;
    }

    [[nodiscard]] core::arena& memory() override { return memory_; }

private:
    [[nodiscard]] static bound_operation made(const templates::template_def& of, core::verb op) {
        bound_operation result;
        result.op = op;
        result.target = &of;
        return result;
    }

    core::outcome write(const bound_operation& op) {
        const auto before = unit_.savepoint();
        core::outcome result;
        no_rows_sink nowhere; // a client would have got the answers
        if (!unit_.run(op, nowhere, result, memory_)) {
            return core::outcome::failure(core::code::deadline_exceeded, "the deadline passed");
        }
        if (!result.ok()) {
            unit_.undo_to(before);
        }
        return result;
    }

    std::span<const core::value> in_field_order(const binding& bound, const record& from) {
        cells_.clear();
        for (const auto column : bound.columns) {
            cells_.push_back(from.contents->cell(column));
        }
        return cells_;
    }

    unit& unit_;
    const bound_operation& op_;
    core::row_sink& rows_;
    core::arena& memory_;
    const templates::result_set* set_ = nullptr;
    std::vector<core::value> cells_;
};

outcome unit::call(const bound_operation& op, core::row_sink& rows, core::arena& memory) {
    const auto found = store_.settings.calls.find(op.call->routine);
    if (found == store_.settings.calls.end()) {
        context_.log.write(observe::level::error, "BEDS_MEMORY_PROCEDURE", context_.name,
                           "no procedure '" + op.call->routine + "' is registered");
        return outcome::failure(code::internal, "the template's procedure is not there");
    }
    try {
        call_in_unit access{*this, op, rows, memory};
        auto result = found->second(access);
        if (result.ok()) {
            // As with a procedure of a database, nobody can see that a writing one changed nothing.
            result.effect = op.call->op_class == core::op_class::read ? core::effect::none
                                                                      : core::effect::applied;
        } else {
            result.effect = core::effect::none;
        }
        return result;
    } catch (const std::exception& error) {
        context_.log.write(observe::level::error, "BEDS_MEMORY_PROCEDURE", context_.name,
                           "procedure '" + op.call->routine + "' threw: " + error.what());
    } catch (...) {
        context_.log.write(observe::level::error, "BEDS_MEMORY_PROCEDURE", context_.name,
                           "procedure '" + op.call->routine + "' threw");
    }
    return outcome::failure(code::internal,
                            words(memory, {"the procedure of '", op.call->name, "' failed"}));
}

bool unit::run(const bound_operation& op, core::row_sink& rows, outcome& result,
               core::arena& memory) {
    const auto before = savepoint();
    try {
        const bool writes = op.op == core::verb::insert || op.op == core::verb::update ||
                            op.op == core::verb::remove;
        if (writes && !may_write()) {
            result = outcome::failure(code::internal, "a write in a unit of work that reads");
            return true;
        }
        switch (op.op) {
        case core::verb::fetch:
            result = fetch(op, rows);
            break;
        case core::verb::find:
            result = find(op, rows);
            break;
        case core::verb::count:
        case core::verb::exists:
            result = count(op, rows);
            break;
        case core::verb::insert:
            result = insert(op, rows, memory);
            break;
        case core::verb::update:
            result = update(op, rows, memory);
            break;
        case core::verb::remove:
            result = remove(op, rows);
            break;
        case core::verb::call:
            result = call(op, rows, memory);
            break;
        case core::verb::describe:
            result = outcome::failure(code::unsupported, "describe is not an adapter's operation");
            break;
        }
    } catch (const std::bad_alloc&) {
        result = outcome::failure(code::backend_storage_full, "the store's memory is used up");
    }
    if (!result.ok()) {
        undo_to(before);
    }
    return !expired_;
}

} // namespace beds::adapters::memory
