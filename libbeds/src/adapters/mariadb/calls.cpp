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

const core::value* value_of(std::span<const assignment> given, field_id field) {
    const auto found = std::find_if(given.begin(), given.end(), [field](const assignment& each) {
        return each.field == field;
    });
    return found != given.end() ? &found->value : nullptr;
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

// ---- around every procedure ---------------------------------------------------------------------

ran mariadb_session::within_savepoint(const bound_operation& op, const std::string& procedure,
                                      ran (mariadb_session::*body)(const bound_operation&,
                                                                   const procedure_shape&)) {
    const procedure_shape* found = nullptr;
    if (const auto went = learn(procedure, found); went != ran::fine) {
        return went;
    }
    const auto shape = procedures_[procedure]; // keeps it while the body runs
    const bool alone = shape->runs_alone;
    const bool guarded = kind_ == work_kind::write;
    if (guarded) {
        changed_ = true;
        if (const auto went = command("SAVEPOINT beds_call"); went != ran::fine) {
            if (went == ran::refused) {
                result(op) = refusal(op, *memory_);
            }
            return went;
        }
    }
    in_call_ = true;
    calls_alone_ = guarded && alone;
    if (calls_alone_) {
        called_ = op.index;
    }
    const auto went = (this->*body)(op, *shape);
    in_call_ = calls_alone_ = false;
    if (went == ran::ended) {
        // Rolled back for a deadlock; before that it may have committed.
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
        return ran::fine;
    }
    // The savepoint is gone when the transaction ended inside of the procedure: by a COMMIT, or by
    // a deadlock that the procedure handled itself.
    const auto ended =
        command(worked ? "RELEASE SAVEPOINT beds_call" : "ROLLBACK TO SAVEPOINT beds_call");
    if (ended != ran::refused) {
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
    auto made = outcome::failure(code::rejected, "the operation was refused by its procedure");
    made.reason = mapped != reasons.end() ? std::string_view{mapped->second} : "UNSPECIFIED";
    if (mapped == reasons.end() && context_.log.wants(observe::level::info)) {
        log(observe::level::info, "BEDS_MARIADB_REASON",
            op.target->name + ": SQLSTATE " + why.sqlstate + " has no reason in the template");
    }
    return made;
}

// ---- named calls ----

ran mariadb_session::run_call(const bound_operation& op) {
    return within_savepoint(op, op.call->procedure, &mariadb_session::call_procedure);
}

bool mariadb_session::read_typed(const statement& from, std::size_t count,
                                 const core::field_type& (*type_of)(const void*, std::size_t),
                                 const void* owner) {
    if (from.column_count() < count) {
        return false;
    }
    values_.assign(count, core::value{});
    rooms_.resize(std::max(rooms_.size(), count));
    for (std::size_t i = 0; i < count; ++i) {
        if (!read_value(from.cells()[i], from.column(i), type_of(owner, i), rooms_[i],
                        values_[i])) {
            return false;
        }
    }
    return true;
}

ran mariadb_session::call_procedure(const bound_operation& op, const procedure_shape&) {
    const templates::call& called = *op.call;
    query_.clear();
    query_.comment(op.target->name, called.name).text("CALL ").object(called.procedure).text("(");
    std::string_view glue;
    for (const auto& arg : op.args) {
        query_.text(glue).bind(arg);
        glue = ",";
    }
    const core::value nothing{};
    for (std::size_t i = 0; i < called.out.size(); ++i) {
        query_.text(glue).bind(nothing);
        glue = ",";
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
    const auto column_type = [](const void* owner, std::size_t i) -> const core::field_type& {
        return static_cast<const core::row_layout*>(owner)->columns()[i].type;
    };
    statement::fetched more = statement::fetched::row;
    while (more == statement::fetched::row) {
        if (made->column_count() != 0) {
            const bool holds_out = made->holds_out_arguments();
            const templates::result_set* returned = nullptr;
            if (!holds_out && set < called.returns.size()) {
                returned = &called.returns[set++];
                rows_->begin_set(op.index, returned->name);
            }
            statement::fetched row{};
            while ((row = made->fetch()) == statement::fetched::row) {
                const core::row_layout* layout = holds_out             ? &called.out_layout
                                                 : returned != nullptr ? &returned->layout
                                                                       : nullptr;
                if (layout == nullptr || (holds_out && called.out.empty())) {
                    continue;
                }
                if (!read_typed(*made, layout->size(), column_type, layout)) {
                    fits = false;
                } else if (holds_out) {
                    rows_->out(op.index, *layout, values_);
                    out_seen = true;
                } else {
                    rows_->begin_row(op.index, *layout);
                    for (const auto& value : values_) {
                        rows_->cell(value);
                    }
                    rows_->end_row();
                }
            }
            if (row == statement::fetched::failed) {
                more = row;
                break;
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
    for (; set < called.returns.size(); ++set) {
        rows_->begin_set(op.index, called.returns[set].name);
    }
    if (!fits || (!called.out.empty() && !out_seen)) {
        log(observe::level::error, "BEDS_MARIADB_RESULT",
            op.target->name + '.' + called.name +
                ": the procedure's result does not fit the template");
        result(op) = outcome::failure(code::internal, "the result does not fit the template");
        return ran::fine;
    }
    result(op) = called.op_class == core::op_class::read ? outcome{} : outcome::applied();
    return ran::fine;
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
            const auto* given = value_of(row, *field);
            return given != nullptr ? *given : core::value{};
        }
        for (std::size_t i = 0; i < target.key.size(); ++i) {
            if (target.key[i] == *field) {
                return op.key[i];
            }
        }
        const auto* given = value_of(op.set, *field);
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
        const auto* value = field ? value_of(given, *field) : nullptr;
        if (value != nullptr) {
            to = *value;
        }
        return field.has_value();
    };
    core::value made;
    known = among("inc_", op.inc, made) || among("if_", op.expect, made);
    return made;
}

ran mariadb_session::call_for_row(const bound_operation& op, insert_row row,
                                  const procedure_shape& shape, std::uint64_t& affected) {
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
        return ran::refused;
    };
    for (const auto& change : op.inc) {
        if (!has_parameter("inc_", change.field)) {
            return unsupported(change);
        }
    }
    for (const auto& expected : op.expect) {
        if (!has_parameter("if_", expected.field)) {
            return unsupported(expected);
        }
    }
    for (const auto& change : op.op == core::verb::insert ? row : op.set) {
        if (!has_parameter("", change.field) && !change.value.is_null()) {
            return unsupported(change);
        }
    }

    query_.clear();
    query_.comment(target.name, core::to_string(op.op)).text("CALL ");
    query_.object(op.op == core::verb::insert   ? target.write.insert
                  : op.op == core::verb::update ? target.write.update
                                                : target.write.remove);
    query_.text("(");
    std::string_view glue;
    for (const auto& each : shape.parameters) {
        bool known = true;
        const auto name = plain_name(each.name);
        const core::value value = each.in ? write_argument(op, row, name, known) : core::value{};
        if (!known) {
            log(observe::level::error, "BEDS_MARIADB_PROCEDURE",
                target.name + ": no field for parameter '" + each.name + "'");
            result(op) =
                outcome::failure(code::internal, "the procedure does not fit the template");
            return ran::refused;
        }
        query_.text(glue).bind(value);
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
                    take_out_arguments(target, shape, *made, affected, told);
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
                                         std::uint64_t& affected, bool& told) {
    std::size_t cell = 0;
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

ran mariadb_session::write_procedure_key(const bound_operation& op, insert_row row) {
    const auto& target = *op.target;
    for (std::size_t i = 0; i < target.key.size(); ++i) {
        if (!keys_out_[i].is_null()) {
            continue;
        }
        const auto* given = value_of(row, target.key[i]);
        if (given != nullptr && !given->is_null()) {
            keys_out_[i] = *given;
            continue;
        }
        query_.clear();
        query_.comment(target.name, "insert").text("SELECT LAST_INSERT_ID()");
        std::uint64_t number = 0;
        if (const auto went = read_number(op, number); went != ran::fine) {
            return went;
        }
        keys_out_[i] = number_as(target.fields[target.key[i]].type, number);
    }
    rows_->key(op.index, target.key_layout, keys_out_);
    return ran::fine;
}

} // namespace beds::adapters::mariadb
