#include "adapters/mariadb/session.hpp"

#include <algorithm>

namespace beds::adapters::mariadb {

using core::code;
using core::outcome;

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

/// A parameter's name as templates see it: a leading `p_` does not count.
std::string_view plain_name(std::string_view parameter) {
    if (parameter.size() > 2 && lower(parameter[0]) == 'p' && parameter[1] == '_') {
        parameter.remove_prefix(2);
    }
    return parameter;
}

std::optional<field_id> field_named(const templates::template_def& target, std::string_view name) {
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        if (same_name(target.fields[i].name, name)) {
            return static_cast<field_id>(i);
        }
    }
    return std::nullopt;
}

} // namespace

const std::string& mariadb_session::write_procedure(const bound_operation& op) {
    const auto& through = op.target->write;
    return op.op == core::verb::insert   ? through.insert
           : op.op == core::verb::update ? through.update
                                         : through.remove;
}

looked_in mariadb_session::rows_of(const bound_operation& op, const template_shape& shape) {
    const auto& target = *op.target;
    return write_procedure(op).empty() ? looked_in{target.object, shape.write}
                                       : looked_in{target.read_object(), shape.read};
}

// ---- around every procedure ---------------------------------------------------------------------

ran mariadb_session::within_savepoint(const bound_operation& op, const std::string& procedure,
                                      ran (mariadb_session::*body)(const bound_operation&,
                                                                   const procedure_shape&)) {
    const procedure_shape* found = nullptr;
    if (const auto went = learn(procedure, found); went != ran::fine) {
        return went;
    }
    auto shape = procedures_[procedure]; // keeps it while the body runs
    if (shape->contradicts(op)) {        // the DBA may have changed it meanwhile
        auto now = load_procedure(connection_, procedure);
        if (!now && failed(connection_.error()) == ran::ended) {
            return ran::ended;
        }
        if (now && now->text != shape->text) {
            shape = std::make_shared<const procedure_shape>(std::move(*now));
            catalog_->put_procedure(procedure, shape);
            catalog_->changed();
        }
        if (refused_by_class(op, *shape)) {
            return ran::fine;
        }
    }
    const bool guarded = kind_ == work_kind::write;
    // Nothing undoes what is written outside of a transaction.
    const bool alone = guarded ? shape->runs_alone : shape->may_write(op);
    if (guarded) {
        changed_ = true;
        if (const auto went = wait_as_for(*shape); went != ran::fine) {
            return went;
        }
        if (const auto went = command("SAVEPOINT beds_call"); went != ran::fine) {
            if (went == ran::refused) {
                result(op) = refusal(op, *memory_);
            }
            return went;
        }
    }
    in_call_ = true;
    calls_alone_ = alone;
    if (calls_alone_) {
        called_ = op.index;
    }
    const auto went = (this->*body)(op, *shape);
    in_call_ = calls_alone_ = false;
    if (went == ran::ended) {
        // Rolled back for a deadlock; before that it may have committed.
        if (guarded && !alone && !usable()) {
            broke_inside(procedure, *shape);
        }
        const bool may_look = end_ == step_result::rerun && usable();
        return guarded && !alone && may_look ? ended_inside(op, procedure, *shape, notice::told)
                                             : went;
    }
    const bool worked = result(op).ok();
    result(op).at_least_once = guarded && alone;
    if (!worked) {
        rows_->reset(op.index);
    }
    if (!guarded) {
        settings_known_ = settings_known_ && worked; // a refusal does not say what they are
        if (alone && once_ && !worked) {             // it was sent
            result(op).effect = core::effect::unknown;
            result(op).at_least_once = true;
        }
        return ran::fine;
    }
    // The savepoint is gone when the transaction ended inside of the procedure: by a COMMIT, or by
    // a deadlock that the procedure handled itself.
    const auto ended =
        command(worked ? "RELEASE SAVEPOINT beds_call" : "ROLLBACK TO SAVEPOINT beds_call");
    if (ended != ran::refused) {
        if (ended == ran::ended && !alone && !usable()) {
            broke_inside(procedure, *shape);
        }
        return ended;
    }
    if (!alone) {
        return ended_inside(op, procedure, *shape, notice::none);
    }
    if (others_applied(op)) {
        return give_up_unit(op); // they were put together before it was known to run alone
    }
    if (!worked) {
        result(op).effect = core::effect::unknown; // what it committed before it failed stays
    }
    // Perhaps it ended the transaction so; what follows is one transaction all the same.
    return command("SET autocommit = 0");
}

bool mariadb_session::others_applied(const bound_operation& op) const {
    const auto applied = [&](core::op_index index) {
        return index != op.index && results_[index].effect == core::effect::applied;
    };
    return std::any_of(ran_.begin(), ran_.end(), applied) ||
           std::any_of(current_.begin(), current_.end(),
                       [&](const auto* each) { return applied(each->index); });
}

ran mariadb_session::ended_inside(const bound_operation& op, const std::string& procedure,
                                  const procedure_shape& known, notice given) {
    // A deadlock, or did somebody change it, so that it commits now?
    auto now = load_procedure(connection_, procedure);
    if (!now) {
        static_cast<void>(failed(connection_.error()));
    }
    bool as_known = now && !now->runs_alone && now->text == known.text;
    if (given == notice::none) {
        log(observe::level::error, "BEDS_MARIADB_PROCEDURE",
            procedure + (as_known ? ": the transaction ended inside of the procedure"
                                  : ": the procedure was changed and ends the transaction"));
        // A deadlock passes. What happens each time is done by the procedure itself.
        as_known = as_known && !(ended_by_ == procedure && ended_in_ + 1 == unit_);
        ended_by_ = procedure;
        ended_in_ = unit_;
    }
    if (as_known) {
        end_ = step_result::rerun;
        return ran::ended;
    }
    auto learned = now ? std::move(*now) : known;
    learned.runs_alone = learned.runs_alone || learned.text == known.text;
    catalog_->put_procedure(procedure, std::make_shared<const procedure_shape>(std::move(learned)));
    catalog_->changed();
    return give_up_unit(op);
}

void mariadb_session::broke_inside(const std::string& procedure, const procedure_shape& known) {
    broken_call made{procedure, known.text, {}};
    for (const auto& each : identities_) {
        const auto ran_before = std::find(ran_.begin(), ran_.end(), each.index) != ran_.end() &&
                                results_[each.index].effect == core::effect::applied;
        const auto under_way = std::any_of(current_.begin(), current_.end(),
                                           [&](const auto* op) { return op->index == each.index; });
        if (ran_before || under_way) {
            made.operations.push_back({std::string{each.principal}, std::string{each.id}});
        }
    }
    broken_call_ = std::move(made);
}

step_result mariadb_session::settle_break(std::span<const operation_identity> ids) {
    auto now = load_procedure(connection_, broken_call_->procedure);
    if (!now && failed(connection_.error()) == ran::ended) {
        return ending();
    }
    const auto then = std::move(*broken_call_);
    broken_call_.reset();
    if (now && !now->runs_alone && now->text == then.text) {
        return step_result::done; // it did not commit: all of it went with the connection
    }
    log(observe::level::error, "BEDS_MARIADB_PROCEDURE",
        then.procedure + ": the connection broke while it was at work, and it was changed: what it "
                         "may have committed is not run again");
    if (now) {
        catalog_->put_procedure(then.procedure,
                                std::make_shared<const procedure_shape>(std::move(*now)));
        catalog_->changed();
    }
    for (const auto& each : ids) {
        const bool doubtful =
            std::any_of(then.operations.begin(), then.operations.end(), [&](const auto& one) {
                return one.principal == each.principal && one.id == each.id;
            });
        if (doubtful) {
            doubtful_.push_back(each.index);
        }
    }
    return step_result::done;
}

ran mariadb_session::give_up_unit(const bound_operation& op) {
    // What it did after its commit belongs to what it committed.
    if (usable()) {
        static_cast<void>(connection_.command(result(op).ok() ? "COMMIT" : "ROLLBACK"));
    }
    if (!result(op).ok()) {
        result(op).effect = core::effect::unknown;
        result(op).at_least_once = true;
    }
    called_ = op.index;
    once_ = ended_inside_ = true;
    end_ = step_result::rerun;
    return ran::ended;
}

core::outcome
mariadb_session::rejection(const bound_operation& op,
                           const std::map<std::string, std::string, std::less<>>& reasons) {
    const server_error& why = connection_.error();
    const auto mapped = reasons.find(why.sqlstate);
    const bool signalled = why.sqlstate.starts_with("45");
    if (mapped == reasons.end() && !signalled) {
        return refusal(op, *memory_);
    }
    auto made = outcome::failure(code::rejected,
                                 "a procedure or trigger of the database refused the operation");
    made.reason = mapped != reasons.end() ? std::string_view{mapped->second} : "UNSPECIFIED";
    if (mapped == reasons.end() && context_.log.wants(observe::level::info)) {
        log(observe::level::info, "BEDS_MARIADB_REASON",
            op.target->name + ": SQLSTATE " + why.sqlstate + " has no reason in the template");
    }
    return made;
}

// ---- named calls ----

ran mariadb_session::run_call(const bound_operation& op) {
    return within_savepoint(op, op.call->routine, &mariadb_session::call_procedure);
}

bool mariadb_session::read_typed(const statement& from, std::size_t first_cell,
                                 const core::row_layout& layout) {
    const auto columns = layout.columns();
    if (from.column_count() < first_cell + columns.size()) {
        return false;
    }
    values_.assign(columns.size(), core::value{});
    rooms_.resize(std::max(rooms_.size(), columns.size()));
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (!read_value(from.cells()[first_cell + i], from.column(first_cell + i), columns[i].type,
                        rooms_[i], values_[i])) {
            return false;
        }
    }
    return true;
}

ran mariadb_session::call_procedure(const bound_operation& op, const procedure_shape& shape) {
    const templates::call& called = *op.call;
    query_.clear();
    query_.comment(op.target->name, called.name);
    const bool function = called.is_function();
    query_.text(function ? "SELECT " : "CALL ").object(called.routine_name()).text("(");
    std::string_view glue;
    std::size_t given = 0;
    const auto give = [&](const core::value& value) {
        query_.text(glue).bind(value, shape.encoding_of(given++));
        glue = ",";
    };
    std::for_each(op.args.begin(), op.args.end(), give);
    for (std::size_t i = called.inout; i < called.out.size() && !function; ++i) {
        give({});
    }
    query_.text(")");
    statement* made = nullptr;
    auto went = execute(made);
    if (went != ran::fine) {
        if (went == ran::refused) {
            result(op) = rejection(op, called.errors);
        }
        return went;
    }

    bool fits = true;
    std::size_t set = 0;
    bool out_seen = false;
    statement::fetched more = statement::fetched::row;
    while (more == statement::fetched::row) {
        if (made->column_count() != 0) {
            const bool holds_out = function || made->holds_out_arguments();
            if (!holds_out) {
                more = read_set(op, *made, set, fits);
                if (more == statement::fetched::failed) {
                    break;
                }
            } else {
                statement::fetched row{};
                while ((row = made->fetch()) == statement::fetched::row) {
                    if (called.out.empty()) {
                        continue;
                    }
                    if (read_typed(*made, 0, called.out_layout)) {
                        rows_->out(op.index, called.out_layout, values_);
                        out_seen = true;
                    } else {
                        fits = false;
                    }
                }
                if (row == statement::fetched::failed) {
                    more = row;
                    break;
                }
            }
        }
        more = made->next_result();
    }
    if (more == statement::fetched::failed) {
        went = failed(made->error());
        if (went == ran::refused) {
            result(op) = rejection(op, called.errors);
        }
        return went;
    }
    end_call(op, set, fits && (called.out.empty() || out_seen));
    return ran::fine;
}

statement::fetched mariadb_session::read_set(const bound_operation& op, statement& from,
                                             std::size_t& set, bool& fits) {
    const auto& returns = op.call->returns;
    const templates::result_set* returned = nullptr;
    if (set < returns.size()) {
        returned = &returns[set++];
        rows_->begin_set(op.index, returned->name);
    }
    statement::fetched row{};
    while ((row = from.fetch()) == statement::fetched::row) {
        if (returned == nullptr) {
            continue;
        }
        if (!read_typed(from, 0, returned->layout)) {
            fits = false;
            continue;
        }
        rows_->begin_row(op.index, returned->layout);
        for (const auto& value : values_) {
            rows_->cell(value);
        }
        rows_->end_row();
    }
    return row;
}

void mariadb_session::end_call(const bound_operation& op, std::size_t sets, bool fits) {
    const auto& called = *op.call;
    for (; sets < called.returns.size(); ++sets) {
        rows_->begin_set(op.index, called.returns[sets].name);
    }
    if (!fits) {
        log(observe::level::error, "BEDS_MARIADB_RESULT",
            op.target->name + '.' + called.name +
                ": the procedure's result does not fit the template");
        result(op) = outcome::failure(code::internal, "the result does not fit the template");
        return;
    }
    result(op) = called.op_class == core::op_class::read ? outcome{} : outcome::applied();
}

// ---- insert, update and delete by procedures ----------------------------------------------------

ran mariadb_session::write_by_procedure(const bound_operation& op, const std::string& procedure) {
    if (op.op != core::verb::insert && (op.key.empty() || !op.where.empty())) {
        result(op) = outcome::failure(code::unsupported,
                                      "this template writes by key only, through a procedure");
        return ran::fine;
    }
    return within_savepoint(op, procedure, &mariadb_session::call_write_procedure);
}

ran mariadb_session::call_write_procedure(const bound_operation& op, const procedure_shape& shape) {
    if (!shape.known) {
        log(observe::level::error, "BEDS_MARIADB_PROCEDURE",
            op.target->name + ": the parameters of the " + std::string{core::to_string(op.op)} +
                " procedure cannot be read");
        result(op) = outcome::failure(code::backend_permission_denied,
                                      "the database does not allow this to BEDS");
        return ran::fine;
    }
    std::uint64_t affected = 0;
    if (op.op != core::verb::insert) {
        if (const auto went = call_for_row(op, {}, shape, affected); went != ran::fine) {
            return went == ran::refused ? ran::fine : went;
        }
        return matched(op, affected);
    }
    for (const auto& row : op.rows) {
        if (const auto went = call_for_row(op, row, shape, affected); went != ran::fine) {
            return went == ran::refused ? ran::fine : went;
        }
    }
    rows_->count(op.index, op.rows.size());
    result(op) = op.rows.empty() ? outcome{} : outcome::applied();
    return ran::fine;
}

core::value mariadb_session::write_argument(const bound_operation& op, insert_row row,
                                            std::string_view name, bool& known) {
    const auto& target = *op.target;
    known = true;
    if (const auto field = field_named(target, name)) {
        if (op.op == core::verb::insert) {
            const auto* given = given_value(row, *field);
            return given != nullptr ? *given : core::value{};
        }
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            if (target.key[i] == *field) {
                return op.key[i];
            }
        }
        const auto* given = given_value(op.set, *field);
        return given != nullptr ? *given : core::value{};
    }
    if (same_name(name, "set")) {
        std::string list = "[";
        for (const auto& change : op.set) {
            list += list.size() == 1 ? "\"" : ",\"";
            list += target.fields[change.field].name;
            list += '"';
        }
        list += ']';
        return core::value::of_text(core::value::kind::string, memory_->copy(list));
    }
    const auto among = [&](std::string_view prefix, std::span<const assignment> given,
                           core::value& to) {
        if (name.size() <= prefix.size() || !same_name(name.substr(0, prefix.size()), prefix)) {
            return false;
        }
        const auto field = field_named(target, name.substr(prefix.size()));
        const auto* value = field ? given_value(given, *field) : nullptr;
        if (value != nullptr) {
            to = *value;
        }
        return field.has_value();
    };
    core::value made;
    known = among("inc_", op.inc, made) || among("if_", op.expect, made);
    return made;
}

bool mariadb_session::takes(const bound_operation& op, insert_row row,
                            const procedure_shape& shape) {
    const auto& target = *op.target;
    const auto has_parameter = [&](std::string_view prefix, field_id field) {
        return std::any_of(shape.parameters.begin(), shape.parameters.end(), [&](const auto& each) {
            const auto name = plain_name(each.name);
            return name.size() > prefix.size() &&
                   same_name(name.substr(0, prefix.size()), prefix) &&
                   same_name(name.substr(prefix.size()), target.fields[field].name);
        });
    };
    const auto unsupported = [&](const assignment& change) {
        result(op) =
            outcome::failure(code::unsupported, "the procedure of this template does not take this",
                             target.fields[change.field].name);
        return false;
    };
    for (const auto& change : op.inc) {
        if (!has_parameter("inc_", change.field)) {
            return unsupported(change);
        }
    }
    for (const auto& expected : op.expect) {
        // NULL would tell the procedure that nothing is expected.
        if (!has_parameter("if_", expected.field) || expected.value.is_null()) {
            return unsupported(expected);
        }
    }
    const bool inserts = op.op == core::verb::insert;
    for (const auto& change : inserts ? row : op.set) {
        // A new row without a value has NULL; one that is there keeps what it has.
        if (!has_parameter("", change.field) && !(inserts && change.value.is_null())) {
            return unsupported(change);
        }
    }

    const auto unknown =
        std::find_if(shape.parameters.begin(), shape.parameters.end(), [&](const auto& each) {
            bool known = true;
            if (each.in) {
                static_cast<void>(write_argument(op, row, plain_name(each.name), known));
            }
            return !known;
        });
    if (unknown != shape.parameters.end()) {
        result(op) = misfit(target, "template '" + target.name +
                                        "' does not fit the database: no field for parameter '" +
                                        unknown->name + "' of its procedure");
        return false;
    }
    return true;
}

ran mariadb_session::call_for_row(const bound_operation& op, insert_row row,
                                  const procedure_shape& shape, std::uint64_t& affected) {
    const auto& target = *op.target;
    if (!takes(op, row, shape)) {
        return ran::refused;
    }
    query_.clear();
    query_.comment(target.name, core::to_string(op.op)).text("CALL ");
    query_.object(write_procedure(op)).text("(");
    std::string_view glue;
    for (const auto& each : shape.parameters) {
        bool known = true;
        query_.text(glue).bind(each.in ? write_argument(op, row, plain_name(each.name), known)
                                       : core::value{},
                               each.uuid_encoding());
        glue = ",";
    }
    query_.text(")");

    statement* made = nullptr;
    auto went = execute(made);
    if (went != ran::fine) {
        if (went == ran::refused) {
            result(op) = rejection(op, target.write_errors);
        }
        return went;
    }
    affected = 0;
    bool told = false;
    keys_out_.assign(target.key.size(), core::value{});
    statement::fetched more = statement::fetched::row;
    while (more == statement::fetched::row) {
        if (made->column_count() != 0) {
            const bool holds_out = made->holds_out_arguments();
            statement::fetched got{};
            while ((got = made->fetch()) == statement::fetched::row) {
                if (holds_out) {
                    take_out_arguments(target, shape, *made, 0, affected, told);
                }
            }
            if (got == statement::fetched::failed) {
                more = got;
                break;
            }
        } else if (!told) {
            affected = made->affected();
        }
        more = made->next_result();
    }
    if (more == statement::fetched::failed) {
        went = failed(made->error());
        if (went == ran::refused) {
            result(op) = rejection(op, target.write_errors);
        }
        return went;
    }
    return op.op == core::verb::insert ? write_procedure_key(op, row) : ran::fine;
}

void mariadb_session::take_out_arguments(const templates::template_def& target,
                                         const procedure_shape& shape, const statement& from,
                                         std::size_t cell, std::uint64_t& affected, bool& told) {
    for (const auto& each : shape.parameters) {
        if (!each.out || cell >= from.column_count()) {
            continue;
        }
        const raw_cell& raw = from.cells()[cell];
        const MYSQL_FIELD& column = from.column(cell);
        ++cell;
        const auto name = plain_name(each.name);
        if (same_name(name, "affected")) {
            static const core::field_type whole{.kind = core::type_kind::uint64};
            cell_text room;
            core::value value;
            told = read_cell(raw, column, whole, room, value) && !value.is_null();
            affected = told ? value.unsigned_integer : 0;
            continue;
        }
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            const auto& field = target.fields[target.key[i]];
            cell_text room;
            core::value value;
            if (same_name(name, field.name) && read_cell(raw, column, field.type, room, value)) {
                value.text = memory_->copy(value.text);
                keys_out_[i] = value;
            }
        }
    }
}

ran mariadb_session::write_procedure_key(const bound_operation& op, insert_row row,
                                         const std::uint64_t* last_id) {
    const auto& target = *op.target;
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        if (!keys_out_[i].is_null()) {
            continue;
        }
        const auto* given = given_value(row, target.key[i]);
        if (given != nullptr && !given->is_null()) {
            keys_out_[i] = *given;
            continue;
        }
        std::uint64_t number = last_id != nullptr ? *last_id : 0;
        if (last_id == nullptr) {
            query_.clear();
            query_.comment(target.name, "insert").text("SELECT LAST_INSERT_ID()");
            if (const auto went = read_number(op, number); went != ran::fine) {
                return went;
            }
        }
        keys_out_[i] = number_as(target.fields[target.key[i]].type, number);
    }
    tell_key(op, keys_out_);
    return ran::fine;
}

// ---- several calls of one procedure in one statement --------------------------------------------

namespace {

/// How many calls one compound statement holds at most.
constexpr std::size_t most_calls = 64;
/// Name of the first column of a result that is not the procedure's own.
constexpr std::string_view end_mark = "beds/end";

/// A parameter's variable in the compound statement; each call has its own, or all share one.
void add_variable(query& out, std::size_t call, std::size_t parameter) {
    out.text("v" + std::to_string(call) + "_" + std::to_string(parameter));
}

bool is_end_mark(const statement& from) {
    const auto& first = from.column(0);
    return std::string_view{first.name, first.name_length} == end_mark;
}

std::uint64_t number_of(const statement& from, std::size_t cell) {
    static const core::field_type whole{.kind = core::type_kind::int64};
    cell_text room;
    core::value value;
    return read_cell(from.cells()[cell], from.column(cell), whole, room, value) && value.integer > 0
               ? static_cast<std::uint64_t>(value.integer)
               : 0;
}

/// Can calls of this operation's procedure stand in a compound statement?
bool fits_a_block(const bound_operation& op, const procedure_shape& shape) {
    if (!shape.known || shape.runs_alone || shape.may_write(op) || shape.contradicts(op) ||
        std::any_of(shape.parameters.begin(), shape.parameters.end(),
                    [](const auto& each) { return each.out && each.type.empty(); })) {
        return false;
    }
    if (op.op == core::verb::insert) {
        return op.rows.size() == 1;
    }
    if (op.op != core::verb::call) {
        return !op.key.empty() && op.where.empty();
    }
    const auto args = op.args.size();
    const auto outs = op.call->out.size();
    const auto& there = shape.parameters;
    const auto behind = there.begin() + static_cast<std::ptrdiff_t>(std::min(args, there.size()));
    return there.size() + op.call->inout == args + outs &&
           std::all_of(there.begin(), behind, [](const auto& each) { return each.in; }) &&
           std::none_of(behind, there.end(), [](const auto& each) { return each.in; }) &&
           std::count_if(there.begin(), there.end(), [](const auto& each) { return each.out; }) ==
               static_cast<std::ptrdiff_t>(outs);
}

} // namespace

ran mariadb_session::call_group(operation_list work) {
    return group_of_calls(work, work.front()->call->routine);
}

ran mariadb_session::write_group_by_procedure(operation_list work, const std::string& procedure) {
    return group_of_calls(work, procedure);
}

ran mariadb_session::group_of_calls(operation_list work, const std::string& procedure) {
    const bound_operation& first = *work.front();
    if (!connection_.facts().may.call) {
        return one_at_a_time(work);
    }
    const procedure_shape* found = nullptr;
    if (const auto went = learn(procedure, found); went != ran::fine) {
        return went == ran::refused ? one_at_a_time(work) : went;
    }
    const auto shape = procedures_[procedure]; // keeps it while its calls run
    if (!fits_a_block(first, *shape)) {
        return one_at_a_time(work);
    }
    std::vector<const bound_operation*> fitting;
    if (first.op == core::verb::call) {
        fitting.assign(work.begin(), work.end());
    } else {
        for (const auto* op : work) { // the others are answered
            if (takes(*op, row_of(*op), *shape)) {
                fitting.push_back(op);
            }
        }
    }
    constexpr std::size_t most_columns = 4000; // a SELECT has at most 4096
    const std::size_t most =
        std::clamp<std::size_t>(most_columns / (shape->parameters.size() + 2), 1, most_calls);
    for (std::size_t at = 0; at < fitting.size();) {
        const auto chunk =
            operation_list{fitting}.subspan(at, unpadded_size(std::min(most, fitting.size() - at)));
        at += chunk.size();
        const auto went = chunk.size() == 1           ? one_at_a_time(chunk)
                          : kind_ == work_kind::write ? guarded_calls(chunk, procedure, *shape)
                                                      : calls_apart(chunk, procedure, *shape);
        if (went == ran::ended) {
            return went;
        }
    }
    return ran::fine;
}

insert_row mariadb_session::row_of(const bound_operation& op) {
    return op.op == core::verb::insert ? op.rows.front() : insert_row{};
}

ran mariadb_session::guarded_calls(operation_list work, const std::string& procedure,
                                   const procedure_shape& shape) {
    changed_ = true;
    if (const auto went = wait_as_for(shape); went != ran::fine) {
        return went;
    }
    if (const auto went = command("SAVEPOINT beds_call"); went != ran::fine) {
        return went == ran::refused ? one_at_a_time(work) : went;
    }
    std::size_t done = 0;
    const auto went = run_block(work, shape, block_form::together, done);
    if (went == ran::ended) {
        return block_ended(work, procedure, shape);
    }
    const auto worked = [&](const auto* op) { return result(*op).ok(); };
    const bool all = went == ran::fine && std::all_of(work.begin(), work.end(), worked);
    const auto ended =
        command(all ? "RELEASE SAVEPOINT beds_call" : "ROLLBACK TO SAVEPOINT beds_call");
    if (ended == ran::ended && !usable()) {
        broke_inside(procedure, shape);
    }
    if (ended == ran::refused) {
        return block_ended_inside(work, procedure, shape, !all);
    }
    if (ended == ran::ended || all) {
        return ended;
    }
    for (const auto* op : work) {
        rows_->reset(op->index);
    }
    // What a procedure refused is told by its place in the statement; what its result lacks must be
    // undone, which only those that run alone can be.
    return went == ran::refused ? calls_apart(work, procedure, shape) : one_at_a_time(work);
}

ran mariadb_session::calls_apart(operation_list work, const std::string& procedure,
                                 const procedure_shape& shape) {
    const bool guarded = kind_ == work_kind::write;
    while (work.size() > 1) {
        if (guarded) {
            if (const auto went = wait_as_for(shape); went != ran::fine) {
                return went;
            }
            if (const auto went = command("SAVEPOINT beds_block"); went != ran::fine) {
                return went == ran::refused ? one_at_a_time(work) : went;
            }
        }
        std::size_t done = 0;
        const auto form = guarded ? block_form::apart : block_form::unguarded;
        const auto went = run_block(work, shape, form, done);
        if (went == ran::ended) {
            return guarded ? block_ended(work, procedure, shape) : went;
        }
        if (went == ran::refused && done >= work.size()) {
            done = work.size() - 1; // behind the last call there is nothing that could fail
        }
        const auto ran_well = work.first(went == ran::fine ? work.size() : done);
        const bool all = std::all_of(ran_well.begin(), ran_well.end(),
                                     [&](const auto* op) { return result(*op).ok(); });
        if (guarded && !all) {
            const auto back = command("ROLLBACK TO SAVEPOINT beds_block");
            if (back == ran::refused) {
                return block_ended_inside(work, procedure, shape, true);
            }
            for (const auto* op : work) {
                rows_->reset(op->index);
            }
            return back == ran::fine ? one_at_a_time(work) : back;
        }
        if (went == ran::fine) {
            return went;
        }
        const bound_operation& bad = *work[done];
        rows_->reset(bad.index);
        result(bad) = rejection(bad, bad.op == core::verb::call ? bad.call->errors
                                                                : bad.target->write_errors);
        settings_known_ = settings_known_ && guarded;
        if (guarded) {
            const auto back = command("ROLLBACK TO SAVEPOINT beds_call");
            if (back == ran::refused) {
                return block_ended_inside(work.first(done + 1), procedure, shape, true);
            }
            if (back == ran::ended) {
                return back;
            }
        }
        work = work.subspan(done + 1);
    }
    return one_at_a_time(work);
}

ran mariadb_session::block_ended(operation_list work, const std::string& procedure,
                                 const procedure_shape& shape) {
    if (!usable()) {
        broke_inside(procedure, shape);
    }
    if (end_ != step_result::rerun || !usable()) {
        return ran::ended;
    }
    for (const auto* op : work) { // any of them, as far as is known
        result(*op) = outcome::applied();
    }
    return ended_inside(*work.back(), procedure, shape, notice::told);
}

ran mariadb_session::block_ended_inside(operation_list work, const std::string& procedure,
                                        const procedure_shape& shape, bool failed) {
    for (const auto* op : work) {
        result(*op) = outcome::applied(); // which of them is not known
    }
    if (failed) {
        rows_->reset(work.back()->index);
        result(*work.back()) =
            outcome::failure(code::internal, "the transaction ended inside of a procedure");
    }
    return ended_inside(*work.back(), procedure, shape, notice::none);
}

void mariadb_session::block_text(operation_list work, const procedure_shape& shape,
                                 block_form form) {
    const bound_operation& first = *work.front();
    const bool is_call = first.op == core::verb::call;
    // Result sets of the procedure are told apart by a row of ours behind each call.
    const bool marks = form != block_form::together || (is_call && !first.call->returns.empty());
    const std::size_t own = marks ? 1 : work.size(); // sets of variables
    const auto& parameters = shape.parameters;
    const bool any_out = std::any_of(parameters.begin(), parameters.end(),
                                     [](const auto& each) { return each.out; });
    query_.clear();
    query_.comment(first.target->name, is_call ? first.call->name : core::to_string(first.op));
    query_.text("BEGIN NOT ATOMIC ");
    for (std::size_t k = 0; k < own; ++k) {
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            if (parameters[i].out) {
                add_variable(query_.text("DECLARE "), k, i);
                query_.text(" ").text(parameters[i].type).text("; ");
            }
        }
        if (!is_call) {
            add_variable(query_.text("DECLARE r"), k, 0);
            add_variable(query_.text(", l"), k, 0);
            query_.text(" BIGINT; ");
        }
    }
    const auto row_of_ours = [&](std::size_t k) {
        if (!is_call) {
            add_variable(query_.text(", r"), k, 0);
            add_variable(query_.text(", l"), k, 0);
        }
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            if (parameters[i].out) {
                add_variable(query_.text(", "), k, i);
            }
        }
    };
    for (std::size_t at = 0; at < work.size(); ++at) {
        const bound_operation& op = *work[at];
        const std::size_t k = marks ? 0 : at;
        const auto argument = [&](std::size_t i) {
            bool known = true;
            return !is_call ? write_argument(op, row_of(op), plain_name(parameters[i].name), known)
                   : i < op.args.size() ? op.args[i]
                                        : core::value{};
        };
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            if (parameters[i].in && parameters[i].out) {
                add_variable(query_.text("SET "), k, i);
                query_.text(" = ").bind(argument(i), parameters[i].uuid_encoding()).text("; ");
            }
        }
        query_.text(form == block_form::apart ? "SAVEPOINT beds_call; " : "");
        const bool function = is_call && op.call->is_function();
        if (function) { // what it gives is the last of its parameters
            add_variable(query_.text("SET "), k, parameters.size() - 1);
            query_.text(" = ");
        } else {
            query_.text("CALL ");
        }
        query_.object(is_call ? op.call->routine_name() : write_procedure(op)).text("(");
        for (std::size_t i = 0; i + (function ? 1 : 0) < parameters.size(); ++i) {
            query_.text(i == 0 ? "" : ",");
            if (parameters[i].out) {
                add_variable(query_, k, i);
            } else {
                query_.bind(argument(i), parameters[i].uuid_encoding());
            }
        }
        query_.text("); ");
        if (!is_call) {
            add_variable(query_.text("SET r"), k, 0);
            add_variable(query_.text(" = ROW_COUNT(), l"), k, 0);
            query_.text(" = LAST_INSERT_ID(); ");
        }
        query_.text(form == block_form::apart ? "RELEASE SAVEPOINT beds_call; " : "");
        if (marks) {
            query_.text("SELECT 0 ").name(end_mark);
            row_of_ours(0);
            query_.text("; ");
        }
    }
    if (!marks && (any_out || !is_call)) {
        query_.text("SELECT 0 ").name(end_mark);
        for (std::size_t k = 0; k < own; ++k) {
            row_of_ours(k);
        }
        query_.text("; ");
    }
    query_.text("END");
}

ran mariadb_session::run_block(operation_list work, const procedure_shape& shape, block_form form,
                               std::size_t& done) {
    const bound_operation& first = *work.front();
    const bool is_call = first.op == core::verb::call;
    const bool marks = form != block_form::together || (is_call && !first.call->returns.empty());
    const auto outs =
        static_cast<std::size_t>(std::count_if(shape.parameters.begin(), shape.parameters.end(),
                                               [](const auto& each) { return each.out; }));
    const std::size_t width = outs + (is_call ? 0 : 2);
    for (const auto* op : work) {
        result(*op) = {};
    }
    affected_.assign(work.size(), 0);
    block_text(work, shape, form);
    in_call_ = true;
    const auto went = read_block(work, shape, marks, width, done);
    in_call_ = false;
    if (went == ran::fine && is_call && !marks && width == 0) {
        for (const auto* op : work) {
            end_call(*op, 0, true);
        }
        done = work.size();
    }
    for (std::size_t i = 0; i < done && !is_call && went != ran::ended; ++i) {
        const bound_operation& op = *work[i];
        if (op.op == core::verb::insert) {
            rows_->count(op.index, 1);
            result(op) = outcome::applied();
        } else if (went == ran::refused && affected_[i] == 0) {
            result(op) = outcome::failure(code::not_found, "no row has this key"); // asked again
        } else if (matched(op, affected_[i]) == ran::ended) {
            return ran::ended;
        }
    }
    return went;
}

ran mariadb_session::read_block(operation_list work, const procedure_shape& shape, bool marks,
                                std::size_t width, std::size_t& done) {
    const bool is_call = work.front()->op == core::verb::call;
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    std::size_t sets = 0;
    bool fits = true;
    const auto take = [&](const bound_operation& op, std::size_t cell) {
        if (is_call) {
            const bool told = op.call->out.empty() || read_typed(*made, cell, op.call->out_layout);
            if (told && !op.call->out.empty()) {
                rows_->out(op.index, op.call->out_layout, values_);
            }
            end_call(op, sets, fits && told);
        } else {
            std::uint64_t affected = number_of(*made, cell);
            const std::uint64_t last_id = number_of(*made, cell + 1);
            bool told = false;
            keys_out_.assign(op.target->key.size(), core::value{});
            take_out_arguments(*op.target, shape, *made, cell + 2, affected, told);
            affected_[done] = affected;
            if (op.op == core::verb::insert) {
                static_cast<void>(write_procedure_key(op, row_of(op), &last_id));
            }
        }
        ++done;
        sets = 0;
        fits = true;
    };
    statement::fetched more = statement::fetched::row;
    while (more == statement::fetched::row) {
        if (made->column_count() != 0) {
            statement::fetched row{};
            if (!is_end_mark(*made)) {
                if (is_call && marks && done < work.size()) {
                    row = read_set(*work[done], *made, sets, fits);
                } else {
                    while ((row = made->fetch()) == statement::fetched::row) {
                    }
                }
            } else {
                while ((row = made->fetch()) == statement::fetched::row) {
                    const std::size_t last = marks ? std::min(done + 1, work.size()) : work.size();
                    std::size_t cell = 1;
                    while (done < last) { // take() counts
                        take(*work[done], cell);
                        cell += width;
                    }
                }
            }
            if (row == statement::fetched::failed) {
                more = row;
                break;
            }
        }
        more = made->next_result();
    }
    return more == statement::fetched::failed ? failed(made->error()) : ran::fine;
}

} // namespace beds::adapters::mariadb
