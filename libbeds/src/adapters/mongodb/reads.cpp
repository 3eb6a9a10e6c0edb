#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/filters.hpp"
#include "adapters/mongodb/session.hpp"

#include <algorithm>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

using core::value;

/// Fields of one `$in`.
constexpr std::size_t most_keys = 1000;

value keep(const value& given, core::arena& memory) {
    value kept = given;
    kept.text = memory.copy(given.text);
    return kept;
}

std::vector<field_id> with(std::span<const field_id> first, std::span<const field_id> more) {
    std::vector<field_id> all{first.begin(), first.end()};
    for (const auto one : more) {
        if (std::find(all.begin(), all.end(), one) == all.end()) {
            all.push_back(one);
        }
    }
    return all;
}

std::size_t position_of(const std::vector<field_id>& fields, field_id wanted) {
    return static_cast<std::size_t>(std::find(fields.begin(), fields.end(), wanted) -
                                    fields.begin());
}

} // namespace

void mongodb_session::write_row(core::row_sink& rows, const bound_operation& op,
                                std::span<const value> cells) {
    rows.begin_row(op.index, *op.layout);
    for (std::size_t i = 0; i < op.fields.size(); ++i) {
        rows.cell(cells[i]);
    }
    rows.end_row();
}

void mongodb_session::append_projection(const templates::template_def& target,
                                        std::span<const field_id> wanted, std::string_view member) {
    command_.begin_document(member);
    bool id = false;
    for (const auto field : wanted) {
        const auto& column = target.fields[field].column;
        id = id || column == "_id";
        command_.int32(column, 1);
    }
    if (!id) {
        command_.int32("_id", wanted.empty() ? 1 : 0);
    }
    command_.end();
}

std::optional<field_id> mongodb_session::read_row(const bson_iter_t& document,
                                                  const templates::template_def& target,
                                                  std::span<const field_id> wanted,
                                                  std::vector<value>& cells) {
    row_memory_.reset();
    cells.assign(wanted.size(), value::of_null());
    bson_iter_t member;
    if (!bson_iter_recurse(&document, &member)) {
        return std::nullopt;
    }
    // Documents mostly have the order of the projection, so the search starts behind the last hit.
    std::size_t next = 0;
    while (bson_iter_next(&member)) {
        const std::string_view name{bson_iter_key(&member), bson_iter_key_len(&member)};
        for (std::size_t tried = 0; tried < wanted.size(); ++tried) {
            const auto i =
                next + tried < wanted.size() ? next + tried : next + tried - wanted.size();
            const auto& field = target.fields[wanted[i]];
            if (field.column == name) {
                if (!read_value(member, field.type, row_memory_, cells[i])) {
                    return wanted[i];
                }
                next = i + 1 == wanted.size() ? 0 : i + 1;
                break;
            }
        }
    }
    return std::nullopt;
}

core::outcome mongodb_session::misfit(run_scope& scope, const bound_operation& op,
                                      std::string_view field) {
    scope.rows.reset(op.index);
    log(observe::level::error, "BEDS_MONGODB_MISFIT",
        "template '" + op.target->name + "': a stored value of '" + std::string{field} +
            "' is not of the template's type");
    return core::outcome::failure(
        core::code::internal, "a stored value is not of the type that the template says", field);
}

mongodb_session::ending
mongodb_session::each_document(aim what, const std::function<bool(const bson_iter_t&)>& each) {
    const char* batch_name = "cursor.firstBatch";
    for (;;) {
        bson_iter_t top;
        bson_iter_t found;
        std::int64_t cursor = 0;
        std::string collection;
        bool go_on = true;
        if (bson_iter_init(&top, reply_.get()) &&
            bson_iter_find_descendant(&top, "cursor.id", &found)) {
            cursor = bson_iter_as_int64(&found);
        }
        if (cursor != 0 && bson_iter_init(&top, reply_.get()) &&
            bson_iter_find_descendant(&top, "cursor.ns", &found) && BSON_ITER_HOLDS_UTF8(&found)) {
            const std::string_view space = bson_iter_utf8(&found, nullptr);
            collection = space.substr(space.find('.') + 1);
        }
        bson_iter_t item;
        if (bson_iter_init(&top, reply_.get()) &&
            bson_iter_find_descendant(&top, batch_name, &found) &&
            bson_iter_recurse(&found, &item)) {
            while (go_on && bson_iter_next(&item)) {
                // What is no document is of no server that works.
                go_on = !BSON_ITER_HOLDS_DOCUMENT(&item) || each(item);
            }
        }
        if (cursor == 0) {
            return ending::answered;
        }
        command_.clear();
        if (!go_on) {
            command_.string("killCursors", collection);
            command_.begin_array("cursors");
            command_.int64("0", cursor);
            command_.end();
            // What matters is already here.
            static_cast<void>(execute(what));
            return ending::answered;
        }
        command_.int64("getMore", cursor);
        command_.string("collection", collection);
        // Servers refuse a limit here: what is left of the cursor's own goes on.
        const auto how = execute(what, time_limit::none);
        if (how != ending::answered) {
            return how;
        }
        batch_name = "cursor.nextBatch";
    }
}

step_result mongodb_session::fetch(run_scope& scope, operation_list ops) {
    while (!ops.empty()) {
        const auto chunk = ops.first(may_share(ops, most_keys));
        const auto result = fetch_chunk(scope, chunk);
        if (result != step_result::done) {
            return result;
        }
        ops = ops.subspan(chunk.size());
    }
    return step_result::done;
}

step_result mongodb_session::fetch_chunk(run_scope& scope, operation_list ops) {
    const auto& first = *ops.front();
    const auto& target = *first.target;
    begin_command("find", target.read_object(), first, aim::read);
    const auto wanted = with(first.fields, target.key);
    append_projection(target, wanted);
    if (ops.size() == 1) {
        command_.int32("limit", 1);
        command_.boolean("singleBatch", 1);
    } else {
        // One more than can come: the server then knows that nothing follows.
        command_.int32("batchSize", static_cast<std::int32_t>(ops.size() + 1));
    }
    // One row of each key, however often it is asked for.
    std::vector<const bound_operation*> by_key{ops.begin(), ops.end()};
    std::stable_sort(by_key.begin(), by_key.end(), [](const auto* left, const auto* right) {
        return less_key(left->key, right->key);
    });
    std::vector<const bound_operation*> once;
    once.reserve(by_key.size());
    for (const auto* op : by_key) {
        if (once.empty() || less_key(once.back()->key, op->key)) {
            once.push_back(op);
        }
    }
    command_.begin_document("filter");
    if (auto problem = append_keys(command_, once, scope.memory)) {
        for (const auto* op : ops) {
            scope.results[op->index] = invalid(scope, *op, *problem);
        }
        return step_result::done;
    }
    command_.end();

    const auto fail_all = [&] {
        for (const auto* op : ops) {
            scope.rows.reset(op->index);
            scope.results[op->index] = failure(scope, *op, error_, core::effect::none);
        }
        return step_result::done;
    };
    auto how = execute(aim::read);
    if (how == ending::refused) {
        return fail_all();
    }
    if (how != ending::answered) {
        return give_up(scope, ops);
    }
    std::vector<bool> seen(once.size(), false);
    std::vector<value> key(target.key.size());
    how = each_document(aim::read, [&](const bson_iter_t& document) {
        const auto misfitting = read_row(document, target, wanted, cells_);
        for (std::size_t i = 0; i < key.size(); ++i) {
            key[i] = cells_[position_of(wanted, target.key[i])];
        }
        const std::span<const value> key_view{key};
        const auto found = std::lower_bound(
            once.begin(), once.end(), key_view,
            [](const bound_operation* op, const auto& given) { return less_key(op->key, given); });
        if (found == once.end() || less_key(key_view, (*found)->key)) {
            return true;
        }
        const auto position = static_cast<std::size_t>(found - once.begin());
        if (seen[position]) {
            return true; // a second row of this key: the collection lacks its unique index
        }
        seen[position] = true;
        const auto& op = **found;
        if (misfitting) {
            scope.results[op.index] = misfit(scope, op, field_name(op, *misfitting));
            return true;
        }
        write_row(scope.rows, op, cells_);
        scope.results[op.index] = core::outcome{};
        return true;
    });
    if (how == ending::refused) {
        return fail_all();
    }
    if (how != ending::answered) {
        return give_up(scope, ops);
    }
    std::size_t position = 0;
    for (const auto* op : by_key) {
        if (op == once[position] ||
            (position + 1 < once.size() && op == once[position + 1] && ++position)) {
            if (!seen[position]) {
                scope.rows.no_rows(op->index);
                scope.results[op->index] = core::outcome{};
            }
            continue;
        }
        // The same key again.
        const auto& original = scope.results[once[position]->index];
        scope.results[op->index] = original;
        if (original.ok()) {
            if (seen[position]) {
                scope.rows.share_rows(once[position]->index, op->index);
            } else {
                scope.rows.no_rows(op->index);
            }
        }
    }
    return step_result::done;
}

step_result mongodb_session::find(run_scope& scope, const bound_operation& op) {
    const auto& target = *op.target;
    begin_command("find", target.read_object(), op, aim::read);
    std::vector<field_id> sort_fields;
    for (const auto& key : op.sort) {
        sort_fields.push_back(key.field);
    }
    const auto wanted = with(op.fields, sort_fields);
    append_projection(target, wanted);
    command_.begin_document("filter");
    if (auto problem = append_where(command_, op, scope.memory)) {
        scope.results[op.index] = invalid(scope, op, *problem);
        return step_result::done;
    }
    command_.end();
    if (!op.sort.empty()) {
        command_.begin_document("sort");
        append_sort(command_, op);
        command_.end();
    }
    const std::uint32_t limit = op.limit == 0 ? target.limits.max_rows : op.limit;
    command_.int64("limit", std::int64_t{limit} + 1);
    command_.int64("batchSize", std::int64_t{limit} + 2);

    auto how = execute(aim::read);
    std::uint32_t count = 0;
    bool misfitting = false;
    std::vector<value> position(op.sort.size());
    if (how == ending::answered) {
        how = each_document(aim::read, [&](const bson_iter_t& document) {
            if (count == limit) {
                scope.rows.next(op.index, op.cursor_tag, position);
                return false;
            }
            if (const auto field = read_row(document, target, wanted, cells_)) {
                scope.results[op.index] = misfit(scope, op, field_name(op, *field));
                misfitting = true;
                return false;
            }
            write_row(scope.rows, op, cells_);
            if (++count == limit) {
                for (std::size_t i = 0; i < position.size(); ++i) {
                    position[i] = keep(cells_[position_of(wanted, op.sort[i].field)], scope.memory);
                }
            }
            return true;
        });
    }
    if (how == ending::refused) {
        scope.rows.reset(op.index);
        scope.results[op.index] = failure(scope, op, error_, core::effect::none);
        return step_result::done;
    }
    if (how != ending::answered) {
        scope.rows.reset(op.index);
        const bound_operation* const rest[] = {&op};
        return give_up(scope, rest);
    }
    if (misfitting) {
        return step_result::done;
    }
    if (count == 0) {
        scope.rows.no_rows(op.index);
    }
    scope.results[op.index] = core::outcome{};
    return step_result::done;
}

step_result mongodb_session::count(run_scope& scope, const bound_operation& op) {
    // The command `count` guesses after a crash and on shards; an aggregation does not.
    begin_command("aggregate", op.target->read_object(), op, aim::read);
    command_.begin_array("pipeline");
    command_.begin_document("0");
    command_.begin_document("$match");
    if (auto problem = append_where(command_, op, scope.memory)) {
        scope.results[op.index] = invalid(scope, op, *problem);
        return step_result::done;
    }
    command_.end();
    command_.end();
    command_.begin_document("1");
    command_.begin_document("$group");
    command_.int32("_id", 1);
    command_.begin_document("n");
    command_.int32("$sum", 1);
    command_.end();
    command_.end();
    command_.end();
    command_.end();
    command_.begin_document("cursor");
    command_.end();

    std::uint64_t total = 0;
    auto how = execute(aim::read);
    if (how == ending::answered) {
        how = each_document(aim::read, [&](const bson_iter_t& document) {
            bson_iter_t member;
            if (bson_iter_recurse(&document, &member) && bson_iter_find(&member, "n")) {
                total = static_cast<std::uint64_t>(bson_iter_as_int64(&member));
            }
            return true;
        });
    }
    if (how == ending::refused) {
        scope.results[op.index] = failure(scope, op, error_, core::effect::none);
        return step_result::done;
    }
    if (how != ending::answered) {
        const bound_operation* const rest[] = {&op};
        return give_up(scope, rest);
    }
    scope.rows.total(op.index, total);
    scope.results[op.index] = core::outcome{};
    return step_result::done;
}

step_result mongodb_session::exists(run_scope& scope, const bound_operation& op) {
    begin_command("find", op.target->read_object(), op, aim::read);
    command_.begin_document("filter");
    if (auto problem = append_where(command_, op, scope.memory)) {
        scope.results[op.index] = invalid(scope, op, *problem);
        return step_result::done;
    }
    command_.end();
    append_projection(*op.target, {});
    command_.int32("limit", 1);
    command_.boolean("singleBatch", 1);
    bool found = false;
    auto how = execute(aim::read);
    if (how == ending::answered) {
        how = each_document(aim::read, [&](const bson_iter_t&) {
            found = true;
            return false;
        });
    }
    if (how == ending::refused) {
        scope.results[op.index] = failure(scope, op, error_, core::effect::none);
        return step_result::done;
    }
    if (how != ending::answered) {
        const bound_operation* const rest[] = {&op};
        return give_up(scope, rest);
    }
    scope.rows.exists(op.index, found);
    scope.results[op.index] = core::outcome{};
    return step_result::done;
}

const pipeline& mongodb_session::prepared(const templates::call& called) {
    auto& known = pipelines_[&called];
    if (!known) {
        known = std::make_unique<pipeline>(called);
    }
    return *known;
}

step_result mongodb_session::call(run_scope& scope, const bound_operation& op) {
    const auto& stages = prepared(*op.call);
    if (!stages.problem().empty() || op.call->pipeline.empty()) {
        log(observe::level::error, "BEDS_MONGODB_PIPELINE",
            op.target->name + "." + op.call->name + ": " + stages.problem());
        scope.results[op.index] =
            core::outcome::failure(core::code::unsupported, "this call cannot be run here");
        return step_result::done;
    }
    const bool writes = stages.writes();
    const auto what = writes ? aim::write : aim::read;
    begin_command("aggregate", writes ? op.target->object : op.target->read_object(), op, what);
    if (auto problem = stages.append_to(command_, "pipeline", op.args, scope.memory)) {
        scope.results[op.index] = invalid(scope, op, *problem);
        return step_result::done;
    }
    command_.begin_document("cursor");
    command_.end();

    const bound_operation* const self[] = {&op};
    const auto* const set = op.call->returns.empty() ? nullptr : &op.call->returns.front();
    auto how = execute(what);
    if (writes) {
        // Stored by the time it is answered; what stands in the answer comes after.
        touched_ = touched_ || how == ending::answered || how == ending::refused;
        if (how == ending::lost) {
            in_doubt(scope, self);
            return step_result::done;
        }
    }
    if (how == ending::answered && set != nullptr) {
        scope.rows.begin_set(op.index, set->name);
    }
    const auto columns =
        set == nullptr ? std::span<const core::row_layout::column>{} : set->layout.columns();
    std::uint32_t count = 0;
    std::optional<core::outcome> failed;
    const auto effect = writes ? core::effect::applied : core::effect::none;
    if (how == ending::answered) {
        how = each_document(what, [&](const bson_iter_t& document) {
            if (set == nullptr) {
                return false;
            }
            if (count == op.target->limits.max_rows) {
                scope.rows.reset(op.index);
                failed = core::outcome::failure(core::code::limit_exceeded,
                                                "the call has more rows than the template allows",
                                                {}, effect);
                return false;
            }
            ++count;
            row_memory_.reset();
            cells_.assign(columns.size(), value::of_null());
            bson_iter_t member;
            const bool there = bson_iter_recurse(&document, &member);
            while (there && bson_iter_next(&member)) {
                const std::string_view name{bson_iter_key(&member), bson_iter_key_len(&member)};
                for (std::size_t i = 0; i < columns.size(); ++i) {
                    if (columns[i].name == name &&
                        !read_value(member, columns[i].type, row_memory_, cells_[i])) {
                        failed = misfit(scope, op, columns[i].name);
                        failed->effect = effect;
                        return false;
                    }
                }
            }
            scope.rows.begin_row(op.index, set->layout);
            for (const auto& cell : cells_) {
                scope.rows.cell(cell);
            }
            scope.rows.end_row();
            return true;
        });
        if (writes && (how == ending::lost || how == ending::not_sent)) {
            scope.rows.reset(op.index);
            in_doubt(scope, self);
            return step_result::done;
        }
    }
    auto& outcome = scope.results[op.index];
    if (how == ending::refused) {
        scope.rows.reset(op.index);
        const bool nothing = !writes || no_pipeline_began(error_.code);
        outcome = failure(scope, op, error_, nothing ? core::effect::none : core::effect::unknown);
    } else if (how != ending::answered) {
        scope.rows.reset(op.index);
        return give_up(scope, self);
    } else if (failed) {
        outcome = *failed;
    } else {
        outcome = writes ? core::outcome::applied() : core::outcome{};
    }
    outcome.at_least_once = writes;
    return step_result::done;
}

} // namespace beds::adapters::mongodb
