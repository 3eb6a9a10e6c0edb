#include "adapters/mariadb/session.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace beds::adapters::mariadb {

using core::code;
using core::outcome;

namespace {

/// The value other than NULL that a row gives a field; null: none.
const core::value* value_given(insert_row row, field_id field) {
    const auto* given = given_value(row, field);
    return given != nullptr && !given->is_null() ? given : nullptr;
}

/// A statement has at most 65,535 parameters.
std::size_t most_rows(std::size_t fields) {
    constexpr std::size_t most_parameters = 65'535;
    return std::clamp<std::size_t>(most_parameters / std::max<std::size_t>(fields, 1), 1,
                                   most_in_one_statement);
}

} // namespace

void mariadb_session::sort_by_key(std::vector<const bound_operation*>& work) const {
    std::stable_sort(work.begin(), work.end(),
                     [](const bound_operation* a, const bound_operation* b) {
                         return less_key(a->key, b->key);
                     });
}

outcome mariadb_session::nothing_to_add_to(const bound_operation& op) {
    return outcome::failure(code::constraint, "the field has no value to add to",
                            op.target->fields[op.inc.front().field].name);
}

ran mariadb_session::nothing_matched(const bound_operation& op) {
    if (op.key.empty()) {
        rows_->count(op.index, 0);
        result(op) = {};
        return ran::fine;
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    const auto rows = rows_of(op, *shape);
    const bool adds = may_add_to_null(op, rows.shape);
    for (const auto what : {looked_for::expected, looked_for::key}) {
        if (what == looked_for::expected ? !adds : op.expect.empty()) {
            continue;
        }
        row_is_there(query_, op, what, rows, *memory_);
        std::uint64_t there = 0;
        if (const auto went = read_number(op, there); went != ran::fine) {
            return went;
        }
        if (there != 0) {
            result(op) = what == looked_for::key
                             ? outcome::failure(code::conflict, "the row is not as expected")
                             : nothing_to_add_to(op);
            return ran::fine;
        }
    }
    result(op) = outcome::failure(code::not_found, "no row has this key");
    return ran::fine;
}

// ---- update ----

ran mariadb_session::update_one(const bound_operation& op) {
    return change_one(op, op.target->write.update, mariadb::update_one);
}

ran mariadb_session::remove_one(const bound_operation& op) {
    return change_one(op, op.target->write.remove, mariadb::remove_one);
}

ran mariadb_session::change_one(const bound_operation& op, const std::string& procedure,
                                build_one build) {
    if (!procedure.empty()) {
        return write_by_procedure(op, procedure);
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    if (refused_by_engine(op, *shape)) {
        return ran::fine;
    }
    if (const auto went = wait_at_most(unit_patience_); went != ran::fine) {
        return went;
    }
    if (op.key.empty() && may_add_to_null(op, shape->write) && explaining_ == nullptr) {
        // A filter would silently leave these rows out.
        rows_without_value(query_, op, shape->write, *memory_);
        std::uint64_t there = 0;
        if (const auto went = read_number(op, there); went != ran::fine) {
            return went;
        }
        if (there != 0) {
            result(op) = nothing_to_add_to(op);
            return ran::fine;
        }
    }
    build(query_, op, shape->write, *memory_);
    statement* made = nullptr;
    const auto went = execute(made);
    if (went == ran::refused) {
        result(op) = rejection(op, op.target->write_errors); // a trigger may refuse
        return ran::fine;
    }
    return went == ran::ended ? went : matched(op, made->affected());
}

ran mariadb_session::matched(const bound_operation& op, std::uint64_t rows) {
    matched_ = rows;
    if (rows == 0) {
        return nothing_matched(op);
    }
    rows_->count(op.index, rows);
    result(op) = outcome::applied();
    return ran::fine;
}

ran mariadb_session::change_group(operation_list work) {
    const bound_operation& first = *work.front();
    const bool updates = first.op == core::verb::update;
    order_.assign(work.begin(), work.end());
    sort_by_key(order_);
    if (!first.fields.empty()) {
        return one_at_a_time(order_);
    }
    const auto& procedure = updates ? first.target->write.update : first.target->write.remove;
    if (!procedure.empty() && work.size() > 1) {
        return write_group_by_procedure(order_, procedure);
    }
    const auto& may = connection_.facts().may;
    if (work.size() == 1 || first.key.empty() || !first.where.empty() ||
        !(updates ? may.update : may.remove)) {
        return one_at_a_time(order_);
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*first.target, shape); went != ran::fine) {
        return went;
    }
    if (!shape->write.unsafe.empty() || !key_is_unique(*first.target, shape->write) ||
        (updates && !can_join(order_, shape->write))) {
        return one_at_a_time(order_);
    }
    // A power of two, because sizes are padded.
    const std::size_t most = std::bit_floor(
        most_rows(first.key.size() + first.set.size() + first.inc.size() + first.expect.size()));
    for (std::size_t at = 0; at < order_.size(); at += most) {
        const auto chunk = operation_list{order_}.subspan(at, std::min(most, order_.size() - at));
        if (chunk.size() == 1) {
            if (const auto went = run_one(*chunk.front()); went == ran::ended) {
                return went;
            }
            continue;
        }
        if (wait_at_most(unit_patience_) == ran::ended || savepoint() == ran::ended) {
            return ran::ended;
        }
        if (updates) {
            update_by_join(query_, chunk, shape->write);
        } else {
            remove_by_keys(query_, chunk, shape->write);
        }
        statement* made = nullptr;
        const auto went = execute(made);
        if (went == ran::ended) {
            return went;
        }
        // Each operation matches one row at most, and a row that several match counts once: so many
        // rows as operations means one for each. A smaller total names nobody.
        if (went == ran::fine && made->affected() == chunk.size()) {
            for (const auto* op : chunk) {
                rows_->count(op->index, 1);
                result(*op) = outcome::applied();
            }
            continue;
        }
        if (back_to_savepoint() == ran::ended || one_at_a_time(chunk) == ran::ended) {
            return ran::ended;
        }
    }
    return ran::fine;
}

// ---- insert ----

void mariadb_session::write_keys(const bound_operation& op, insert_row row,
                                 const table_shape& shape,
                                 std::span<const field_id> returned_fields,
                                 const statement* returned, std::uint64_t number) {
    const auto& target = *op.target;
    values_.assign(target.key.size(), core::value{});
    rooms_.resize(std::max(rooms_.size(), target.key.size()));
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        if (const auto* given = value_given(row, target.key[i])) {
            values_[i] = shape.columns[target.key[i]].as_stored(
                *given, !connection_.facts().is_mariadb, *memory_);
            continue;
        }
        const auto at = static_cast<std::size_t>(
            std::find(returned_fields.begin(), returned_fields.end(), target.key[i]) -
            returned_fields.begin());
        if (returned != nullptr && at < returned->column_count()) {
            static_cast<void>(read_cell(returned->cells()[at], returned->column(at),
                                        target.fields[target.key[i]].type, rooms_[i], values_[i]));
        } else if (returned == nullptr) {
            values_[i] = number_as(target.fields[target.key[i]].type, number);
        }
    }
    tell_key(op, values_);
}

ran mariadb_session::insert_group(operation_list work) {
    const bound_operation& first = *work.front();
    if (!first.target->write.insert.empty() && first.fields.empty() && first.unique.empty() &&
        work.size() > 1) {
        return write_group_by_procedure(work, first.target->write.insert);
    }
    if (work.size() == 1 || first.rows.empty()) {
        return one_at_a_time(work);
    }
    // In the order of the keys that are given; those that the database makes ascend by themselves.
    order_.assign(work.begin(), work.end());
    const auto& key = first.target->key;
    std::stable_sort(order_.begin(), order_.end(),
                     [&key](const bound_operation* a, const bound_operation* b) {
                         for (const auto field : key) {
                             const auto* left = value_given(a->rows.front(), field);
                             const auto* right = value_given(b->rows.front(), field);
                             if (left == nullptr || right == nullptr) {
                                 if ((left == nullptr) != (right == nullptr)) {
                                     return left == nullptr;
                                 }
                                 continue;
                             }
                             if (core::less(*left, *right) || core::less(*right, *left)) {
                                 return core::less(*left, *right);
                             }
                         }
                         return false;
                     });
    if (!connection_.facts().may.insert || !first.fields.empty() || !first.unique.empty()) {
        return one_at_a_time(order_);
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*first.target, shape); went != ran::fine) {
        return went;
    }
    // Operations of one shape have the same number of rows.
    const std::size_t each = first.rows.size();
    const std::size_t most = most_rows(first.rows.front().size()) / each;
    for (std::size_t at = 0; at < order_.size();) {
        const auto left = order_.size() - at;
        const auto chunk =
            operation_list{order_}.subspan(at, most < 2 ? 1 : unpadded_size(std::min(most, left)));
        at += chunk.size();
        insert_rows_.clear();
        chunk_.clear();
        for (const auto* op : chunk) {
            for (const auto& row : op->rows) {
                insert_rows_.push_back(row);
                chunk_.push_back(op);
            }
        }
        if (chunk.size() == 1 || !shape->write.unsafe.empty() ||
            made_keys(*first.target, insert_rows_, shape->write) == keys::lost) {
            if (one_at_a_time(chunk) == ran::ended) {
                return ran::ended;
            }
            continue;
        }
        if (const auto went = savepoint(); went == ran::ended) {
            return went;
        }
        const auto went = insert_chunk(*first.target, insert_rows_, chunk_);
        if (went == ran::ended) {
            return went;
        }
        if (went == ran::fine) {
            for (const auto* op : chunk) {
                rows_->count(op->index, each);
                result(*op) = outcome::applied();
            }
            continue;
        }
        for (const auto* op : chunk) {
            rows_->reset(op->index);
        }
        if (back_to_savepoint() == ran::ended || one_at_a_time(chunk) == ran::ended) {
            return ran::ended;
        }
    }
    return ran::fine;
}

mariadb_session::keys mariadb_session::made_keys(const templates::template_def& target,
                                                 std::span<const insert_row> rows,
                                                 const table_shape& shape) const {
    std::size_t missing = 0;
    std::size_t fields = 0;
    bool counts_up = true;
    for (const auto field : target.key) {
        const auto without = static_cast<std::size_t>(
            std::count_if(rows.begin(), rows.end(),
                          [field](insert_row row) { return value_given(row, field) == nullptr; }));
        if (without != 0) {
            ++fields;
            missing = without;
            counts_up = shape.columns[field].auto_increment;
        }
    }
    if (fields == 0) {
        return keys::given;
    }
    if (connection_.facts().insert_returning) {
        return keys::returned;
    }
    // A statement that makes the numbers of all its rows, and whose size is known before, takes
    // them in one piece.
    const bool in_a_row = fields == 1 && missing == rows.size() && counts_up;
    return in_a_row && connection_.facts().may.insert ? keys::in_a_row : keys::lost;
}

ran mariadb_session::insert_chunk(const templates::template_def& target,
                                  std::span<const insert_row> rows,
                                  std::span<const bound_operation* const> owners) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(target, shape); went != ran::fine) {
        return went;
    }
    const auto how = made_keys(target, rows, shape->write);
    wanted_.clear();
    for (const auto field : target.key) {
        if (how == keys::returned && std::any_of(rows.begin(), rows.end(), [field](insert_row row) {
                return value_given(row, field) == nullptr;
            })) {
            wanted_.push_back(field);
        }
    }
    if (const auto went = wait_at_most(unit_patience_); went != ran::fine) {
        return went;
    }
    insert(query_, target, rows, wanted_, shape->write);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    std::size_t row = 0;
    if (how == keys::returned) {
        statement::fetched got{};
        while ((got = made->fetch()) == statement::fetched::row) {
            if (row < rows.size()) {
                write_keys(*owners[row], rows[row], shape->write, wanted_, made);
                ++row;
            }
        }
        return fetched(*made, got);
    }
    const std::uint64_t first = how == keys::given ? 0 : made->insert_id();
    for (; row < rows.size(); ++row) {
        write_keys(*owners[row], rows[row], shape->write, {}, nullptr,
                   first + row * connection_.facts().key_step);
    }
    return ran::fine;
}

ran mariadb_session::find_taken(const bound_operation& op, insert_row row,
                                std::span<const core::value>& key) {
    key = {};
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    const auto wanted = memory_->make_span<condition>(op.unique.size());
    const auto values = memory_->make_span<core::value>(op.unique.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto* value = value_given(row, op.unique[i]);
        if (value == nullptr) {
            return ran::fine; // NULL is like nothing
        }
        values[i] = shape->write.columns[op.unique[i]].as_stored(
            *value, !connection_.facts().is_mariadb, *memory_);
        wanted[i] = {op.unique[i], comparison::eq, values.subspan(i, 1)};
    }
    auto asked = op;
    asked.where = wanted;
    selection_.start(op.target->key);
    keys_for_update(query_, selection_, asked, 1, rows_of(asked, *shape), *memory_);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    statement::fetched got{};
    while ((got = made->fetch()) == statement::fetched::row) {
        if (read_row(*made, selection_, *op.target)) {
            key = copy_of(values_, *memory_);
        }
    }
    return fetched(*made, got);
}

ran mariadb_session::insert_or_take(const bound_operation& op) {
    if (op.rows.size() > 1) { // all or none
        if (const auto went = command("SAVEPOINT beds_rows"); went == ran::ended) {
            return went;
        }
    }
    const auto fails = [&] {
        result(op) = rejection(op, op.target->write_errors);
        rows_->reset(op.index);
        return op.rows.size() > 1 ? back_to("beds_rows") : ran::fine;
    };
    std::uint64_t count = 0;
    for (const auto& row : op.rows) {
        for (int attempt = 0;; ++attempt) {
            std::span<const core::value> key;
            if (wait_at_most(unit_patience_) == ran::ended) {
                return ran::ended;
            }
            auto went = find_taken(op, row, key);
            if (went == ran::fine && key.empty()) {
                chunk_.assign(1, &op);
                went = insert_chunk(*op.target, {&row, 1}, chunk_);
                constexpr unsigned duplicate = 1062;
                constexpr int most_attempts = 3;
                if (went == ran::refused && connection_.error().number == duplicate &&
                    attempt < most_attempts) {
                    continue; // inserted by another one since, unless it is another index
                }
                count += went == ran::fine ? 1U : 0U;
            } else if (went == ran::fine) {
                tell_key(op, key);
                if (!op.taken_over.empty()) {
                    went = take_over(op, row, key);
                    count += went == ran::fine ? 1U : 0U;
                }
            }
            if (went == ran::ended) {
                return went;
            }
            if (went == ran::refused) {
                return fails();
            }
            break;
        }
    }
    rows_->count(op.index, count);
    result(op) = count == 0 ? outcome{} : outcome::applied();
    return ran::fine;
}

ran mariadb_session::take_over(const bound_operation& op, insert_row row,
                               std::span<const core::value> key) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    const auto set = memory_->make_span<assignment>(op.taken_over.size());
    for (std::size_t i = 0; i < set.size(); ++i) {
        const auto* value = value_given(row, op.taken_over[i]);
        set[i] = {op.taken_over[i], value != nullptr ? *value : core::value{}};
    }
    bound_operation change;
    change.op = core::verb::insert; // what the comment names
    change.target = op.target;
    change.key = key;
    change.set = set;
    mariadb::update_one(query_, change, shape->write, *memory_);
    statement* made = nullptr;
    return execute(made);
}

ran mariadb_session::insert_one(const bound_operation& op) {
    if (!op.target->write.insert.empty()) {
        return write_by_procedure(op, op.target->write.insert);
    }
    if (op.rows.empty()) {
        rows_->count(op.index, 0);
        result(op) = {};
        return ran::fine;
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    if (refused_by_engine(op, *shape)) {
        return ran::fine;
    }
    if (!op.unique.empty() && explaining_ == nullptr) {
        return insert_or_take(op);
    }
    // All rows or none: more than one statement needs a place to go back to.
    const bool one_by_one = made_keys(*op.target, op.rows, shape->write) == keys::lost;
    const std::size_t most = one_by_one ? 1 : most_rows(op.rows.front().size());
    const bool several = op.rows.size() > unpadded_size(std::min(most, op.rows.size()));
    if (several) {
        if (const auto went = command("SAVEPOINT beds_rows"); went == ran::ended) {
            return went;
        }
    }
    ran went = ran::fine;
    for (std::size_t at = 0; at < op.rows.size() && went == ran::fine;) {
        const std::size_t size = unpadded_size(std::min(most, op.rows.size() - at));
        const auto chunk = op.rows.subspan(at, size);
        chunk_.assign(size, &op);
        went = insert_chunk(*op.target, chunk, chunk_);
        at += size;
    }
    if (went == ran::ended) {
        return went;
    }
    if (went == ran::refused) {
        result(op) = rejection(op, op.target->write_errors);
        rows_->reset(op.index);
        return several ? back_to("beds_rows") : ran::fine;
    }
    rows_->count(op.index, op.rows.size());
    result(op) = outcome::applied();
    return ran::fine;
}

core::value mariadb_session::number_as(const core::field_type& type, std::uint64_t number) {
    switch (type.kind) {
    case core::type_kind::uint8:
    case core::type_kind::uint16:
    case core::type_kind::uint32:
    case core::type_kind::uint64:
        return core::value::of_uint(number);
    default:
        return core::value::of_int(static_cast<std::int64_t>(number));
    }
}

} // namespace beds::adapters::mariadb
