#include "operations.hpp"

#include "numbers.hpp"
#include "query.hpp"
#include "values.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace beds_sqlite {

using beds::core::arena;
using beds::core::code;
using beds::core::outcome;
using beds::core::row_sink;
using beds::core::value;
using beds::core::verb;
using field_list = std::vector<field_id>;

namespace {

/// A row holds what is none of its template's type. Nobody can answer with that.
struct foreign_value {
    std::string_view field;
};

field_list both(std::span<const field_id> first, std::span<const field_id> second) {
    field_list made{first.begin(), first.end()};
    made.insert(made.end(), second.begin(), second.end());
    return made;
}

template <class Range>
field_list fields_of(const Range& parts) {
    field_list made;
    for (const auto& each : parts) {
        made.push_back(each.field);
    }
    return made;
}

class runner {
public:
    runner(const bound_operation& op, database& on, row_sink& rows, arena& memory)
        : op_(op), target_(*op.target), on_(on), rows_(rows), memory_(memory) {}

    outcome fetch();
    outcome find();
    outcome count();
    outcome exists();
    outcome insert();
    outcome update();
    outcome remove();

private:
    /// A row that is to be changed: its key, and what something is added to.
    struct changing {
        std::vector<value> key;
        std::vector<value> addends;
    };

    [[nodiscard]] value cell(const statement& from, int column, field_id field);
    [[nodiscard]] std::vector<value> cells(const statement& from, int first,
                                           std::span<const field_id> of);
    [[nodiscard]] std::vector<value> kept(std::vector<value> of_this_step);
    void write_row(const statement& from, int first_column);

    [[nodiscard]] query insertion(std::span<const assignment> row);
    [[nodiscard]] query row_in_the_way(std::span<const assignment> row);
    void tell_inserted(const statement& from);
    [[nodiscard]] std::vector<changing> rows_to_change();
    [[nodiscard]] outcome change(const changing& row);
    [[nodiscard]] outcome judge(std::uint64_t rows_met);
    [[nodiscard]] outcome no_row_met();
    [[nodiscard]] outcome tell_changed(std::uint64_t rows);

    const bound_operation& op_;
    const beds::templates::template_def& target_;
    database& on_;
    row_sink& rows_;
    arena& memory_;
};

value runner::cell(const statement& from, int column, field_id field) {
    const auto& wanted = target_.fields[field];
    const auto found = read(from, column, wanted.type, memory_);
    if (!found) {
        throw foreign_value{wanted.name};
    }
    return *found;
}

std::vector<value> runner::cells(const statement& from, int first, std::span<const field_id> of) {
    std::vector<value> made;
    made.reserve(of.size());
    for (const auto field : of) {
        made.push_back(cell(from, first++, field));
    }
    return made;
}

/// Texts of a row go with the next step.
std::vector<value> runner::kept(std::vector<value> of_this_step) {
    for (auto& each : of_this_step) {
        each.text = memory_.copy(each.text);
    }
    return of_this_step;
}

/// The operation's fields, which stand in the statement from this column on.
void runner::write_row(const statement& from, int first_column) {
    // Read as a whole first: a row that has begun must be ended.
    const auto row = cells(from, first_column, op_.fields);
    rows_.begin_row(op_.index, *op_.layout);
    for (const auto& each : row) {
        rows_.cell(each);
    }
    rows_.end_row();
}

outcome runner::fetch() {
    query ask{target_};
    ask.text("SELECT ").columns(op_.fields).text(" FROM ").object().is_meant_by(op_);
    auto found = ask.prepare(on_);
    if (found.step()) {
        write_row(found, 0);
    } else {
        rows_.no_rows(op_.index);
    }
    return {};
}

outcome runner::find() {
    const auto sorted_by = fields_of(op_.sort);
    query ask{target_};
    ask.text("SELECT ").columns(both(op_.fields, sorted_by)).text(" FROM ").object();
    ask.is_meant_by(op_).comes_after_page_of(op_).order(op_.sort);
    ask.text(" LIMIT ").number(std::int64_t{op_.limit} + 1); // one more: is there a next page?
    auto found = ask.prepare(on_);
    std::uint32_t shown = 0;
    std::vector<value> last;
    while (found.step()) {
        if (shown == op_.limit) {
            rows_.next(op_.index, op_.cursor_tag, last);
            return {};
        }
        write_row(found, 0);
        if (++shown == op_.limit) {
            last = kept(cells(found, static_cast<int>(op_.fields.size()), sorted_by));
        }
    }
    if (shown == 0) {
        rows_.no_rows(op_.index);
    }
    return {};
}

outcome runner::count() {
    query ask{target_};
    ask.text("SELECT count(*) FROM ").object().is_meant_by(op_);
    auto counted = ask.prepare(on_);
    counted.step();
    rows_.total(op_.index, static_cast<std::uint64_t>(counted.integer(0)));
    return {};
}

outcome runner::exists() {
    query ask{target_};
    ask.text("SELECT EXISTS (SELECT 1 FROM ").object().is_meant_by(op_).text(")");
    auto asked = ask.prepare(on_);
    asked.step();
    rows_.exists(op_.index, asked.integer(0) != 0);
    return {};
}

query runner::insertion(std::span<const assignment> row) {
    query made{target_};
    made.text("INSERT INTO ").object();
    if (row.empty()) {
        made.text(" DEFAULT VALUES");
    } else {
        made.text(" (").columns(fields_of(row)).text(") VALUES (").values(row).text(")");
    }
    if (!op_.unique.empty()) {
        made.text(" ON CONFLICT (").columns(op_.unique).text(") DO ").take_over(op_.taken_over);
    }
    return made.text(" RETURNING ").columns(both(target_.key, op_.fields));
}

/// The one that has the values of `on_conflict` already.
query runner::row_in_the_way(std::span<const assignment> row) {
    std::vector<assignment> same;
    for (const auto& each : row) {
        if (std::find(op_.unique.begin(), op_.unique.end(), each.field) != op_.unique.end()) {
            same.push_back(each);
        }
    }
    query made{target_};
    made.text("SELECT ").columns(both(target_.key, op_.fields)).text(" FROM ").object();
    return made.equals(same);
}

/// From a statement that shows the key, and behind it what `return` names.
void runner::tell_inserted(const statement& from) {
    rows_.key(op_.index, target_.key_layout, cells(from, 0, target_.key));
    if (!op_.fields.empty()) {
        write_row(from, static_cast<int>(target_.key.size()));
    }
}

outcome runner::insert() {
    std::uint64_t written = 0;
    for (const auto& row : op_.rows) {
        auto inserted = insertion(row).prepare(on_);
        if (inserted.step()) {
            tell_inserted(inserted);
            inserted.finish();
            ++written;
        } else {
            auto there = row_in_the_way(row).prepare(on_);
            there.step();
            tell_inserted(there);
        }
    }
    rows_.count(op_.index, written);
    return written == 0 ? outcome{} : outcome::applied();
}

std::vector<runner::changing> runner::rows_to_change() {
    const auto added_to = fields_of(op_.inc);
    query ask{target_};
    ask.text("SELECT ").columns(both(target_.key, added_to)).text(" FROM ").object();
    ask.is_meant_by(op_).equals(op_.expect);
    auto found = ask.prepare(on_);
    std::vector<changing> all;
    while (found.step()) {
        all.push_back({kept(cells(found, 0, target_.key)),
                       kept(cells(found, static_cast<int>(target_.key.size()), added_to))});
    }
    return all;
}

/// `inc` is added here: SQLite would make a sum that is too large a REAL, and cannot add decimals.
/// Nobody comes between: the unit holds the file's write lock.
outcome runner::change(const changing& row) {
    std::vector<assignment> set{op_.set.begin(), op_.set.end()};
    for (std::size_t i = 0; i < op_.inc.size(); ++i) {
        const auto& field = target_.fields[op_.inc[i].field];
        if (row.addends[i].is_null()) {
            return outcome::failure(code::constraint, "the field has no value to add to",
                                    field.name);
        }
        const auto sum = sum_of(row.addends[i], op_.inc[i].value, field.type, memory_);
        if (!sum) {
            return outcome::failure(code::constraint, "the sum is out of the field's range",
                                    field.name);
        }
        set.push_back({op_.inc[i].field, *sum});
    }
    query write{target_};
    write.text("UPDATE ").object().text(" SET ").settings(set).has_key(row.key);
    if (!op_.fields.empty()) {
        write.text(" RETURNING ").columns(op_.fields);
    }
    auto written = write.prepare(on_);
    if (written.step()) {
        write_row(written, 0);
        written.finish();
    }
    return outcome::applied();
}

outcome runner::update() {
    const auto all = rows_to_change();
    if (auto refused = judge(all.size()); !refused.ok()) {
        return refused;
    }
    for (const auto& row : all) {
        if (auto refused = change(row); !refused.ok()) {
            return refused;
        }
    }
    return tell_changed(all.size());
}

outcome runner::remove() {
    query write{target_};
    write.text("DELETE FROM ").object().is_meant_by(op_).equals(op_.expect);
    if (!op_.fields.empty()) {
        write.text(" RETURNING ").columns(op_.fields);
    }
    auto removed = write.prepare(on_);
    while (removed.step()) {
        write_row(removed, 0);
    }
    const auto rows = on_.changed_rows();
    if (auto refused = judge(rows); !refused.ok()) {
        return refused;
    }
    return tell_changed(rows);
}

/// May an update or delete of so many rows be? If not, the caller undoes what is done already.
outcome runner::judge(std::uint64_t rows_met) {
    if (rows_met == 0 && !op_.key.empty()) {
        return no_row_met();
    }
    if (!op_.fields.empty() && rows_met > target_.limits.max_rows) {
        return outcome::failure(code::limit_exceeded,
                                "more rows than this template returns; nothing was changed",
                                "return");
    }
    return {};
}

/// There is none with this key, or it is not as `if` wants it.
outcome runner::no_row_met() {
    query ask{target_};
    ask.text("SELECT EXISTS (SELECT 1 FROM ").object().is_meant_by(op_).text(")");
    auto asked = ask.prepare(on_);
    asked.step();
    return asked.integer(0) == 0
               ? outcome::failure(code::not_found, "there is no row with this key")
               : outcome::failure(code::conflict, "the row is not as expected");
}

outcome runner::tell_changed(std::uint64_t rows) {
    rows_.count(op_.index, rows);
    if (rows == 0 && !op_.fields.empty()) {
        rows_.no_rows(op_.index);
    }
    return rows == 0 ? outcome{} : outcome::applied();
}

outcome run_by(runner& by, verb op) {
    switch (op) {
    case verb::fetch:
        return by.fetch();
    case verb::find:
        return by.find();
    case verb::count:
        return by.count();
    case verb::exists:
        return by.exists();
    case verb::insert:
        return by.insert();
    case verb::update:
        return by.update();
    case verb::remove:
        return by.remove();
    case verb::call:
    case verb::describe:
        break;
    }
    return outcome::failure(code::unsupported, "SQLite has no procedures");
}

} // namespace

bool writes(const bound_operation& op) {
    return op.op == verb::insert || op.op == verb::update || op.op == verb::remove;
}

outcome run(const bound_operation& op, database& on, row_sink& rows, arena& memory) {
    try {
        runner by{op, on, rows, memory};
        return run_by(by, op.op);
    } catch (const foreign_value& found) {
        return outcome::failure(code::internal,
                                "a stored value is not of the type that the template says",
                                found.field);
    }
}

} // namespace beds_sqlite
