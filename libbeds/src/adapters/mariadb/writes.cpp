#include "adapters/mariadb/session.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace beds::adapters::mariadb {

using core::code;
using core::outcome;

namespace {

/// The value that a row to be inserted gives a field; null: none.
const core::value* given_value(insert_row row, field_id field) {
    const auto found = std::find_if(
        row.begin(), row.end(), [field](const assignment& each) { return each.field == field; });
    return found != row.end() && !found->value.is_null() ? &found->value : nullptr;
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

ran mariadb_session::nothing_matched(const bound_operation& op) {
    if (op.key.empty()) {
        rows_->count(op.index, 0);
        result(op) = {};
        return ran::fine;
    }
    if (!op.expect.empty()) {
        const template_shape* shape = nullptr;
        if (const auto went = learn(*op.target, shape); went != ran::fine) {
            return went;
        }
        row_is_there(query_, op, shape->write);
        std::uint64_t there = 0;
        if (const auto went = read_number(op, there); went != ran::fine) {
            return went;
        }
        if (there != 0) {
            result(op) = outcome::failure(code::conflict, "the row is not as expected");
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
    if (rows == 0) {
        return nothing_matched(op);
    }
    rows_->count(op.index, rows);
    result(op) = outcome::applied();
    return ran::fine;
}

ran mariadb_session::update_group(operation_list work) {
    return change_group(work, !work.front()->target->write.update.empty(), update_by_join);
}

ran mariadb_session::remove_group(operation_list work) {
    return change_group(work, !work.front()->target->write.remove.empty(), remove_by_keys);
}

ran mariadb_session::change_group(operation_list work, bool by_procedure,
                                  void (*build)(query&, operation_list, const table_shape&)) {
    const bound_operation& first = *work.front();
    order_.assign(work.begin(), work.end());
    sort_by_key(order_);
    // The total of a statement names no row: what can fail by row for other reasons than a missing
    // key runs alone.
    if (work.size() == 1 || by_procedure || first.key.empty() || !first.expect.empty() ||
        !first.where.empty()) {
        return one_at_a_time(order_);
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*first.target, shape); went != ran::fine) {
        return went;
    }
    // A power of two, because sizes are padded.
    const std::size_t most =
        std::bit_floor(most_rows(first.key.size() + first.set.size() + first.inc.size()));
    for (std::size_t at = 0; at < order_.size(); at += most) {
        const auto chunk = operation_list{order_}.subspan(at, std::min(most, order_.size() - at));
        if (chunk.size() == 1) {
            if (const auto went = run_one(*chunk.front()); went == ran::ended) {
                return went;
            }
            continue;
        }
        if (const auto went = savepoint(); went == ran::ended) {
            return went;
        }
        build(query_, chunk, shape->write);
        statement* made = nullptr;
        const auto went = execute(made);
        if (went == ran::ended) {
            return went;
        }
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
                                 std::span<const field_id> returned_fields,
                                 const statement* returned) {
    const auto& target = *op.target;
    values_.assign(target.key.size(), core::value{});
    rooms_.resize(std::max(rooms_.size(), target.key.size()));
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        if (const auto* given = given_value(row, target.key[i])) {
            values_[i] = *given;
            continue;
        }
        const auto at = static_cast<std::size_t>(
            std::find(returned_fields.begin(), returned_fields.end(), target.key[i]) -
            returned_fields.begin());
        if (returned != nullptr && at < returned->column_count()) {
            static_cast<void>(read_cell(returned->cells()[at], returned->column(at),
                                        target.fields[target.key[i]].type, rooms_[i], values_[i]));
        }
    }
    rows_->key(op.index, target.key_layout, values_);
}

ran mariadb_session::insert_group(operation_list work) {
    const bound_operation& first = *work.front();
    if (!first.target->write.insert.empty() || work.size() == 1 || first.rows.size() != 1) {
        return one_at_a_time(work);
    }
    // In the order of the keys that are given; those that the database makes ascend by themselves.
    order_.assign(work.begin(), work.end());
    const auto& key = first.target->key;
    std::stable_sort(order_.begin(), order_.end(),
                     [&key](const bound_operation* a, const bound_operation* b) {
                         for (const auto field : key) {
                             const auto* left = given_value(a->rows.front(), field);
                             const auto* right = given_value(b->rows.front(), field);
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
    const bool keys_made = std::any_of(key.begin(), key.end(), [&](field_id field) {
        return given_value(first.rows.front(), field) == nullptr;
    });
    if (keys_made && !connection_.facts().insert_returning) {
        return one_at_a_time(order_);
    }
    const std::size_t most = most_rows(first.rows.front().size());
    for (std::size_t at = 0; at < order_.size();) {
        const auto chunk =
            operation_list{order_}.subspan(at, unpadded_size(std::min(most, order_.size() - at)));
        at += chunk.size();
        if (chunk.size() == 1) {
            if (const auto went = run_one(*chunk.front()); went == ran::ended) {
                return went;
            }
            continue;
        }
        if (const auto went = savepoint(); went == ran::ended) {
            return went;
        }
        const auto went = insert_rows(chunk);
        if (went == ran::ended) {
            return went;
        }
        if (went == ran::refused) {
            for (const auto* op : chunk) {
                rows_->reset(op->index);
            }
            if (back_to_savepoint() == ran::ended || one_at_a_time(chunk) == ran::ended) {
                return ran::ended;
            }
        }
    }
    return ran::fine;
}

ran mariadb_session::insert_chunk(const templates::template_def& target,
                                  std::span<const insert_row> rows,
                                  std::span<const bound_operation* const> owners) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(target, shape); went != ran::fine) {
        return went;
    }
    std::array<field_id, 16> wanted{};
    std::size_t made_keys = 0;
    for (const auto field : target.key) {
        const bool missing = std::any_of(rows.begin(), rows.end(), [field](insert_row row) {
            return given_value(row, field) == nullptr;
        });
        if (missing && made_keys < wanted.size()) {
            wanted[made_keys++] = field;
        }
    }
    insert(query_, target, rows, std::span{wanted}.first(made_keys), shape->write);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    std::size_t row = 0;
    if (made_keys > 0) {
        statement::fetched got{};
        while ((got = made->fetch()) == statement::fetched::row) {
            if (row < rows.size()) {
                write_keys(*owners[row], rows[row], std::span{wanted}.first(made_keys), made);
                ++row;
            }
        }
        return fetched(*made, got);
    }
    for (; row < rows.size(); ++row) {
        write_keys(*owners[row], rows[row], {}, nullptr);
    }
    return ran::fine;
}

ran mariadb_session::insert_rows(operation_list work) {
    insert_rows_.clear();
    for (const auto* op : work) {
        insert_rows_.push_back(op->rows.front());
    }
    const auto went = insert_chunk(*work.front()->target, insert_rows_, work);
    if (went != ran::fine) {
        return went;
    }
    for (const auto* op : work) {
        rows_->count(op->index, 1);
        result(*op) = outcome::applied();
    }
    return ran::fine;
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
    const auto& key = op.target->key;
    const bool keys_made = std::any_of(key.begin(), key.end(), [&](field_id field) {
        return std::any_of(op.rows.begin(), op.rows.end(),
                           [field](insert_row row) { return given_value(row, field) == nullptr; });
    });
    // All rows or none: more than one statement needs a place to go back to.
    const bool one_by_one = keys_made && !connection_.facts().insert_returning;
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
        if (one_by_one) {
            went = insert_with_last_id(op, chunk.front());
        } else {
            chunk_.assign(size, &op);
            went = insert_chunk(*op.target, chunk, chunk_);
        }
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

ran mariadb_session::insert_with_last_id(const bound_operation& op, insert_row row) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    insert(query_, *op.target, std::array{row}, {}, shape->write);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    const auto& key = op.target->key;
    values_.assign(key.size(), core::value{});
    for (std::size_t i = 0; i < key.size(); ++i) {
        const auto* given = given_value(row, key[i]);
        values_[i] = given != nullptr
                         ? *given
                         : number_as(op.target->fields[key[i]].type, made->insert_id());
    }
    rows_->key(op.index, op.target->key_layout, values_);
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
