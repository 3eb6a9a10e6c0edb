#include "adapters/mariadb/session.hpp"

#include "adapters/mariadb/tables.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace beds::adapters::mariadb {

using namespace std::chrono_literals;
using core::code;
using core::outcome;

namespace {

/// How far past the deadline the server's own time limit may end a statement. The watchdog comes
/// first; this is for when it cannot, or this process is no more.
std::chrono::milliseconds slack(bool alone) {
    return alone ? 250ms : 30s;
}

/// The server's time limit for a statement: `now` as long as it serves, so that batches share one
/// setting; otherwise the time left and a part of the slack.
std::chrono::milliseconds limit_of(core::deadline until, std::chrono::milliseconds now,
                                   bool alone) {
    if (until.is_never()) {
        return 0ms;
    }
    const auto left = until.remaining_ms();
    if (now > left && now <= left + slack(alone)) {
        return now;
    }
    return left + slack(alone) / 3;
}

} // namespace

mariadb_session::mariadb_session(std::shared_ptr<shared_parts> shared, session_context context)
    : shared_(std::move(shared)), settings_(shared_->settings), catalog_(&shared_->known),
      context_(std::move(context)), connection_(*settings_, context_, &shared_->late) {}

void mariadb_session::log(observe::level severity, std::string_view id,
                          std::string_view text) const {
    context_.log.write(severity, id, context_.name, text);
}

void mariadb_session::connect(core::deadline until) {
    connection_.open(until);
    settings_known_ = true;
    statement_limit_ = 0ms;
    lock_wait_ = connection_.facts().row_wait;
    open_ = false;
    if (settings_->inbox && settings_->create_tables && !shared_->tables_made) {
        make_tables(until);
    }
    trouble_ = {};
    if (settings_->inbox && context_.writes) {
        connection::guard watching;
        connection_.arm(until.earlier(core::deadline::after(10s)), watching);
        look_at_inbox();
    }
}

std::string mariadb_session::unsafe_text(std::string_view who, const std::string& table,
                                         std::string_view what) {
    const auto name = table.substr(0, table.find(" ("));
    return std::string{who} + ": " + table +
           " is of an engine that cannot roll back: " + std::string{what} +
           " until its DBA runs: ALTER TABLE " + name + " ENGINE=InnoDB";
}

void mariadb_session::tell_unsafe(std::string_view who, const std::string& table,
                                  std::string_view what) const {
    log(observe::level::error, "BEDS_MARIADB_ENGINE", unsafe_text(who, table, what));
}

bool mariadb_session::refused_by_engine(const bound_operation& op, const template_shape& shape) {
    if (shape.write.unsafe.empty()) {
        return false;
    }
    result(op) = outcome::failure(code::unsupported,
                                  "nothing is written here: the database could not undo it");
    return true;
}

bool mariadb_session::refused_by_class(const bound_operation& op, const procedure_shape& shape) {
    if (!shape.contradicts(op)) {
        return false;
    }
    result(op) = outcome::failure(
        code::unsupported,
        shape.hides_from(op)
            ? "its procedure makes statements at run time, and the template does not say "
              "dynamic_sql = true: not called"
            : "this call is declared as a read, and its procedure writes: not called");
    return true;
}

void mariadb_session::tell_class(const templates::template_def& target,
                                 const templates::call& called,
                                 const procedure_shape& shape) const {
    log(observe::level::error, "BEDS_MARIADB_CLASS",
        "template '" + target.name + "', call '" + called.name + "': " + called.shown() +
            " writes (" + shape.writes_by +
            ") and the template says class = \"read\": it is not called until that is \"write\", "
            "or the procedure only reads");
}

void mariadb_session::tell_dynamic(const std::string& where, const procedure_shape& shape) const {
    log(observe::level::error, "BEDS_MARIADB_DYNAMIC",
        where + " makes statements at run time (PREPARE or EXECUTE in '" + shape.made_at_run_time +
            "'): it is not called until the template says dynamic_sql = true");
}

void mariadb_session::make_tables(core::deadline until) {
    connection::guard watching;
    connection_.arm(until.earlier(core::deadline::after(10s)), watching);
    // Not CREATE … IF NOT EXISTS at once: who may not CREATE may well use what is there.
    if (connection_.command("DO (SELECT COUNT(*) FROM beds_inbox WHERE principal = '')")) {
        shared_->tables_made = true;
        return;
    }
    constexpr unsigned no_such_table = 1146;
    if (connection_.error().number == no_such_table && connection_.command(inbox_table)) {
        shared_->tables_made = true;
        log(observe::level::info, "BEDS_MARIADB_TABLE", "made the table beds_inbox");
        return;
    }
    const auto why = connection_.error();
    watching.reset();
    connection_.close();
    throw core::error(
        classify(why.number).reach == reach::session ? core::errc::unreachable
                                                     : core::errc::refused,
        "the table beds_inbox cannot be made; its DBA can: bedsctl schema | mariadb " +
            settings_->database,
        {.origin = core::error_origin::mariadb,
         .handle = core::handle_state::broken,
         .native_code = static_cast<int>(why.number),
         .server_message = why.message});
}

bool mariadb_session::alive(core::deadline until) {
    if (!usable()) {
        return false;
    }
    enter_thread();
    connection::guard watching;
    connection_.arm(until, watching);
    if (connection_.ping()) {
        if (trouble_.code != code::ok) {
            look_at_inbox();
        }
        if (usable()) {
            return true;
        }
    }
    watching.reset();
    connection_.close();
    return false;
}

// ---- statements and their failures -------------------------------------------------------------

ran mariadb_session::failed(const server_error& why) {
    failure what = classify(why);
    if (why.number == 1205) {
        unit_patience_ = connection_.facts().least_wait;
        if (connection_.facts().rollback_on_timeout) {
            what.reach = reach::rerun;
        }
    }
    if (why.sqlstate.starts_with("45")) {
        what.reach = reach::operation; // the DBA's own words, whatever number they carry
    }
    connection_.note(why);
    switch (what.reach) {
    case reach::operation:
        if (why.number == 1317 && until_.expired()) {
            end_ = step_result::expired;
            return ran::ended;
        }
        return rolled_back_silently(why) ? lost() : ran::refused;
    case reach::rerun:
        open_ = false; // the server has rolled back already; a ROLLBACK more does no harm
        end_ = step_result::rerun;
        return ran::ended;
    case reach::expired:
        end_ = step_result::expired;
        return ran::ended;
    case reach::session:
        break;
    }
    if (context_.log.wants(observe::level::warning)) {
        log(observe::level::warning, "BEDS_MARIADB_LOST",
            "error " + std::to_string(why.number) + ": " + why.message);
    }
    connection_.close();
    open_ = false;
    end_ = until_.expired() ? step_result::expired : step_result::broken;
    return ran::ended;
}

ran mariadb_session::execute(statement*& made) {
    if (explaining_ != nullptr) {
        return explain_instead();
    }
    for (int attempt = 0;; ++attempt) {
        made = connection_.prepared(query_.text());
        if (made == nullptr) {
            return failed(connection_.error());
        }
        once_ = once_ || calls_alone_;
        if (made->execute(query_.parameters(), connection_.facts().max_packet, *memory_)) {
            return ran::fine;
        }
        constexpr unsigned needs_preparing_again = 1615;
        if (made->error().number != needs_preparing_again || attempt > 0) {
            return failed(made->error());
        }
        connection_.forget(query_.text());
    }
}

ran mariadb_session::wait_at_most(std::chrono::seconds wanted) {
    if (wanted == lock_wait_) {
        return ran::fine;
    }
    // In the middle of a unit: SET ends no transaction, and no savepoint.
    const auto went =
        command("SET SESSION innodb_lock_wait_timeout = " + std::to_string(wanted.count()));
    if (went == ran::ended) {
        return went;
    }
    if (went == ran::refused) { // then it waits as the server has it, until its deadline
        log(observe::level::error, "BEDS_MARIADB_REFUSED", connection_.error().message);
    }
    lock_wait_ = wanted;
    return ran::fine;
}

ran mariadb_session::fetched(const statement& from, statement::fetched what) {
    return what == statement::fetched::failed ? failed(from.error()) : ran::fine;
}

ran mariadb_session::command(std::string_view text) {
    return connection_.command(text) ? ran::fine : failed(connection_.error());
}

ran mariadb_session::savepoint() {
    from_the_start_ = !changed_;
    changed_ = true;
    return from_the_start_ ? ran::fine : command("SAVEPOINT beds_group");
}

ran mariadb_session::back_to_savepoint() {
    return from_the_start_ ? command("ROLLBACK") : back_to("beds_group");
}

ran mariadb_session::back_to(std::string_view savepoint) {
    const auto went = command("ROLLBACK TO SAVEPOINT " + std::string{savepoint});
    return went == ran::refused ? lost() : went;
}

ran mariadb_session::lost() {
    log(observe::level::error, "BEDS_MARIADB_TRANSACTION",
        "the server ended the transaction: error " + std::to_string(connection_.error().number) +
            ": " + connection_.error().message);
    once_ = once_ || connection_.autocommit(); // then each statement was committed by itself
    end_ = step_result::rerun;
    return ran::ended;
}

bool mariadb_session::rolled_back_silently(const server_error& why) {
    // A refusal does not say in which state it leaves the session: only the next answer does. A
    // procedure's savepoint tells as much.
    if (kind_ != work_kind::write || in_call_ || !connection_.in_transaction() ||
        !may_end_transaction(why.number)) {
        return false;
    }
    const bool answered = connection_.command("DO 0");
    connection_.note(why);
    return answered && !connection_.in_transaction();
}

outcome mariadb_session::refusal(const bound_operation& op, core::arena& memory) {
    const server_error& why = connection_.error();
    const failure what = classify(why);
    const auto& target = *op.target;
    std::string_view blamed;
    if (is_misfit(why.number) || lacks_default(why, op)) {
        return misfit(op);
    }
    if (compares_no_text(why.number) && op.op != core::verb::call) {
        blamed = field_without_text(op);
        if (!blamed.empty()) {
            return op.op == core::verb::insert
                       ? outcome::failure(code::constraint, "a value does not fit its column",
                                          blamed)
                       : outcome::failure(code::invalid_field,
                                          "no row can have this text: the column's character set "
                                          "does not hold it",
                                          blamed);
        }
    }
    if (what.code == code::duplicate_key && op.op != core::verb::call) {
        const auto index = violated_key(why.message);
        const auto shape = shapes_.find(target.name);
        if (shape != shapes_.end()) {
            const auto& known = shape->second->write.unique_indexes;
            if (const auto found = known.find(index); found != known.end()) {
                blamed = target.fields[found->second.front()].name;
            }
        }
        if (blamed.empty() && index == "PRIMARY") {
            blamed = target.fields[target.key.front()].name;
        }
    } else if (what.code == code::constraint && op.op != core::verb::call) {
        const auto column = blamed_column(why.number, why.message);
        for (const auto& field : target.fields) {
            if (!column.empty() && field.column == column) {
                blamed = field.name;
            }
        }
    }
    const bool unexpected = what.code == code::internal || what.code == code::backend_unavailable ||
                            what.code == code::backend_permission_denied ||
                            what.code == code::backend_storage_full;
    // Its message names the rule and no value. Callers can bring it about as often as they like.
    if (is_rule(why.number) && context_.log.wants(observe::level::debug)) {
        log(observe::level::debug, "BEDS_MARIADB_RULE",
            target.name + '.' + std::string{core::to_string(op.op)} + ": " + why.message);
    }
    // The server's words about constraints hold the values of the row: they are not for the log. A
    // lost connection has been told already.
    if (unexpected && what.reach != reach::session && context_.log.wants(observe::level::error)) {
        log(observe::level::error, "BEDS_MARIADB_REFUSED",
            target.name + '.' + std::string{core::to_string(op.op)} + ": error " +
                std::to_string(why.number) + ": " + why.message);
    }
    return outcome::failure(what.code, what.detail, memory.copy(blamed));
}

bool mariadb_session::lacks_default(const server_error& why, const bound_operation& op) {
    constexpr unsigned no_default = 1364;
    if (why.number != no_default || op.op == core::verb::call) {
        return false;
    }
    // A column that no caller can give a value, because it is no field or not theirs.
    const auto column = blamed_column(why.number, why.message);
    const auto& fields = op.target->fields;
    return std::none_of(fields.begin(), fields.end(), [&](const auto& field) {
        const auto same = [](unsigned char a, unsigned char b) {
            return std::tolower(a) == std::tolower(b);
        };
        return std::equal(column.begin(), column.end(), field.column.begin(), field.column.end(),
                          same) &&
               !field.write_protected && field.source == templates::generated::no;
    });
}

outcome mariadb_session::misfit(const bound_operation& op) {
    const server_error& why = connection_.error();
    const auto& target = *op.target;
    const auto& object = op.op == core::verb::call ? op.call->routine : target.object;
    return misfit(target, "template '" + target.name + "' (" + std::string{core::to_string(op.op)} +
                              " on '" + object + "') does not fit the database any more: error " +
                              std::to_string(why.number) + ": " + why.message);
}

outcome mariadb_session::misfit(const templates::template_def& target, const std::string& text) {
    shared_->misfits.fetch_add(1, std::memory_order_relaxed);
    constexpr std::chrono::seconds pause{10};
    const auto now = std::chrono::steady_clock::now();
    const auto [told, first] = misfit_told_.try_emplace(target.name, now);
    if (first || now - told->second >= pause) {
        told->second = now;
        log(observe::level::error, "BEDS_MARIADB_MISFIT",
            text + "; 'bedsctl check' says what differs. Mend the database, or the template and "
                   "have it read again (kill -HUP)");
    }
    auto refused = outcome::failure(misfit_failure.code, misfit_failure.detail);
    refused.retry_after = std::chrono::seconds{5}; // as of a template that is withheld
    return refused;
}

std::string_view mariadb_session::field_without_text(const bound_operation& op) const {
    const auto known = shapes_.find(op.target->name);
    if (known == shapes_.end()) {
        return {};
    }
    const bool writes =
        op.op == core::verb::insert || op.op == core::verb::update || op.op == core::verb::remove;
    const auto& columns = (writes ? known->second->write : known->second->read).columns;
    // The rarer a character, the later its number: the rarest one is to blame.
    std::string_view blamed;
    std::string rarest;
    const auto look_at = [&](field_id field, const core::value& value) {
        const auto& column = columns[field];
        if (!column.is_text() || column.charset == "utf8mb4" ||
            value.type != core::value::kind::string) {
            return;
        }
        for (std::size_t at = 0; at < value.text.size(); ++at) {
            if (static_cast<unsigned char>(value.text[at]) < 0xC0) {
                continue; // ASCII, or within a character
            }
            // UTF-8 sorts as its characters do.
            const auto character = value.text.substr(at, 4);
            if (rarest < character) {
                rarest = character;
                blamed = op.target->fields[field].name;
            }
        }
    };
    for (const auto& row : op.rows) { // compared with what is there already
        for (const auto field : op.unique) {
            if (const auto* given = given_value(row, field)) {
                look_at(field, *given);
            }
        }
    }
    for (std::size_t i = 0; i < op.key.size(); ++i) {
        look_at(op.target->key[i], op.key[i]);
    }
    for (const auto& given : op.where) {
        for (const auto& value : given.values) {
            look_at(given.field, value);
        }
    }
    for (const auto& expected : op.expect) {
        look_at(expected.field, expected.value);
    }
    for (std::size_t i = 0; i < op.after.size(); ++i) {
        look_at(op.sort[i].field, op.after[i]);
    }
    return blamed;
}

outcome mariadb_session::unreadable(const bound_operation& op) {
    struct texts {
        std::string_view logged;
        std::string_view answered;
    };
    const auto told = [this]() -> texts {
        switch (unreadable_kind_) {
        case unreadable_kind::no_time_of_day:
            return {"is a TIME below 0 or from 24 hours on, which the template's type time does "
                    "not hold: make it a string",
                    "a stored time is negative or longer than a day: the type 'time' does not hold "
                    "it"};
        case unreadable_kind::no_date:
            return {"is a date without month or day, like 0000-00-00, which the template's type "
                    "does not hold: make it a string, or mend the rows",
                    "a stored date has no month or no day: the field's type does not hold it"};
        case unreadable_kind::no_truth:
            return {"is neither 0 nor 1: make it an int8, or mend the rows",
                    "a stored number is neither 0 nor 1: the type 'bool' does not hold it"};
        case unreadable_kind::upper_case:
            return {"is a UUID in upper case, which its column's collation tells from lower case: "
                    "mend the rows, give the column another collation, or make it a string",
                    "a stored UUID is in upper case, where its column tells that from lower case"};
        case unreadable_kind::other_type:
            break;
        }
        return {"does not fit the template's type", "a stored value does not fit the template"};
    }();
    const std::string_view field = op.target->fields[unreadable_].name;
    if (context_.log.wants(observe::level::error)) {
        log(observe::level::error, "BEDS_MARIADB_VALUE",
            op.target->name + '.' + std::string{core::to_string(op.op)} +
                ": the stored value of '" + std::string{field} + "' " + std::string{told.logged});
    }
    return outcome::failure(unreadable_kind_ == unreadable_kind::other_type ? code::internal
                                                                            : code::unsupported,
                            told.answered, field);
}

void mariadb_session::look_again() {
    if (const auto now = catalog_->generation(); now != catalog_generation_) {
        shapes_.clear();
        procedures_.clear();
        catalog_generation_ = now;
    }
}

ran mariadb_session::learn(const templates::template_def& target, const template_shape*& shape) {
    look_again();
    auto& known = shapes_[target.name];
    // Where nothing may be written the DBA may have changed that meanwhile.
    const auto may_be_better = [this](const template_shape& now) {
        return !now.visible() || (kind_ == work_kind::write && !now.write.unsafe.empty());
    };
    if (known && known->describes(target) && (!may_be_better(*known) || looked_ == unit_)) {
        shape = known.get();
        return ran::fine;
    }
    known = catalog_->find(target);
    if (known && may_be_better(*known)) {
        known = nullptr;
    }
    looked_ = unit_;
    if (!known) {
        auto loaded = load_template(connection_, target);
        if (!loaded) {
            const auto how = failed(connection_.error());
            if (how == ran::ended) {
                shapes_.erase(target.name);
                return how;
            }
            loaded = assumed_shape(target); // the account may not look; the types must do
        }
        known = std::make_shared<const template_shape>(std::move(*loaded));
        // What could not be seen may be there tomorrow: it is asked for again by the next session.
        if (known->visible()) {
            catalog_->put(known);
        }
    }
    shape = known.get();
    return ran::fine;
}

ran mariadb_session::learn(std::string_view procedure, const procedure_shape*& shape) {
    look_again();
    const std::string name{procedure};
    auto& known = procedures_[name];
    if (!known) {
        known = catalog_->find_procedure(name);
    }
    if (!known) {
        auto loaded = load_procedure(connection_, name);
        if (!loaded) {
            const auto how = failed(connection_.error());
            if (how == ran::ended) {
                procedures_.erase(name);
                return how;
            }
            loaded = procedure_shape{};
        }
        known = std::make_shared<const procedure_shape>(std::move(*loaded));
        catalog_->put_procedure(name, known);
    }
    shape = known.get();
    return ran::fine;
}

void mariadb_session::inspect(std::span<const templates::template_def* const> targets,
                              core::deadline until) {
    if (!usable()) {
        return;
    }
    enter_thread();
    until_ = until;
    const auto keep_going = [&](bool loaded) {
        if (loaded) {
            return true;
        }
        return failed(connection_.error()) == ran::refused;
    };
    const auto learn_procedure = [&](const std::string& name) {
        if (name.empty()) {
            return true;
        }
        auto loaded = load_procedure(connection_, name);
        if (loaded) {
            catalog_->put_procedure(name,
                                    std::make_shared<const procedure_shape>(std::move(*loaded)));
        }
        return keep_going(loaded.has_value());
    };
    for (const auto* target : targets) {
        // For each of them: a server that falls silent at the first shall not cost the time of all.
        connection::guard watching;
        connection_.arm(until.earlier(core::deadline::after(settings_->connect_timeout)), watching);
        auto loaded = load_template(connection_, *target);
        if (loaded) {
            const auto before = catalog_->find(*target);
            if (!loaded->write.unsafe.empty() &&
                (!before || before->write.unsafe != loaded->write.unsafe)) {
                tell_unsafe("template '" + target->name + "'", loaded->write.unsafe,
                            "its inserts, updates and deletes are refused");
            }
            catalog_->put(std::make_shared<const template_shape>(std::move(*loaded)));
        }
        if (!keep_going(loaded.has_value())) {
            return;
        }
        for (const auto* name :
             {&target->write.insert, &target->write.update, &target->write.remove}) {
            const auto before = catalog_->find_procedure(*name);
            if (!learn_procedure(*name)) {
                return;
            }
            const auto now = catalog_->find_procedure(*name);
            if (now && !now->made_at_run_time.empty() && !target->write.dynamic_sql &&
                (!before || before->text != now->text)) {
                tell_dynamic("template '" + target->name + "': procedure '" + *name + '\'', *now);
            }
        }
        for (const auto& called : target->calls) {
            const auto before = catalog_->find_procedure(called.routine);
            if (!learn_procedure(called.routine)) {
                return;
            }
            const auto now = catalog_->find_procedure(called.routine);
            if (called.op_class == core::op_class::read && now && now->writes == writing::certain &&
                (!before || before->writes_by != now->writes_by)) {
                tell_class(*target, called, *now);
            }
            if (now && now->hides_from(called) && (!before || before->text != now->text)) {
                tell_dynamic("template '" + target->name + "', call '" + called.name +
                                 "': " + called.shown(),
                             *now);
            }
        }
    }
    catalog_->changed();
}

// ---- the unit of work ---------------------------------------------------------------------------

step_result mariadb_session::begin(work_kind kind, core::deadline until,
                                   std::span<const operation_identity> ids, lookup how,
                                   core::arena& memory, std::vector<stored_reply>& known) {
    if (!usable()) {
        return step_result::broken;
    }
    enter_thread();
    if (open_) { // nobody ended the unit before: an exception came in between
        rollback();
        if (!usable()) {
            return step_result::broken;
        }
    }
    kind_ = kind;
    until_ = until;
    ++unit_;
    end_ = step_result::done;
    memory_ = &memory;
    rows_ = nullptr;
    results_ = {};
    current_ = {};
    ran_.clear();
    nameless_.clear();
    doubtful_.clear();
    identities_ = ids;
    in_call_ = calls_alone_ = once_ = ended_inside_ = over_ = false;
    unit_patience_ = std::max(patience_, connection_.facts().least_wait);
    if (until.expired()) {
        return step_result::expired;
    }
    connection::guard watching;
    connection_.arm_statements(until, watching);
    return settled(open_unit(ids, how, memory, known), watching);
}

step_result mariadb_session::settled(step_result how, connection::guard& watching) {
    watching.reset();
    if (!connection_.take_shot()) {
        return how;
    }
    if (usable()) {
        connection_.arm(core::deadline::after(1s), watching);
        // MariaDB forgets a KILL QUERY that found nothing to end; others keep it for the next.
        const bool answered = connection_.command("DO 0");
        watching.reset();
        if (!answered && classify(connection_.error().number).reach == reach::session) {
            connection_.close();
        }
    }
    return step_result::expired;
}

step_result mariadb_session::open_unit(std::span<const operation_identity> ids, lookup how,
                                       core::arena& memory, std::vector<stored_reply>& known) {
    // A session mostly does one kind of work, so these settings seldom change: no statement at all
    // opens a transaction.
    const auto kind = kind_;
    const bool autocommit = kind == work_kind::read;
    const auto limit = limit_of(until_, statement_limit_, shared_->late.blind());
    const bool limit_changes = limit != statement_limit_;
    if (!settings_known_ || autocommit != connection_.autocommit() || limit_changes) {
        std::string set = "SET autocommit = ";
        set += autocommit ? '1' : '0';
        if (limit_changes) {
            if (connection_.facts().is_mariadb) {
                set += ", max_statement_time = ";
                set += std::to_string(limit.count() / 1000) + '.';
                const auto fraction = std::to_string(limit.count() % 1000 + 1000);
                set += fraction.substr(1);
            } else {
                set += ", max_execution_time = " + std::to_string(limit.count());
            }
        }
        const bool wait_changes = kind == work_kind::write && lock_wait_ != unit_patience_;
        if (wait_changes) { // on the occasion; otherwise the first statement that needs it
            set += ", innodb_lock_wait_timeout = " + std::to_string(unit_patience_.count());
        }
        if (const auto went = command(set); went != ran::fine) {
            if (went == ran::refused) {
                log(observe::level::error, "BEDS_MARIADB_REFUSED", connection_.error().message);
                connection_.close();
                return step_result::broken;
            }
            return ending();
        }
        settings_known_ = true;
        statement_limit_ = limit;
        lock_wait_ = wait_changes ? unit_patience_ : lock_wait_;
    }
    open_ = kind == work_kind::write;
    changed_ = false;
    if (broken_call_ && kind == work_kind::write) {
        if (const auto step = settle_break(ids); step != step_result::done) {
            return step;
        }
    }
    if (kind == work_kind::write && settings_->inbox) {
        shared_->old.wanted(context_.name, context_.log);
        if (trouble_.code != code::ok && !ids.empty()) {
            look_at_inbox();
            if (!usable()) {
                return step_result::broken;
            }
            if (trouble_.code != code::ok) {
                return step_result::no_inbox;
            }
        }
        for (const auto& id : ids) {
            if (!can_be_stored(id)) {
                nameless_.push_back(id.index);
            }
        }
    }
    if (kind == work_kind::write && how == lookup::all && settings_->inbox && !ids.empty()) {
        return look_up(ids, memory, known);
    }
    return step_result::done;
}

step_result mariadb_session::run(const group& work, core::row_sink& rows, outcomes results,
                                 core::arena& memory) {
    rows_ = &rows;
    results_ = results;
    memory_ = &memory;
    if (over_) {
        for (const auto* op : work.operations) {
            result(*op) = outcome::failure(code::backend_conflict,
                                           "not run: its transaction ended before its turn");
        }
        return step_result::done;
    }
    current_ = work.operations;
    const auto step = run_group(work);
    if (step != step_result::done && once_) {
        conclude(step, work.operations);
        return step_result::done;
    }
    if (step == step_result::done && kind_ == work_kind::write) {
        for (const auto* op : work.operations) {
            ran_.push_back(op->index);
        }
    }
    current_ = {};
    return step;
}

step_result mariadb_session::run_group(const group& work) {
    if (!usable()) {
        return step_result::broken;
    }
    const auto operations =
        nameless_.empty() && doubtful_.empty() ? work.operations : without_nameless(work);
    if (operations.empty()) {
        return step_result::done;
    }
    if (until_.expired()) {
        return step_result::expired;
    }
    end_ = step_result::done;
    connection::guard watching;
    connection_.arm_statements(until_, watching);
    const auto went =
        work.mode == group_mode::atomic ? run_atomic(operations) : run_independent(operations);
    if (const auto how = settled(went == ran::ended ? ending() : step_result::done, watching);
        how != step_result::done) {
        return how;
    }
    // (Refused: every operation's outcome says so.) What comes back too late does not count, unless
    // it cannot be rolled back: see `run`.
    if (kind_ == work_kind::write && until_.expired()) {
        return step_result::expired;
    }
    return step_result::done;
}

operation_list mariadb_session::without_nameless(const group& work) {
    named_.clear();
    const auto among = [](const std::vector<core::op_index>& those, const bound_operation& op) {
        return std::find(those.begin(), those.end(), op.index) != those.end();
    };
    for (const auto* op : work.operations) {
        if (among(doubtful_, *op)) {
            result(*op) = outcome::failure(
                code::backend_unavailable,
                "the connection broke while a procedure was at work that commits by itself", {},
                core::effect::unknown);
            result(*op).at_least_once = true;
        } else if (!among(nameless_, *op)) {
            named_.push_back(op);
        } else {
            result(*op) =
                outcome::failure(code::limit_exceeded,
                                 "the inbox cannot hold the sender's name or the operation's id");
        }
    }
    if (work.mode == group_mode::atomic && named_.size() != work.operations.size()) {
        for (const auto* op : named_) {
            result(*op) = outcome::skip("another operation of the envelope failed");
        }
        named_.clear();
    }
    return named_;
}

void mariadb_session::conclude(step_result why, operation_list current) {
    auto cause = outcome::failure(code::backend_conflict, "other transactions got in the way", {},
                                  core::effect::unknown);
    if (ended_inside_) {
        cause.code = code::internal;
        cause.detail = "the transaction ended inside of a procedure";
    } else if (why == step_result::expired) {
        cause.code = code::deadline_exceeded;
        cause.detail = "the deadline passed while a procedure was at work";
    } else if (why == step_result::full) {
        cause.code = code::backend_storage_full;
        cause.detail = "the database is out of space for what a procedure did";
    } else if (why == step_result::no_inbox) {
        cause.code = trouble_.code;
        cause.detail = trouble_.detail;
    } else if (why == step_result::broken) {
        cause.code = code::backend_unavailable;
        cause.detail = "the connection broke while a procedure was at work";
    }
    cause.at_least_once = true; // the inbox does not know it
    auto not_run = cause;
    not_run.code = ended_inside_ ? code::backend_conflict : cause.code;
    not_run.effect = core::effect::none;
    not_run.at_least_once = false;
    for (const auto index : ran_) {
        if (results_[index].effect == core::effect::applied) {
            results_[index] = cause;
            rows_->reset(index);
        }
    }
    for (const auto* op : current) {
        auto& now = result(*op);
        if (!now.ok()) {
            continue;
        }
        now = op->index == called_ || now.effect == core::effect::applied ? cause : not_run;
        rows_->reset(op->index);
    }
    over_ = true;
    rollback();
}

commit_result mariadb_session::commit() {
    if (kind_ == work_kind::read || over_) {
        return commit_result::applied;
    }
    const auto ends = [this](commit_result how, step_result why) {
        if (!once_) {
            return how;
        }
        conclude(why, {});
        return commit_result::applied;
    };
    if (!usable()) {
        return ends(commit_result::none, step_result::broken); // it broke before COMMIT was sent
    }
    connection::guard watching;
    connection_.arm(until_, watching);
    open_ = false;
    if (connection_.command("COMMIT")) {
        return commit_result::applied;
    }
    const server_error why = connection_.error();
    log(observe::level::error, "BEDS_MARIADB_COMMIT",
        "error " + std::to_string(why.number) + ": " + why.message);
    if (commit_refused(why.number)) {
        static_cast<void>(connection_.command("ROLLBACK"));
        watching.reset();
        return ends(commit_result::none, step_result::rerun);
    }
    watching.reset();
    connection_.close();
    return ends(commit_result::unknown, step_result::broken);
}

void mariadb_session::rollback() {
    if (!usable() || kind_ == work_kind::read) {
        open_ = false;
        return;
    }
    // The unit's own time may be over; its rows must be let go all the same.
    connection::guard watching;
    connection_.arm(core::deadline::after(1s), watching);
    open_ = false;
    if (!connection_.command("ROLLBACK")) {
        watching.reset();
        connection_.close();
    }
}

// ---- groups ----

ran mariadb_session::run_independent(operation_list work) {
    const bound_operation& first = *work.front();
    switch (first.op) {
    case core::verb::fetch:
        return fetch_group(work);
    case core::verb::insert:
        return insert_group(work);
    case core::verb::update:
    case core::verb::remove:
        return change_group(work);
    case core::verb::find:
    case core::verb::count:
    case core::verb::exists:
        return work.size() == 1 ? one_at_a_time(work) : read_by_arms(work);
    case core::verb::call:
        return work.size() == 1 ? one_at_a_time(work) : call_group(work);
    default:
        return one_at_a_time(work);
    }
}

ran mariadb_session::one_at_a_time(operation_list work) {
    for (const auto* op : work) {
        if (const auto went = run_one(*op); went == ran::ended) {
            return went;
        }
    }
    return ran::fine;
}

ran mariadb_session::run_one(const bound_operation& op) {
    changed_ = changed_ || op.op == core::verb::insert || op.op == core::verb::update ||
               op.op == core::verb::remove || op.op == core::verb::call;
    switch (op.op) {
    case core::verb::fetch:
        return fetch_group(std::array{&op});
    case core::verb::find:
        return run_find(op);
    case core::verb::count:
        return run_count(op);
    case core::verb::exists:
        return run_exists(op);
    case core::verb::insert:
    case core::verb::update:
    case core::verb::remove:
        // Explained is the write itself.
        return op.fields.empty() || explaining_ != nullptr ? write_one(op) : write_and_return(op);
    case core::verb::call:
        return run_call(op);
    case core::verb::describe:
        break;
    }
    result(op) = outcome::failure(code::unsupported, "this is not done by a database");
    return ran::fine;
}

ran mariadb_session::write_one(const bound_operation& op) {
    return op.op == core::verb::insert   ? insert_one(op)
           : op.op == core::verb::update ? update_one(op)
                                         : remove_one(op);
}

ran mariadb_session::run_atomic(operation_list work) {
    const bool guarded = kind_ == work_kind::write; // reads have nothing to undo
    changed_ = changed_ || guarded;
    if (const auto went = guarded ? command("SAVEPOINT beds_atomic") : ran::fine;
        went != ran::fine) {
        for (std::size_t i = 0; went == ran::refused && i < work.size(); ++i) {
            result(*work[i]) = refusal(*work[i], *memory_);
        }
        return went;
    }
    for (std::size_t i = 0; i < work.size(); ++i) {
        const auto went = run_one(*work[i]);
        if (went == ran::ended) {
            return went;
        }
        if (result(*work[i]).ok()) {
            continue;
        }
        if (const auto undone = guarded ? back_to("beds_atomic") : ran::fine;
            undone == ran::ended) {
            return undone;
        }
        for (std::size_t other = 0; other < work.size(); ++other) {
            rows_->reset(work[other]->index);
            if (other != i) {
                result(*work[other]) = outcome::skip("another operation of the envelope failed");
            }
        }
        break;
    }
    return ran::fine;
}

} // namespace beds::adapters::mariadb
