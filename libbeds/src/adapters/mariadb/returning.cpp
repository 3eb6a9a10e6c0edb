#include "adapters/mariadb/session.hpp"

#include <algorithm>

namespace beds::adapters::mariadb {

using core::code;
using core::outcome;

std::span<const core::value> mariadb_session::copy_of(std::span<const core::value> key,
                                                      core::arena& memory) {
    const auto made = memory.make_span<core::value>(key.size());
    for (std::size_t i = 0; i < key.size(); ++i) {
        made[i] = key[i];
        made[i].text = memory.copy(key[i].text);
    }
    return made;
}

void mariadb_session::tell_key(const bound_operation& op, std::span<const core::value> key) {
    rows_->key(op.index, op.target->key_layout, key);
    if (!op.fields.empty()) {
        returned_.push_back(copy_of(key, *memory_));
    }
}

ran mariadb_session::write_and_return(const bound_operation& op) {
    if (!write_procedure(op).empty()) {
        const procedure_shape* known = nullptr;
        if (const auto went = learn(write_procedure(op), known); went != ran::fine) {
            return went;
        }
        if (known->runs_alone) {
            result(op) = outcome::failure(
                code::unsupported, "the procedure of this write commits by itself, or may do so",
                "return");
            return ran::fine;
        }
    }
    if (const auto went = command("SAVEPOINT beds_return"); went == ran::ended) {
        return went;
    }
    const auto went = write_then_read(op);
    if (went == ran::ended || result(op).ok()) {
        return went;
    }
    rows_->reset(op.index);
    return back_to("beds_return");
}

ran mariadb_session::write_then_read(const bound_operation& op) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    returned_.clear();
    // Also by a mark.
    const bool deletes = op.op == core::verb::remove || op.asked == core::verb::remove;
    const bool looks_first = deletes || !op.where.empty();
    if (looks_first) {
        if (const auto went = lock_rows(op, *shape); went != ran::fine || !result(op).ok()) {
            return went;
        }
    }
    const std::size_t locked = returned_.size();
    if (deletes) {
        if (const auto went = read_back(op, shape->read); went != ran::fine || !result(op).ok()) {
            return went;
        }
    }
    if (const auto went = write_one(op); went != ran::fine || !result(op).ok()) {
        return went;
    }
    if (looks_first && matched_ != locked) {
        result(op) = outcome::failure(code::backend_conflict,
                                      "another operation wrote rows of this condition meanwhile");
        return ran::fine;
    }
    if (deletes) {
        return ran::fine;
    }
    if (op.op == core::verb::update && !looks_first) {
        returned_.push_back(op.key); // no update changes a key
    }
    // The catalog may have changed since: a procedure was learned.
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    const auto written = result(op);
    const auto went = read_back(op, shape->read);
    if (went == ran::fine && result(op).ok()) {
        result(op) = written;
    }
    return went;
}

ran mariadb_session::lock_rows(const bound_operation& op, const template_shape& shape) {
    result(op) = {};
    if (const auto went = wait_at_most(unit_patience_); went != ran::fine) {
        return went;
    }
    selection_.start(op.target->key);
    const std::uint64_t most = op.target->limits.max_rows;
    keys_for_update(query_, selection_, op, most + 1, rows_of(op, shape), *memory_);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        result(op) = went == ran::refused ? refusal(op, *memory_) : result(op);
        return went == ran::refused ? ran::fine : went;
    }
    statement::fetched row{};
    while ((row = made->fetch()) == statement::fetched::row) {
        if (!read_row(*made, selection_, *op.target)) {
            result(op) = unreadable(op);
        } else {
            returned_.push_back(copy_of(values_, *memory_));
        }
    }
    const auto went = fetched(*made, row);
    if (went == ran::refused) {
        result(op) = refusal(op, *memory_);
        return ran::fine;
    }
    if (went == ran::fine && result(op).ok() && returned_.size() > most) {
        result(op) =
            outcome::failure(code::limit_exceeded,
                             "more rows than this template returns; nothing was changed", "return");
    }
    return went;
}

ran mariadb_session::read_back(const bound_operation& op, const table_shape& shape) {
    rows_->no_rows(op.index);
    result(op) = {};
    selection_.start(op.fields);
    // Of one insert, each row in its place.
    const std::size_t at_once = op.op == core::verb::insert ? 1 : most_in_one_statement;
    for (std::size_t at = 0; at < returned_.size(); at += at_once) {
        const auto count = std::min(at_once, returned_.size() - at);
        const auto asked = memory_->make_span<bound_operation>(count);
        chunk_.clear();
        for (std::size_t i = 0; i < count; ++i) {
            asked[i].op = op.op;
            asked[i].target = op.target;
            asked[i].key = returned_[at + i];
            chunk_.push_back(&asked[i]);
        }
        fetch_by_keys(query_, selection_, chunk_, shape);
        statement* made = nullptr;
        auto went = execute(made);
        statement::fetched row{};
        while (went == ran::fine && result(op).ok() &&
               (row = made->fetch()) == statement::fetched::row) {
            if (read_row(*made, selection_, *op.target)) {
                write_row(op, selection_.asked);
            } else {
                result(op) = unreadable(op);
                static_cast<void>(made->finish());
            }
        }
        if (went == ran::fine) {
            went = result(op).ok() ? fetched(*made, row) : went;
        }
        if (went == ran::refused) {
            result(op) = refusal(op, *memory_);
            return ran::fine;
        }
        if (went == ran::ended || !result(op).ok()) {
            return went;
        }
    }
    return ran::fine;
}

} // namespace beds::adapters::mariadb
