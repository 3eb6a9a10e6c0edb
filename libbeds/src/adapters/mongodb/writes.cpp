#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/decimal128.hpp"
#include "adapters/mongodb/filters.hpp"
#include "adapters/mongodb/session.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

using core::value;

constexpr std::size_t largest_document = std::size_t{16} << 20;
/// A command is one document too, and the server takes little more than the largest document.
constexpr std::size_t full_command = std::size_t{15} << 20;

constexpr std::string_view not_kept =
    "it was done, but not written to as many servers as it should be";
constexpr std::string_view changed_meanwhile =
    "another operation changed the same rows at the same moment";
constexpr std::string_view no_row = "there is no row with this key";
constexpr std::string_view nothing_to_change = "an update changes at least one field";

/// Can the sum leave the field's type without the server noticing? Then the filter has to see to
/// it.
bool needs_guard(const core::field_type& type) {
    return type.kind != core::type_kind::int64;
}

bool any_guard(const bound_operation& op) {
    return std::any_of(op.inc.begin(), op.inc.end(), [&](const assignment& one) {
        return needs_guard(op.target->fields[one.field].type);
    });
}

__extension__ using wide = __int128; // holds a limit of any type less any step

struct range {
    wide least;
    wide most;
};

template <class Integer>
range limits_of() {
    return {std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()};
}

range range_of(core::type_kind kind) {
    using core::type_kind;
    switch (kind) {
    case type_kind::int8:
        return limits_of<std::int8_t>();
    case type_kind::int16:
        return limits_of<std::int16_t>();
    case type_kind::int32:
        return limits_of<std::int32_t>();
    case type_kind::uint8:
        return limits_of<std::uint8_t>();
    case type_kind::uint16:
        return limits_of<std::uint16_t>();
    case type_kind::uint32:
        return limits_of<std::uint32_t>();
    case type_kind::uint64:
        return limits_of<std::uint64_t>();
    default:
        return limits_of<std::int64_t>();
    }
}

/// As an int32, which the server widens when what is added is an int64.
bool is_stored_short(core::type_kind kind) {
    using core::type_kind;
    return kind == type_kind::int8 || kind == type_kind::int16 || kind == type_kind::int32 ||
           kind == type_kind::uint8 || kind == type_kind::uint16;
}

wide whole(const value& step) {
    return step.type == value::kind::unsigned_integer ? wide{step.unsigned_integer}
                                                      : wide{step.integer};
}

void append_whole(bson_writer& to, std::string_view name, wide number) {
    if (number >= std::numeric_limits<std::int64_t>::min() &&
        number <= std::numeric_limits<std::int64_t>::max()) {
        to.int64(name, static_cast<std::int64_t>(number));
    } else if (number < 0) {
        to.decimal(name, negated(to_decimal128(static_cast<std::uint64_t>(-number))));
    } else {
        to.decimal(name, to_decimal128(static_cast<std::uint64_t>(number)));
    }
}

/// `{field: {$lte or $gte: …}}`: the amounts to which the step can be added. Null is none of them.
encode_problem append_room(bson_writer& to, const bound_operation& op, const assignment& step) {
    const auto& field = op.target->fields[step.field];
    to.begin_document(field.column);
    if (step.value.type == value::kind::decimal) {
        const auto room = room_for(step.value.text, field.type.precision, field.type.scale);
        if (!room) {
            return "more than the field can hold";
        }
        if (step.value.text.starts_with('-')) {
            to.decimal("$gte", negated(*room));
        } else {
            to.decimal("$lte", *room);
        }
    } else if (step.value.type == value::kind::real) {
        constexpr auto most = std::numeric_limits<double>::max();
        if (step.value.real < 0) {
            to.real("$gte", -most - step.value.real);
        } else {
            to.real("$lte", most - step.value.real);
        }
    } else {
        const auto limits = range_of(field.type.kind);
        const auto by = whole(step.value);
        if (by >= 0) {
            append_whole(to, "$lte", limits.most - by);
        } else {
            append_whole(to, "$gte", limits.least - by);
        }
    }
    to.end();
    return std::nullopt;
}

/// `$inc` would give a field to a document that lacks it; a document with null it refuses.
void append_has_values(bson_writer& to, const bound_operation& op) {
    for (const auto& one : op.inc) {
        to.begin_document(op.target->fields[one.field].column);
        to.null("$ne");
        to.end();
    }
}

/// What is added, in `$inc`. The step may be larger than what the field's stored form holds.
encode_problem append_step(bson_writer& to, const templates::template_def& target,
                           const assignment& step, core::arena& memory) {
    const auto& field = target.fields[step.field];
    if (step.value.type == value::kind::decimal || step.value.type == value::kind::real) {
        return append_field(to, field.column, step.value, target, step.field, memory);
    }
    const auto by = whole(step.value);
    const auto short_step = static_cast<std::int32_t>(by);
    if (is_stored_short(field.type.kind) && short_step == by) {
        to.int32(field.column, short_step);
    } else {
        append_whole(to, field.column, by);
    }
    return std::nullopt;
}

bool is_number(const core::field_type& type) {
    return (type.kind >= core::type_kind::int8 && type.kind <= core::type_kind::uint64) ||
           type.kind == core::type_kind::float64 || type.kind == core::type_kind::decimal;
}

} // namespace

mongodb_session::write_answer mongodb_session::read_answer() const {
    write_answer answer;
    bson_iter_t found;
    if (bson_iter_init_find(&found, reply_.get(), "n")) {
        answer.matched = static_cast<std::uint64_t>(bson_iter_as_int64(&found));
    }
    answer.concern_failed = bson_iter_init_find(&found, reply_.get(), "writeConcernError");
    bson_iter_t item;
    if (bson_iter_init_find(&found, reply_.get(), "writeErrors") &&
        bson_iter_recurse(&found, &item)) {
        while (bson_iter_next(&item)) {
            bson_iter_t member;
            if (!bson_iter_recurse(&item, &member)) {
                continue;
            }
            server_error error;
            error.document = item;
            error.has_document = true;
            std::size_t position = 0;
            while (bson_iter_next(&member)) {
                const std::string_view name = bson_iter_key(&member);
                if (name == "index") {
                    position = static_cast<std::size_t>(bson_iter_as_int64(&member));
                } else if (name == "code") {
                    error.code = static_cast<std::int32_t>(bson_iter_as_int64(&member));
                } else if (name == "errmsg" && BSON_ITER_HOLDS_UTF8(&member)) {
                    std::uint32_t size = 0;
                    const char* const text = bson_iter_utf8(&member, &size);
                    error.message = {text, size};
                }
            }
            error.code = code_of_one_write(error.code);
            answer.errors.emplace(position, error);
        }
    }
    return answer;
}

core::outcome mongodb_session::write_failed(run_scope& scope, const bound_operation& op,
                                            const server_error& error) {
    auto outcome =
        failure(scope, op, error,
                write_certainly_failed(error.code) ? core::effect::none : core::effect::unknown);
    if (server_is_leaving(error.code)) {
        close();
    }
    return outcome;
}

encode_problem mongodb_session::append_row(run_scope& scope, const bound_operation& op,
                                           std::span<const assignment> row,
                                           std::optional<field_id>& field) {
    const auto& target = *op.target;
    const auto put = [&](const assignment& one) {
        field = one.field;
        return append_field(command_, target.fields[one.field].column, one.value, target, one.field,
                            scope.memory);
    };
    // The server wants `_id` first and would move the rest.
    bool id = false;
    for (const auto& one : row) {
        if (target.fields[one.field].column == "_id") {
            id = true;
            if (auto problem = put(one)) {
                return problem;
            }
        }
    }
    if (!id) {
        bson_oid_t made;
        bson_oid_init(&made, nullptr);
        command_.object_id("_id", std::span<const std::uint8_t, 12>{made.bytes});
    }
    for (const auto& one : row) {
        if (target.fields[one.field].column != "_id") {
            if (auto problem = put(one)) {
                return problem;
            }
        }
    }
    field.reset();
    if (const auto* const record = tracked(op)) {
        command_.begin_array(ring_member);
        command_.object_id("0", record->token.bytes);
        command_.end();
    }
    return std::nullopt;
}

void mongodb_session::tell_keys(run_scope& scope, const bound_operation& op) {
    const auto& target = *op.target;
    std::vector<value> key(target.key.size());
    const auto* const record = tracked(op);
    const bool other_keys = record != nullptr && !record->keys.empty();
    for (std::size_t at = 0; at < op.rows.size(); ++at) {
        for (std::size_t i = 0; i < key.size(); ++i) {
            const auto* const given = other_keys ? &record->keys[at * key.size() + i]
                                                 : given_value(op.rows[at], target.key[i]);
            key[i] = given == nullptr ? value::of_null() : *given;
        }
        scope.rows.key(op.index, target.key_layout, key);
    }
}

void mongodb_session::inserted(run_scope& scope, const bound_operation& op) {
    tell_keys(scope, op);
    scope.rows.count(op.index, op.rows.size());
    scope.results[op.index] = written(op);
}

step_result mongodb_session::insert(run_scope& scope, operation_list ops) {
    std::size_t next = 0;
    while (next < ops.size()) {
        const bool takes_over = !ops[next]->unique.empty();
        if (takes_over || ops[next]->rows.size() != 1) {
            const auto result =
                takes_over ? insert_or_take(scope, *ops[next]) : insert_rows(scope, *ops[next]);
            if (result != step_result::done) {
                return result;
            }
            ++next;
            continue;
        }
        // As many operations of one row as fit into one command.
        const auto& first = *ops[next];
        begin_command("insert", first.target->object, first, aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("documents");
        std::vector<const bound_operation*> sent;
        for (; next < ops.size() && ops[next]->rows.size() == 1 && sent.size() < most_writes_;
             ++next) {
            const auto& op = *ops[next];
            const auto before = command_.position();
            std::optional<field_id> field;
            command_.begin_document(element_name{sent.size()});
            const auto problem = append_row(scope, op, op.rows.front(), field);
            if (problem) {
                command_.abandon(before);
                scope.results[op.index] = invalid(scope, op, *problem, field);
                continue;
            }
            command_.end();
            if (command_.position() - before > largest_document) {
                command_.cut(before);
                scope.results[op.index] = core::outcome::failure(
                    core::code::limit_exceeded, "the row is larger than the database takes");
                continue;
            }
            if (command_.position() > full_command && !sent.empty()) {
                command_.cut(before);
                break;
            }
            sent.push_back(&op);
        }
        if (sent.empty()) {
            continue;
        }
        command_.end();
        const auto how = execute(aim::write);
        note_sent(sent, how);
        if (const auto left = unanswered(scope, sent, how)) {
            if (*left != step_result::done) {
                return *left;
            }
            continue;
        }
        const auto answer = read_answer();
        std::vector<const bound_operation*> unsure;
        for (std::size_t i = 0; i < sent.size(); ++i) {
            if (const auto error = answer.errors.find(i); error != answer.errors.end()) {
                scope.results[sent[i]->index] = write_failed(scope, *sent[i], error->second);
            } else if (answer.concern_failed) {
                unsure.push_back(sent[i]);
            } else {
                inserted(scope, *sent[i]);
            }
        }
        in_doubt(scope, unsure, core::code::backend_unavailable, not_kept);
    }
    return step_result::done;
}

std::optional<core::outcome> mongodb_session::key_taken(run_scope& scope, const bound_operation& op,
                                                        ending& how) {
    const auto& target = *op.target;
    how = ending::answered;
    const auto taken = [&] {
        auto outcome = core::outcome::failure(core::code::duplicate_key,
                                              "a row with this key is already there",
                                              field_name(op, target.key.front()));
        return outcome;
    };
    std::vector<std::vector<value>> keys;
    for (const auto& row : op.rows) {
        std::vector<value> key;
        for (const auto field : target.key) {
            const auto* const given = given_value(row, field);
            if (given == nullptr) {
                return std::nullopt;
            }
            key.push_back(*given);
        }
        keys.push_back(std::move(key));
    }
    std::sort(keys.begin(), keys.end(),
              [](const auto& left, const auto& right) { return less_key(left, right); });
    for (std::size_t i = 1; i < keys.size(); ++i) {
        if (!less_key(keys[i - 1], keys[i])) {
            return taken();
        }
    }
    constexpr std::size_t at_once = 1000;
    for (std::size_t begin = 0; begin < keys.size(); begin += at_once) {
        const auto end = std::min(begin + at_once, keys.size());
        std::vector<bound_operation> asked(end - begin);
        std::vector<const bound_operation*> pointers;
        for (std::size_t i = begin; i < end; ++i) {
            asked[i - begin].target = &target;
            asked[i - begin].key = keys[i];
            pointers.push_back(&asked[i - begin]);
        }
        begin_command("find", target.object, op, aim::read);
        command_.begin_document("filter");
        if (append_keys(command_, pointers, scope.memory)) {
            return std::nullopt; // the insert itself says what is wrong
        }
        command_.end();
        append_projection(target, {});
        command_.int32("limit", 1);
        command_.boolean("singleBatch", 1);
        how = execute(aim::read);
        if (how == ending::refused) {
            how = ending::answered; // no right to read, perhaps: the insert decides
            return std::nullopt;
        }
        if (how != ending::answered) {
            return std::nullopt;
        }
        bool found = false;
        how = each_document(aim::read, [&](const bson_iter_t&) {
            found = true;
            return false;
        });
        if (found) {
            return taken();
        }
    }
    return std::nullopt;
}

step_result mongodb_session::insert_rows(run_scope& scope, const bound_operation& op) {
    const bound_operation* const self[] = {&op};
    auto& outcome = scope.results[op.index];
    if (op.rows.empty()) {
        outcome = invalid(scope, op, "an insert has at least one row");
        return step_result::done;
    }
    // Nothing undoes the rows before one that fails, so the usual reason is looked for first.
    ending how = ending::answered;
    if (auto taken = key_taken(scope, op, how)) {
        outcome = *taken;
        return step_result::done;
    }
    if (how != ending::answered) {
        return give_up(scope, self); // only read so far
    }
    // All rows must be good before the first is sent.
    for (const auto& row : op.rows) {
        command_.clear();
        std::optional<field_id> field;
        if (const auto problem = append_row(scope, op, row, field)) {
            outcome = invalid(scope, op, *problem, field);
            return step_result::done;
        }
        if (command_.position() > largest_document) {
            outcome = core::outcome::failure(core::code::limit_exceeded,
                                             "a row is larger than the database takes");
            return step_result::done;
        }
    }
    std::size_t done = 0;
    while (done < op.rows.size()) {
        begin_command("insert", op.target->object, op, aim::write);
        command_.boolean("ordered", 1);
        command_.begin_array("documents");
        std::size_t count = 0;
        for (std::size_t i = done; i < op.rows.size() && count < most_writes_; ++i) {
            const auto before = command_.position();
            std::optional<field_id> field;
            command_.begin_document(element_name{count});
            static_cast<void>(append_row(scope, op, op.rows[i], field));
            command_.end();
            if (command_.position() > full_command && count > 0) {
                command_.cut(before);
                break;
            }
            ++count;
        }
        command_.end();
        how = execute(aim::write);
        note_sent(self, how);
        const auto so_far = done > 0 ? core::effect::applied : core::effect::none;
        if (how == ending::lost) {
            in_doubt(scope, self);
            return step_result::done;
        }
        if (how == ending::not_sent) {
            const auto result = give_up(scope, self);
            outcome.effect = so_far;
            outcome.at_least_once = done > 0 && tracked(op) == nullptr;
            return result;
        }
        touched_ = true;
        if (how == ending::refused) {
            outcome = failure(scope, op, error_,
                              certainly_nothing_done(error_.code) ? so_far : core::effect::unknown);
            return step_result::done;
        }
        const auto answer = read_answer();
        if (!answer.errors.empty()) {
            const auto& [position, error] = *answer.errors.begin();
            outcome = write_failed(scope, op, error);
            if (outcome.effect == core::effect::none && done + position > 0) {
                outcome.effect = core::effect::applied;
                outcome.at_least_once = tracked(op) == nullptr;
            }
            if (outcome.effect == core::effect::applied) {
                const auto detail = std::string{outcome.detail} + "; the " +
                                    std::to_string(done + position) + " rows before it are stored";
                outcome.detail = scope.memory.copy(std::string_view{detail});
            }
            return step_result::done;
        }
        if (answer.concern_failed) {
            in_doubt(scope, self, core::code::backend_unavailable, not_kept);
            return step_result::done;
        }
        done += count;
    }
    inserted(scope, op);
    return step_result::done;
}

encode_problem mongodb_session::append_changes(run_scope& scope, const bound_operation& op,
                                               std::optional<field_id>& field,
                                               std::string_view member) {
    const auto& target = *op.target;
    if (op.set.empty() && op.inc.empty()) {
        return nothing_to_change;
    }
    command_.begin_document(member);
    for (const auto& one : op.inc) {
        if (!is_number(target.fields[one.field].type)) {
            field = one.field;
            return "only numbers can be increased";
        }
    }
    const auto list = [&](std::string_view change, std::span<const assignment> from,
                          auto append_one) -> encode_problem {
        if (from.empty()) {
            return std::nullopt;
        }
        command_.begin_document(change);
        for (const auto& one : from) {
            field = one.field;
            if (auto problem = append_one(one)) {
                return problem;
            }
        }
        command_.end();
        return std::nullopt;
    };
    const auto put = [&](const assignment& one) {
        return append_field(command_, target.fields[one.field].column, one.value, target, one.field,
                            scope.memory);
    };
    const auto add = [&](const assignment& one) {
        return append_step(command_, target, one, scope.memory);
    };
    if (auto problem = list("$set", op.set, put)) {
        return problem;
    }
    if (auto problem = list("$inc", op.inc, add)) {
        return problem;
    }
    append_mark(op);
    field.reset();
    command_.end();
    return std::nullopt;
}

step_result mongodb_session::update(run_scope& scope, operation_list ops) {
    // One command tells one count for all its updates, so only updates whose misses can be told
    // afterwards, by looking for the keys, go together.
    const auto& first = *ops.front();
    const bool together = ops.size() > 1 && !first.key.empty() && first.where.empty() &&
                          first.expect.empty() && first.fields.empty() && !any_guard(first);
    if (!together) {
        for (const auto* op : ops) {
            const auto result = update_one(scope, *op);
            if (result != step_result::done) {
                return result;
            }
        }
        return step_result::done;
    }
    return update_group(scope, ops);
}

step_result mongodb_session::update_group(run_scope& scope, operation_list ops) {
    std::size_t next = 0;
    while (next < ops.size()) {
        const auto& first = *ops[next];
        begin_command("update", first.target->object, first, aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("updates");
        std::vector<const bound_operation*> sent;
        for (; next < ops.size() && sent.size() < most_writes_; ++next) {
            const auto& op = *ops[next];
            const auto before = command_.position();
            std::optional<field_id> field;
            command_.begin_document(element_name{sent.size()});
            command_.begin_document("q");
            auto problem = append_key(command_, op, scope.memory);
            if (!problem) {
                append_has_values(command_, op);
                append_unmarked(op);
                command_.end();
                problem = append_changes(scope, op, field);
            }
            if (problem) {
                command_.abandon(before);
                scope.results[op.index] = invalid(scope, op, *problem, field);
                continue;
            }
            command_.boolean("multi", 0);
            command_.end();
            if (command_.position() > full_command && !sent.empty()) {
                command_.cut(before);
                break;
            }
            sent.push_back(&op);
        }
        if (sent.empty()) {
            continue;
        }
        command_.end();
        const auto how = execute(aim::write);
        note_sent(sent, how);
        if (const auto left = unanswered(scope, sent, how)) {
            if (*left != step_result::done) {
                return *left;
            }
            continue;
        }
        const auto answer = read_answer();
        std::vector<const bound_operation*> good;
        for (std::size_t i = 0; i < sent.size(); ++i) {
            if (const auto error = answer.errors.find(i); error != answer.errors.end()) {
                scope.results[sent[i]->index] = write_failed(scope, *sent[i], error->second);
            } else {
                good.push_back(sent[i]);
            }
        }
        if (answer.concern_failed) {
            in_doubt(scope, good, core::code::backend_unavailable, not_kept);
            continue;
        }
        const auto missed = [&](const bound_operation& op) {
            if (op.inc.empty()) {
                scope.results[op.index] = core::outcome::failure(core::code::not_found, no_row);
            } else {
                explain_miss(scope, op); // it may be there without a value to add to
            }
        };
        const auto matched = [&](const bound_operation& op) {
            scope.rows.count(op.index, 1);
            scope.results[op.index] = written(op);
        };
        if (answer.matched < good.size() && tracked(*good.front()) != nullptr) {
            std::vector<evidence> found;
            if (look_at(scope, good, found) != ending::answered) {
                in_doubt(scope, good, core::code::backend_conflict, changed_meanwhile);
                continue;
            }
            // As many tokens as rows were matched: then each of the others matched none.
            const auto tokens =
                static_cast<std::uint64_t>(std::count(found.begin(), found.end(), evidence::token));
            for (std::size_t i = 0; i < good.size(); ++i) {
                if (found[i] == evidence::token) {
                    matched(*good[i]);
                } else if (tokens == answer.matched) {
                    missed(*good[i]);
                } else {
                    in_doubt(scope, {&good[i], 1}, core::code::backend_conflict, changed_meanwhile);
                }
            }
            continue;
        }
        std::vector<bool> there(good.size(), true);
        if (answer.matched < good.size()) {
            const auto missing = good.size() - static_cast<std::size_t>(answer.matched);
            const auto looked = find_keys(scope, good, there);
            const auto absent =
                static_cast<std::size_t>(std::count(there.begin(), there.end(), false));
            if (looked != ending::answered || absent != missing) {
                // Somebody inserted or deleted these rows at the same moment.
                in_doubt(scope, good, core::code::backend_conflict, changed_meanwhile);
                continue;
            }
        }
        for (std::size_t i = 0; i < good.size(); ++i) {
            if (there[i]) {
                matched(*good[i]);
            } else {
                missed(*good[i]);
            }
        }
    }
    return step_result::done;
}

mongodb_session::ending mongodb_session::find_keys(run_scope& scope, operation_list ops,
                                                   std::vector<bool>& there) {
    there.assign(ops.size(), false);
    if (ops.empty()) {
        return ending::answered;
    }
    const auto& target = *ops.front()->target;
    std::vector<std::size_t> order(ops.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        return less_key(ops[left]->key, ops[right]->key);
    });
    begin_command("find", target.object, *ops.front(), aim::read);
    command_.begin_document("filter");
    if (append_keys(command_, ops, scope.memory)) {
        return ending::refused;
    }
    append_has_values(command_, *ops.front());
    command_.end();
    append_projection(target, target.key);
    command_.int32("batchSize", static_cast<std::int32_t>(ops.size() + 1));
    const auto how = execute(aim::read);
    if (how != ending::answered) {
        return how;
    }
    return each_document(aim::read, [&](const bson_iter_t& document) {
        if (read_row(document, target, target.key, cells_)) {
            return true;
        }
        const std::span<const value> key{cells_};
        const auto found = std::lower_bound(order.begin(), order.end(), key,
                                            [&](std::size_t position, const auto& given) {
                                                return less_key(ops[position]->key, given);
                                            });
        if (found != order.end() && !less_key(key, ops[*found]->key)) {
            there[*found] = true;
        }
        return true;
    });
}

step_result mongodb_session::update_one(run_scope& scope, const bound_operation& op) {
    const bound_operation* const self[] = {&op};
    auto& outcome = scope.results[op.index];
    const bool by_key = !op.key.empty();
    std::optional<field_id> field;

    const auto room = [&](std::string_view comparison) -> encode_problem {
        command_.begin_array(comparison);
        std::size_t i = 0;
        for (const auto& one : op.inc) {
            if (!is_number(op.target->fields[one.field].type)) {
                continue;
            }
            command_.begin_document(element_name{i++});
            field = one.field;
            if (auto problem = append_room(command_, op, one)) {
                return problem;
            }
            field.reset();
            command_.end();
        }
        command_.end();
        return std::nullopt;
    };
    const bool guarded = std::any_of(op.inc.begin(), op.inc.end(), [&](const assignment& one) {
        return is_number(op.target->fields[one.field].type);
    });

    if (!by_key && guarded) {
        // A filter would silently leave out the rows that have no room.
        begin_command("find", op.target->object, op, aim::read);
        command_.begin_document("filter");
        auto problem = append_where(command_, op, scope.memory);
        if (!problem) {
            command_.begin_array("$nor");
            command_.begin_document("0");
            problem = room("$and");
            if (!problem) {
                command_.end();
                command_.end();
                command_.end();
            }
        }
        if (problem) {
            outcome = invalid(scope, op, *problem, field);
            return step_result::done;
        }
        append_projection(*op.target, {});
        command_.int32("limit", 1);
        command_.boolean("singleBatch", 1);
        const auto how = execute(aim::read);
        if (how == ending::refused) {
            outcome = failure(scope, op, error_, core::effect::none);
            return step_result::done;
        }
        if (how != ending::answered) {
            return give_up(scope, self);
        }
        bool full = false;
        each_document(aim::read, [&](const bson_iter_t&) {
            full = true;
            return false;
        });
        if (full) {
            outcome = core::outcome::failure(
                core::code::constraint,
                "the field has no value or one of another type, or the sum is out of range",
                field_name(op, op.inc.front().field));
            return step_result::done;
        }
    }

    const bool returns = !op.fields.empty();
    if (returns) {
        begin_command("findAndModify", op.target->object, op, aim::write);
        command_.begin_document("query");
    } else {
        begin_command("update", op.target->object, op, aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("updates");
        command_.begin_document("0");
        command_.begin_document("q");
    }
    encode_problem problem;
    if (by_key) {
        problem = append_key(command_, op, scope.memory);
    }
    if (!problem) {
        problem = append_where(command_, op, scope.memory);
    }
    if (!problem) {
        append_unmarked(op);
    }
    if (!problem && by_key && guarded) {
        // `expect` may have an `$and` already, and members must not repeat.
        command_.begin_array("$or");
        command_.begin_document("0");
        problem = room("$and");
        if (!problem) {
            command_.end();
            command_.end();
        }
    }
    if (!problem) {
        command_.end();
        problem = append_changes(scope, op, field, returns ? "update" : "u");
    }
    if (problem) {
        outcome = invalid(scope, op, *problem, field);
        return step_result::done;
    }
    if (returns) {
        // A delete by a mark gives the row as it was before.
        command_.boolean("new", op.asked == core::verb::remove ? 0 : 1);
        append_projection(*op.target, op.fields, "fields");
        return change_and_return(scope, op);
    }
    command_.boolean("multi", by_key ? 0 : 1);
    command_.end();
    command_.end();

    return change_one(scope, op);
}

step_result mongodb_session::change_one(run_scope& scope, const bound_operation& op) {
    const bound_operation* const self[] = {&op};
    auto& outcome = scope.results[op.index];
    const bool by_key = !op.key.empty();
    const auto how = execute(aim::write);
    note_sent(self, how);
    if (const auto left = unanswered(scope, self, how)) {
        return *left;
    }
    const auto answer = read_answer();
    if (!answer.errors.empty()) {
        // Of many rows, some may have been changed before the one that failed.
        const auto& error = answer.errors.begin()->second;
        outcome = by_key ? write_failed(scope, op, error)
                         : failure(scope, op, error, core::effect::unknown);
        return step_result::done;
    }
    if (answer.matched > 0) {
        if (answer.concern_failed) {
            in_doubt(scope, self, core::code::backend_unavailable, not_kept);
            return step_result::done;
        }
        scope.rows.count(op.index, answer.matched);
        outcome = written(op);
        return step_result::done;
    }
    if (!by_key) {
        scope.rows.count(op.index, 0);
        outcome = core::outcome{};
        return step_result::done;
    }
    return explain_miss(scope, op);
}

step_result mongodb_session::explain_miss(run_scope& scope, const bound_operation& op) {
    auto& outcome = scope.results[op.index];
    outcome = core::outcome::failure(core::code::not_found, no_row);
    if (tracked(op) != nullptr) {
        // Whoever took it over meanwhile has done it.
        const bound_operation* const self[] = {&op};
        std::vector<evidence> found;
        if (look_at(scope, self, found) != ending::answered) {
            in_doubt(scope, self, core::code::backend_unavailable,
                     "why nothing was changed could not be found out");
            return step_result::done;
        }
        if (found.front() == evidence::token && op.op == core::verb::update) {
            scope.rows.count(op.index, 1);
            outcome = written(op);
            return step_result::done;
        }
    }
    if (op.expect.empty() && op.inc.empty()) {
        return step_result::done;
    }
    // Nothing was changed, whatever the look at the row says or whether it can be had.
    const auto look = [&](std::span<const assignment> expect) {
        auto asked = op;
        asked.expect = expect;
        begin_command("find", op.target->object, op, aim::read);
        command_.begin_document("filter");
        bool found = false;
        if (append_key(command_, asked, scope.memory) ||
            append_where(command_, asked, scope.memory)) {
            return found;
        }
        command_.end();
        append_projection(*op.target, {});
        command_.int32("limit", 1);
        command_.boolean("singleBatch", 1);
        if (execute(aim::read) == ending::answered) {
            each_document(aim::read, [&](const bson_iter_t&) {
                found = true;
                return false;
            });
        }
        return found;
    };
    if (!look({})) {
        if (!client_ || error_.code != 0) {
            outcome = core::outcome::failure(core::code::backend_unavailable,
                                             "nothing was changed; why could not be found out");
        }
        return step_result::done;
    }
    if (!op.expect.empty() && (op.inc.empty() || !look(op.expect))) {
        outcome = core::outcome::failure(core::code::conflict,
                                         "the row does not have the expected values");
        return step_result::done;
    }
    outcome = core::outcome::failure(
        core::code::constraint,
        "the field has no value or one of another type, or the sum is out of range",
        field_name(op, op.inc.front().field));
    return step_result::done;
}

step_result mongodb_session::remove(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front();
    if (tracked(first) != nullptr) {
        // Those with `if` one at a time: then it can be told why nothing was deleted.
        // And with `return`: one command returns one row.
        const auto most = first.expect.empty() && first.fields.empty() ? most_writes_ : 1;
        while (!ops.empty()) {
            const auto chunk = ops.first(may_share(ops, most));
            const auto result = remove_marked(scope, chunk);
            if (result != step_result::done) {
                return result;
            }
            ops = ops.subspan(chunk.size());
        }
        return step_result::done;
    }
    if (ops.size() > 1 && !first.key.empty() && first.expect.empty() && first.fields.empty()) {
        while (!ops.empty()) {
            const auto chunk = ops.first(may_share(ops, most_writes_));
            const auto result = remove_group(scope, chunk);
            if (result != step_result::done) {
                return result;
            }
            ops = ops.subspan(chunk.size());
        }
        return step_result::done;
    }
    for (const auto* op : ops) {
        const auto result = remove_one(scope, *op);
        if (result != step_result::done) {
            return result;
        }
    }
    return step_result::done;
}

step_result mongodb_session::remove_group(run_scope& scope, operation_list ops) {
    // After a delete nobody can tell which of its keys were there, so that is looked at before.
    std::vector<bool> there;
    auto how = find_keys(scope, ops, there);
    if (how == ending::refused) {
        // No right to read, or a value that cannot be stored: one at a time it can be told.
        for (const auto* op : ops) {
            const auto result = remove_one(scope, *op);
            if (result != step_result::done) {
                return result;
            }
        }
        return step_result::done;
    }
    if (how != ending::answered) {
        return give_up(scope, ops);
    }
    std::vector<const bound_operation*> sent;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (there[i]) {
            sent.push_back(ops[i]);
        } else {
            scope.results[ops[i]->index] = core::outcome::failure(core::code::not_found, no_row);
        }
    }
    if (sent.empty()) {
        return step_result::done;
    }
    const auto& first = *sent.front();
    begin_command("delete", first.target->object, first, aim::write);
    command_.boolean("ordered", 0);
    command_.begin_array("deletes");
    command_.begin_document("0");
    command_.begin_document("q");
    static_cast<void>(append_keys(command_, sent, scope.memory)); // as in the look before
    command_.end();
    command_.int32("limit", 0);
    command_.end();
    command_.end();
    how = execute(aim::write);
    if (const auto left = unanswered(scope, sent, how)) {
        return *left;
    }
    const auto answer = read_answer();
    if (!answer.errors.empty() || answer.concern_failed || answer.matched < sent.size()) {
        // Some are gone by somebody else's hand, and nobody can tell which.
        in_doubt(scope, sent, core::code::backend_conflict, changed_meanwhile);
        return step_result::done;
    }
    for (const auto* op : sent) {
        scope.rows.count(op->index, 1);
        scope.results[op->index] = written(*op);
    }
    return step_result::done;
}

step_result mongodb_session::remove_marked(run_scope& scope, operation_list ops) {
    // Nothing of a document is left to tell who deleted it, so its ring says beforehand who is
    // about to: a mark that is still there was not followed by the delete.
    const auto& first = *ops.front();
    begin_command("update", first.target->object, first, aim::write);
    command_.boolean("ordered", 0);
    command_.begin_array("updates");
    std::vector<const bound_operation*> sent;
    for (const auto* op : ops) {
        const auto before = command_.position();
        command_.begin_document(element_name{sent.size()});
        command_.begin_document("q");
        auto problem = append_key(command_, *op, scope.memory);
        if (!problem) {
            problem = append_where(command_, *op, scope.memory);
        }
        if (problem) {
            command_.abandon(before);
            scope.results[op->index] = invalid(scope, *op, *problem);
            continue;
        }
        append_unmarked(*op);
        command_.end();
        command_.begin_document("u");
        append_mark(*op);
        command_.end();
        command_.end();
        sent.push_back(op);
    }
    if (sent.empty()) {
        return step_result::done;
    }
    command_.end();
    const auto how = execute(aim::write);
    if (how == ending::lost || how == ending::not_sent) {
        return give_up(scope, sent); // a mark changes nothing
    }
    if (how == ending::refused) {
        for (const auto* op : sent) {
            scope.results[op->index] = failure(scope, *op, error_, core::effect::none);
        }
        return step_result::done;
    }
    const auto answer = read_answer();
    std::vector<const bound_operation*> good;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        if (const auto error = answer.errors.find(i); error != answer.errors.end()) {
            scope.results[sent[i]->index] =
                failure(scope, *sent[i], error->second, core::effect::none);
        } else {
            good.push_back(sent[i]);
        }
    }
    if (answer.concern_failed) {
        for (const auto* op : good) {
            scope.results[op->index] =
                core::outcome::failure(core::code::backend_unavailable,
                                       "not as many servers as there should be are there");
        }
        return step_result::done;
    }
    if (answer.matched == good.size()) {
        return good.empty() ? step_result::done : delete_marked(scope, good);
    }
    std::vector<evidence> found;
    if (look_at(scope, good, found) != ending::answered) {
        if (!client_) {
            return give_up(scope, good);
        }
        for (const auto* op : good) {
            scope.results[op->index] = failure(scope, *op, error_, core::effect::none);
        }
        return step_result::done;
    }
    std::vector<const bound_operation*> marked;
    for (std::size_t i = 0; i < good.size(); ++i) {
        const auto& op = *good[i];
        if (found[i] == evidence::token) {
            marked.push_back(&op);
        } else if (found[i] == evidence::no_document) {
            scope.results[op.index] = core::outcome::failure(core::code::not_found, no_row);
        } else if (!op.expect.empty()) {
            return explain_miss(scope, op); // it is alone
        } else {
            scope.results[op.index] =
                core::outcome::failure(core::code::backend_conflict, changed_meanwhile);
        }
    }
    return marked.empty() ? step_result::done : delete_marked(scope, marked);
}

step_result mongodb_session::delete_marked(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front();
    if (!first.fields.empty()) { // it is alone
        begin_command("findAndModify", first.target->object, first, aim::write);
        command_.begin_document("query");
        static_cast<void>(append_key(command_, first, scope.memory)); // as in the mark before
        static_cast<void>(append_where(command_, first, scope.memory));
        append_marked(first);
        command_.end();
        command_.boolean("remove", 1);
        append_projection(*first.target, first.fields, "fields");
        return change_and_return(scope, first);
    }
    begin_command("delete", first.target->object, first, aim::write);
    command_.boolean("ordered", 0);
    command_.begin_array("deletes");
    command_.begin_document("0");
    command_.begin_document("q");
    static_cast<void>(append_keys(command_, ops, scope.memory)); // as in the mark before
    if (ops.size() == 1) {
        static_cast<void>(append_where(command_, first, scope.memory));
        append_marked(first);
    } else {
        command_.begin_document(ring_member);
        command_.begin_array("$in");
        for (std::size_t i = 0; i < ops.size(); ++i) {
            command_.object_id(element_name{i}, tracked(*ops[i])->token.bytes);
        }
        command_.end();
        command_.end();
    }
    command_.end();
    command_.int32("limit", ops.size() == 1 ? 1 : 0);
    command_.end();
    command_.end();
    const auto how = execute(aim::write);
    note_sent(ops, how);
    if (const auto left = unanswered(scope, ops, how)) {
        return *left;
    }
    const auto answer = read_answer();
    if (answer.concern_failed) {
        in_doubt(scope, ops, core::code::backend_unavailable, not_kept);
        return step_result::done;
    }
    if (answer.errors.empty() && answer.matched == ops.size()) {
        for (const auto* op : ops) {
            scope.rows.count(op->index, 1);
            scope.results[op->index] = written(*op);
        }
        return step_result::done;
    }
    if (answer.matched > 0) {
        // Some are gone by somebody else's hand, and nobody can tell which.
        in_doubt(scope, ops, core::code::backend_conflict, changed_meanwhile);
        return step_result::done;
    }
    // None of them.
    for (const auto* op : ops) {
        auto& outcome = scope.results[op->index];
        if (!answer.errors.empty()) {
            outcome = write_failed(scope, *op, answer.errors.begin()->second);
        } else if (!op->expect.empty()) {
            return explain_miss(scope, *op);
        } else {
            outcome = core::outcome::failure(core::code::backend_conflict, changed_meanwhile);
        }
    }
    return step_result::done;
}

step_result mongodb_session::remove_one(run_scope& scope, const bound_operation& op) {
    auto& outcome = scope.results[op.index];
    const bool by_key = !op.key.empty();
    const bool returns = !op.fields.empty();
    if (returns) {
        begin_command("findAndModify", op.target->object, op, aim::write);
        command_.begin_document("query");
    } else {
        begin_command("delete", op.target->object, op, aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("deletes");
        command_.begin_document("0");
        command_.begin_document("q");
    }
    encode_problem problem;
    if (by_key) {
        problem = append_key(command_, op, scope.memory);
    }
    if (!problem) {
        problem = append_where(command_, op, scope.memory);
    }
    if (problem) {
        outcome = invalid(scope, op, *problem);
        return step_result::done;
    }
    command_.end();
    if (returns) {
        command_.boolean("remove", 1);
        append_projection(*op.target, op.fields, "fields");
        return change_and_return(scope, op);
    }
    command_.int32("limit", by_key ? 1 : 0);
    command_.end();
    command_.end();
    return change_one(scope, op);
}

} // namespace beds::adapters::mongodb
