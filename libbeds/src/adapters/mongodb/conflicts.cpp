#include "adapters/mongodb/filters.hpp"
#include "adapters/mongodb/session.hpp"

#include <algorithm>

namespace beds::adapters::mongodb {

bool mongodb_session::cannot_take_over(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front(); // the others have its shape
    if (first.unique.empty()) {
        return false;
    }
    std::string_view why;
    const auto& key = first.target->key;
    if (first.rows.size() != 1) {
        why = "without transactions 'on_conflict' takes one row";
    } else if (!std::equal(first.unique.begin(), first.unique.end(), key.begin(), key.end())) {
        why = "this database takes 'on_conflict' by the key only";
    } else {
        return false;
    }
    for (const auto* op : ops) {
        scope.results[op->index] =
            core::outcome::failure(core::code::unsupported, why, "on_conflict");
    }
    return true;
}

encode_problem mongodb_session::append_upsert(run_scope& scope, const bound_operation& op,
                                              std::span<const value> key,
                                              std::optional<field_id>& field) {
    const auto& target = *op.target;
    auto asked = op;
    asked.key = key;
    command_.begin_document("q");
    if (auto problem = append_key(command_, asked, scope.memory)) {
        return problem;
    }
    if (!op.taken_over.empty()) {
        append_unmarked(op); // done already: then it is a second document of the key
    }
    command_.end();
    command_.begin_document("u");
    const auto taken = [&](field_id of) {
        return std::find(op.taken_over.begin(), op.taken_over.end(), of) != op.taken_over.end();
    };
    const auto list = [&](std::string_view change, bool wanted) -> encode_problem {
        bool any = false;
        for (const auto& one : op.rows.front()) {
            // The server makes the key of a new document from the filter.
            if (target.fields[one.field].in_key || taken(one.field) != wanted) {
                continue;
            }
            if (!any) {
                command_.begin_document(change);
                any = true;
            }
            field = one.field;
            if (auto problem = append_field(command_, target.fields[one.field].column, one.value,
                                            target, one.field, scope.memory)) {
                return problem;
            }
        }
        field.reset();
        const auto* const record = tracked(op);
        // A change without any operator would be a whole new document.
        if (!wanted && op.taken_over.empty() && (record != nullptr || !any)) {
            if (!any) {
                command_.begin_document(change);
                any = true;
            }
            command_.begin_array(ring_member);
            if (record != nullptr) {
                command_.object_id("0", record->token.bytes);
            }
            command_.end();
        }
        if (any) {
            command_.end();
        }
        return std::nullopt;
    };
    if (auto problem = list("$set", true)) {
        return problem;
    }
    if (auto problem = list("$setOnInsert", false)) {
        return problem;
    }
    if (!op.taken_over.empty()) {
        append_mark(op);
    }
    command_.end();
    command_.boolean("multi", 0);
    command_.boolean("upsert", 1);
    return std::nullopt;
}

step_result mongodb_session::insert_or_take(run_scope& scope, const bound_operation& op) {
    const bound_operation* const self[] = {&op};
    auto& outcome = scope.results[op.index];
    const auto key = keys_of_rows(op);
    constexpr int most_attempts = 3;
    for (int attempt = 1;; ++attempt) {
        begin_command("update", op.target->object, op, aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("updates");
        command_.begin_document("0");
        std::optional<field_id> field;
        if (const auto problem = append_upsert(scope, op, key, field)) {
            outcome = invalid(scope, op, *problem, field);
            return step_result::done;
        }
        command_.end();
        command_.end();
        const auto how = execute(aim::write);
        note_sent(self, how);
        if (const auto left = unanswered(scope, self, how)) {
            return *left;
        }
        const auto answer = read_answer();
        if (answer.errors.empty()) {
            if (answer.concern_failed) {
                in_doubt(scope, self, core::code::backend_unavailable,
                         "it was done, but not written to as many servers as it should be");
                return step_result::done;
            }
            bson_iter_t found;
            const bool is_new = bson_iter_init_find(&found, reply_.get(), "upserted");
            if (is_new || !op.taken_over.empty()) {
                inserted(scope, op);
            } else { // it is left as it is
                tell_keys(scope, op);
                scope.rows.count(op.index, 0);
                outcome = core::outcome{};
            }
            return step_result::done;
        }
        const auto& error = answer.errors.begin()->second;
        outcome = write_failed(scope, op, error);
        if (outcome.code != core::code::duplicate_key || client_ == nullptr) {
            return step_result::done;
        }
        const auto refused = outcome;
        auto asked = op;
        asked.key = key;
        const bound_operation* const by_key[] = {&asked};
        std::vector<evidence> seen;
        if (look_at(scope, by_key, seen) != ending::answered) {
            in_doubt(scope, self, core::code::backend_unavailable,
                     "why it was not inserted could not be found out");
            return step_result::done;
        }
        if (seen.front() == evidence::token) {
            inserted(scope, op); // by an attempt that got no answer
            return step_result::done;
        }
        // Of the key: somebody inserted it at the same moment. Else of another unique index.
        if (seen.front() == evidence::no_document || attempt == most_attempts) {
            outcome = refused;
            return step_result::done;
        }
    }
}

} // namespace beds::adapters::mongodb
