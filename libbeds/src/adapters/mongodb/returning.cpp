#include "adapters/mongodb/filters.hpp"
#include "adapters/mongodb/session.hpp"

#include <algorithm>

namespace beds::adapters::mongodb {

using core::value;

bool mongodb_session::cannot_return(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front(); // the others have its shape
    const bool writes = first.op == core::verb::insert || first.op == core::verb::update ||
                        first.op == core::verb::remove;
    if (!writes || first.fields.empty()) {
        return false;
    }
    std::string_view why;
    if (first.op != core::verb::insert && first.key.empty()) {
        why = "without transactions rows can be returned of a write by key only";
    } else if (!first.target->read_view.empty()) {
        why =
            "this template reads a view: what it shows of a row cannot be returned with the write";
    } else {
        return false;
    }
    for (const auto* op : ops) {
        scope.results[op->index] = core::outcome::failure(core::code::unsupported, why, "return");
    }
    return true;
}

step_result mongodb_session::change_and_return(run_scope& scope, const bound_operation& op) {
    const bound_operation* const self[] = {&op};
    auto& outcome = scope.results[op.index];
    const auto how = execute(aim::write);
    note_sent(self, how);
    if (how == ending::refused) { // a command of one write: what it says is said of that
        touched_ = true;
        auto error = error_;
        error.code = code_of_one_write(error.code);
        outcome = write_failed(scope, op, error);
        return step_result::done;
    }
    if (const auto left = unanswered(scope, self, how)) {
        return *left;
    }
    if (read_answer().concern_failed) {
        in_doubt(scope, self, core::code::backend_unavailable,
                 "it was done, but not written to as many servers as it should be");
        return step_result::done;
    }
    bson_iter_t found;
    if (!bson_iter_init_find(&found, reply_.get(), "value") || !BSON_ITER_HOLDS_DOCUMENT(&found)) {
        return explain_miss(scope, op);
    }
    given_.push_back(op.index);
    if (const auto wrong = read_row(found, *op.target, op.fields, cells_)) {
        outcome = misfit(scope, op, field_name(op, *wrong));
        outcome.effect = core::effect::applied;
        return step_result::done;
    }
    write_row(scope.rows, op, cells_);
    scope.rows.count(op.index, 1);
    outcome = written(op);
    return step_result::done;
}

std::vector<value> mongodb_session::keys_of_rows(const bound_operation& op) {
    const auto& key = op.target->key;
    std::vector<value> made;
    if (op.op == core::verb::insert) {
        const auto* const record = tracked(op);
        if (record != nullptr && !record->keys.empty()) {
            return record->keys;
        }
        for (const auto& row : op.rows) {
            for (const auto field : key) {
                const auto* const given = given_value(row, field);
                made.push_back(given == nullptr ? value::of_null() : *given);
            }
        }
        return made;
    }
    return {op.key.begin(), op.key.end()}; // no update changes a key
}

void mongodb_session::return_rows(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front();
    if (first.fields.empty() || (first.op != core::verb::insert && first.op != core::verb::update &&
                                 first.op != core::verb::remove)) {
        return;
    }
    for (const auto* op : ops) {
        const auto& outcome = scope.results[op->index];
        if (!outcome.ok() || std::find(given_.begin(), given_.end(), op->index) != given_.end()) {
            continue;
        }
        scope.rows.no_rows(op->index);
        // What was deleted by an attempt that got no answer is gone.
        if (op->op != core::verb::remove &&
            (outcome.effect == core::effect::applied || !op->unique.empty())) {
            read_back(scope, *op);
        }
    }
}

void mongodb_session::read_back(run_scope& scope, const bound_operation& op) {
    const auto& target = *op.target;
    const auto keys = keys_of_rows(op);
    const auto width = target.key.size();
    for (std::size_t at = 0; at + width <= keys.size(); at += width) {
        auto asked = op;
        asked.key = std::span{keys}.subspan(at, width);
        begin_command("find", target.object, op, aim::read);
        command_.begin_document("filter");
        const bool sendable = !append_key(command_, asked, scope.memory);
        std::optional<field_id> wrong;
        auto how = ending::refused;
        if (sendable) {
            command_.end();
            append_projection(target, op.fields);
            command_.int32("limit", 1);
            command_.boolean("singleBatch", 1);
            how = execute(aim::read);
        }
        if (how == ending::answered) {
            how = each_document(aim::read, [&](const bson_iter_t& document) {
                wrong = read_row(document, target, op.fields, cells_);
                if (!wrong) {
                    write_row(scope.rows, op, cells_);
                }
                return false;
            });
        }
        if (wrong) {
            scope.results[op.index] = misfit(scope, op, field_name(op, *wrong));
            scope.results[op.index].effect = core::effect::applied;
            return;
        }
        if (how != ending::answered) {
            // Asked for again by its id, it is read again.
            const bound_operation* const self[] = {&op};
            scope.rows.reset(op.index);
            in_doubt(scope, self, core::code::backend_unavailable,
                     "it was done, but its rows could not be read");
            return;
        }
    }
}

} // namespace beds::adapters::mongodb
