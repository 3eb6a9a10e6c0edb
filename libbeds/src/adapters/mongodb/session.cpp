#include "adapters/mongodb/session.hpp"

#include <beds/core/error.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/supervisor.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

constexpr auto retry_soon = std::chrono::milliseconds{500};
/// What nobody waits for ends after this.
constexpr std::chrono::milliseconds longest_command{30'000};

std::int32_t server_code(const bson_t& reply) {
    bson_iter_t found;
    return bson_iter_init_find(&found, &reply, "code")
               ? static_cast<std::int32_t>(bson_iter_as_int64(&found))
               : 0;
}

std::string_view server_text(const bson_t& reply) {
    bson_iter_t found;
    if (!bson_iter_init_find(&found, &reply, "errmsg") || !BSON_ITER_HOLDS_UTF8(&found)) {
        return {};
    }
    std::uint32_t size = 0;
    const char* const text = bson_iter_utf8(&found, &size);
    return {text, size};
}

/// 1: success. 0: the server says no. -1: the reply is none of the server's.
int said_ok(const bson_t& reply) {
    bson_iter_t found;
    if (!bson_iter_init_find(&found, &reply, "ok")) {
        return -1;
    }
    return bson_iter_as_bool(&found) ? 1 : 0;
}

} // namespace

mongodb_session::mongodb_session(std::shared_ptr<const service> shared, session_context context)
    : shared_(std::move(shared)), context_(std::move(context)),
      tls_options_(shared_->tls_options()) {
    control_.connect_timeout = shared_->connect_timeout();
    control_.tls = shared_->tls();
    control_.tls_options = &tls_options_;
}

mongodb_session::~mongodb_session() {
    close();
}

void mongodb_session::close() {
    // The driver says goodbye, and a frozen server must not hold that up.
    constexpr auto goodbye = std::chrono::milliseconds{100};
    control_.until = control_.until.earlier(core::deadline::after(goodbye));
    client_.reset();
}

void mongodb_session::log(observe::level severity, std::string_view id, std::string text) const {
    context_.log.write(severity, id, context_.name, text);
}

void mongodb_session::connect(core::deadline until) {
    close();
    const auto uri = shared_->uri(context_.name);
    client_.reset(mongoc_client_new_from_uri(uri.get()));
    if (!client_) {
        throw core::error(
            core::errc::invalid_configuration,
            shared_->connection() + ": the driver cannot use the connection string",
            {.origin = core::error_origin::mongodb, .handle = core::handle_state::broken});
    }
    mongoc_client_set_error_api(client_.get(), MONGOC_ERROR_API_VERSION_2);
#ifdef MONGOC_ENABLE_SSL
    if (control_.tls) {
        mongoc_client_set_ssl_opts(client_.get(), &tls_options_);
    }
#endif
    mongoc_client_set_stream_initiator(client_.get(), open_stream, &control_);
    control_.until = until;
    control_.problem.clear();
    control_.timed_out = false;

    // A command on the database itself: server choice, TLS and credentials, all at once.
    command_.clear();
    command_.int32("ping", 1);
    bson_t ping;
    const auto bytes = command_.finish();
    view_bson(ping, bytes.data(), bytes.size());
    bson_error_t error{};
    const bool reached = mongoc_client_command_simple(client_.get(), shared_->database().c_str(),
                                                      &ping, nullptr, reply_.give(), &error);
    if (!reached) {
        const auto text = control_.problem.empty() ? std::string{error.message} : control_.problem;
        const auto code = static_cast<std::int32_t>(error.code);
        const bool no_entry =
            (error.domain == MONGOC_ERROR_CLIENT && code == MONGOC_ERROR_CLIENT_AUTHENTICATE) ||
            said_ok(*reply_.get()) == 0;
        close();
        throw core::error(
            no_entry ? core::errc::refused : core::errc::unreachable,
            shared_->connection() +
                (no_entry ? ": MongoDB refuses the session" : ": MongoDB cannot be reached") +
                " (" + text + ")",
            {.origin = core::error_origin::mongodb,
             .handle = core::handle_state::broken,
             .native_code = code,
             .server_message = error.message});
    }
    wire_version_ = 0;
    most_writes_ = 1000;
    plain_.clear();
    listed_.reset();
    rights_known_ = false;
    rights_.reset();
    stands_alone_ = false;
    const server_handle server{mongoc_client_select_server(client_.get(), true, nullptr, &error)};
    if (server) {
        const bson_t* const hello = mongoc_server_description_hello_response(server.get());
        bson_iter_t found;
        if (bson_iter_init_find(&found, hello, "maxWireVersion")) {
            wire_version_ = static_cast<std::int32_t>(bson_iter_as_int64(&found));
        }
        stands_alone_ = !bson_iter_init_find(&found, hello, "setName") &&
                        !bson_iter_init_find(&found, hello, "msg");
        if (bson_iter_init_find(&found, hello, "maxWriteBatchSize")) {
            most_writes_ = static_cast<std::size_t>(
                std::clamp<std::int64_t>(bson_iter_as_int64(&found), 1, 1000));
        }
    }
}

bool mongodb_session::alive(core::deadline until) {
    if (!client_) {
        return false;
    }
    until_ = until;
    command_.clear();
    command_.int32("ping", 1);
    return execute(aim::read, time_limit::none) == ending::answered;
}

step_result mongodb_session::begin(work_kind kind, core::deadline until,
                                   std::span<const operation_identity> ids, lookup how,
                                   core::arena& memory, std::vector<stored_reply>& known) {
    until_ = until;
    memory_ = &memory;
    results_ = {};
    close_unit(); // of a unit whose connection broke
    if (!client_) {
        return step_result::broken;
    }
    if (kind == work_kind::read) {
        return step_result::done;
    }
    if (!orphans_.empty() || !late_.empty()) {
        clear_away();
    }
    start_inbox(ids);
    if (!client_) {
        return is_late() ? step_result::expired : step_result::broken;
    }
    return how == lookup::all ? look_up(known) : step_result::done;
}

commit_result mongodb_session::commit() {
    close_unit();
    return commit_result::applied;
}

void mongodb_session::rollback() {
    close_unit();
}

mongodb_session::ending mongodb_session::execute(aim what, time_limit limit) {
    return execute_on(shared_->database().c_str(), what, limit);
}

mongodb_session::ending mongodb_session::execute_on(const char* database, aim what,
                                                    time_limit limit) {
    error_ = {};
    control_.asked = false;
    control_.timed_out = false;
    if (!client_) {
        return ending::not_sent;
    }
    if (until_.expired()) {
        control_.timed_out = true;
        return ending::not_sent;
    }
    if (explaining_ != nullptr) {
        return explain_instead(database);
    }
    if (limit == time_limit::deadline) {
        append_time_limit(command_);
    }
    // The server's own limit ends a command first.
    control_.until =
        until_.is_never() ? until_ : core::deadline::at(until_.when() + core::supervisor::grace);
    const auto bytes = command_.finish();
    bson_t command;
    if (!view_bson(command, bytes.data(), bytes.size())) {
        close();
        return ending::not_sent;
    }
    const auto* const preference =
        what == aim::read ? mongoc_uri_get_read_prefs_t(shared_->uri()) : nullptr;
    bson_error_t error{};
    mongoc_client_command_simple(client_.get(), database, &command, preference, reply_.give(),
                                 &error);
    const int ok = said_ok(*reply_.get());
    if (ok >= 0) {
        bson_iter_t found;
        bson_iter_t inner;
        if (ok == 0) {
            error_.code = server_code(*reply_.get());
            error_.message = server_text(*reply_.get());
        } else if (what == aim::write &&
                   bson_iter_init_find(&found, reply_.get(), "writeConcernError") &&
                   bson_iter_recurse(&found, &inner) && bson_iter_find(&inner, "code")) {
            error_.code = static_cast<std::int32_t>(bson_iter_as_int64(&inner));
        }
        const bool late = time_is_over(error_.code);
        if (!late && !server_is_leaving(error_.code)) {
            error_ = ok > 0 ? server_error{} : error_;
            return ok > 0 ? ending::answered : ending::refused;
        }
        control_.timed_out = late;
        if (late && what == aim::read) {
            return ending::not_sent; // nothing was done, and the session is as good as before
        }
        // A write that was begun: the next session looks up what became of it.
        close();
        return ok == 0 && certainly_nothing_done(error_.code) ? ending::not_sent : ending::lost;
    }
    if (control_.problem.empty()) {
        log(observe::level::warning, "BEDS_MONGODB_LOST",
            std::string{"the connection broke: "} + error.message);
    }
    close();
    return control_.asked ? ending::lost : ending::not_sent;
}

bool mongodb_session::is_late() const {
    return control_.timed_out || until_.expired();
}

bool mongodb_session::takes_comments(aim what) const {
    constexpr std::int32_t wire_4_4 = 9; // from here on writes take it, too
    return what == aim::read || wire_version_ >= wire_4_4;
}

void mongodb_session::begin_command(std::string_view verb, std::string_view collection,
                                    const bound_operation& op, aim what) {
    command_.clear();
    command_.string(verb, collection);
    if (takes_comments(what)) {
        const std::string_view name = op.call != nullptr ? op.call->name : core::to_string(op.op);
        command_.string("comment", "beds " + op.target->name + '.' + std::string{name});
    }
    command_.elements_of(what == aim::read ? shared_->read_members() : shared_->write_members());
}

std::int64_t mongodb_session::milliseconds_left() const {
    const auto left = until_.is_never()
                          ? longest_command
                          : std::chrono::ceil<std::chrono::milliseconds>(until_.remaining());
    // 0 would be none.
    return std::clamp<std::int64_t>(left.count(), 1, std::numeric_limits<std::int32_t>::max());
}

void mongodb_session::append_time_limit(bson_writer& to) const {
    to.int64("maxTimeMS", milliseconds_left());
}

step_result mongodb_session::give_up(run_scope& scope, operation_list rest) {
    const bool late = is_late();
    if (!touched_) {
        return late ? step_result::expired : step_result::broken;
    }
    for (const auto* op : rest) {
        auto& outcome = scope.results[op->index];
        outcome = late ? core::outcome::failure(core::code::deadline_exceeded,
                                                "the deadline passed before it was sent")
                       : core::outcome::failure(core::code::backend_unavailable,
                                                "the connection to the database broke before it "
                                                "was sent");
        if (!late) {
            outcome.retry_after = retry_soon;
        }
    }
    return step_result::done;
}

std::optional<step_result> mongodb_session::unanswered(run_scope& scope, operation_list sent,
                                                       ending how) {
    switch (how) {
    case ending::lost:
        in_doubt(scope, sent);
        return step_result::done;
    case ending::not_sent:
        return give_up(scope, sent);
    case ending::refused: {
        touched_ = true;
        const auto effect =
            certainly_nothing_done(error_.code) ? core::effect::none : core::effect::unknown;
        for (const auto* op : sent) {
            scope.results[op->index] = failure(scope, *op, error_, effect);
        }
        return step_result::done;
    }
    case ending::answered:
        break;
    }
    touched_ = true;
    return std::nullopt;
}

void mongodb_session::in_doubt(run_scope& scope, operation_list sent) {
    if (is_late()) {
        in_doubt(scope, sent, core::code::deadline_exceeded,
                 "the deadline passed before the database answered");
    } else {
        in_doubt(scope, sent, core::code::backend_unavailable,
                 "the connection to the database broke before it answered");
    }
}

void mongodb_session::in_doubt(run_scope& scope, operation_list sent, core::code code,
                               std::string_view detail) {
    touched_ = true;
    for (const auto* op : sent) {
        auto& outcome = scope.results[op->index];
        outcome = core::outcome::failure(code, detail, {}, core::effect::unknown);
        outcome.at_least_once = tracked(*op) == nullptr;
        if (code == core::code::backend_unavailable) {
            outcome.retry_after = retry_soon;
        }
    }
}

std::string_view mongodb_session::field_name(const bound_operation& op, field_id field) const {
    return op.target->fields[field].name; // the template outlives the batch
}

core::outcome mongodb_session::invalid(run_scope& scope, const bound_operation& op,
                                       std::string_view why, std::optional<field_id> field) {
    std::string detail;
    if (field) {
        detail = "field '" + op.target->fields[*field].name + "': ";
    }
    detail += why;
    return core::outcome::failure(core::code::invalid_field,
                                  scope.memory.copy(std::string_view{detail}),
                                  field ? field_name(op, *field) : std::string_view{});
}

core::outcome mongodb_session::failure(run_scope&, const bound_operation& op,
                                       const server_error& error, core::effect effect) {
    const auto means = meaning_of(error.code);
    auto outcome = core::outcome::failure(means.code, means.detail, {}, effect);
    outcome.at_least_once = effect != core::effect::none && tracked(op) == nullptr;
    if (means.code == core::code::duplicate_key) {
        if (const auto field = duplicate_field(*op.target, error)) {
            outcome.field = field_name(op, *field);
        }
    } else if (means.code == core::code::constraint) {
        if (const auto column = column_at_fault(error)) {
            if (const auto field = field_of_column(*op.target, *column)) {
                outcome.field = field_name(op, *field);
            }
        }
    } else if (means.code == core::code::internal) {
        log(observe::level::error, "BEDS_MONGODB_REFUSED",
            op.target->name + "." + std::string{core::to_string(op.op)} + ": error " +
                std::to_string(error.code) + ": " + std::string{error.message});
    } else if (means.code == core::code::backend_permission_denied ||
               means.code == core::code::backend_storage_full) {
        log(observe::level::error, "BEDS_MONGODB_DENIED",
            op.target->name + "." + std::string{core::to_string(op.op)} + ": error " +
                std::to_string(error.code));
    }
    return outcome;
}

std::optional<field_id> mongodb_session::duplicate_field(const templates::template_def& target,
                                                         const server_error& error) {
    if (const auto column = column_at_fault(error)) {
        return field_of_column(target, *column);
    }
    const auto index = index_of_duplicate(error.message);
    if (index == "_id_") {
        return field_of_column(target, "_id");
    }
    if (index.empty()) {
        return std::nullopt;
    }
    // The look-up reuses the memory of the reply, which `index` and `error` may be views of.
    const std::string name{index};
    const auto* const columns = index_columns(target.object, name);
    if (columns == nullptr) {
        return std::nullopt;
    }
    for (const auto& column : *columns) {
        if (const auto field = field_of_column(target, column)) {
            return field;
        }
    }
    return std::nullopt;
}

const std::vector<std::string>* mongodb_session::index_columns(const std::string& collection,
                                                               std::string_view index) {
    const auto key = collection + '\0' + std::string{index};
    if (const auto known = indexes_.find(key); known != indexes_.end()) {
        return &known->second;
    }
    // Apart from the reply that is being read and the command that is being written.
    if (!client_ || until_.expired()) {
        return nullptr;
    }
    bson_writer question;
    question.string("listIndexes", collection);
    question.begin_document("cursor");
    question.end();
    append_time_limit(question);
    const auto bytes = question.finish();
    bson_t command;
    view_bson(command, bytes.data(), bytes.size());
    owned_bson reply;
    bson_error_t error{};
    if (!mongoc_client_command_simple(client_.get(), shared_->database().c_str(), &command, nullptr,
                                      reply.give(), &error)) {
        if (said_ok(*reply.get()) < 0) {
            close();
        }
        return nullptr;
    }
    bson_iter_t top;
    bson_iter_t batch;
    bson_iter_t item;
    if (!bson_iter_init(&top, reply.get()) ||
        !bson_iter_find_descendant(&top, "cursor.firstBatch", &batch) ||
        !bson_iter_recurse(&batch, &item)) {
        return nullptr;
    }
    while (bson_iter_next(&item)) {
        bson_iter_t member;
        std::string name;
        std::vector<std::string> columns;
        if (!bson_iter_recurse(&item, &member)) {
            continue;
        }
        while (bson_iter_next(&member)) {
            const std::string_view what = bson_iter_key(&member);
            bson_iter_t column;
            if (what == "name" && BSON_ITER_HOLDS_UTF8(&member)) {
                name = bson_iter_utf8(&member, nullptr);
            } else if (what == "key" && bson_iter_recurse(&member, &column)) {
                while (bson_iter_next(&column)) {
                    columns.emplace_back(bson_iter_key(&column));
                }
            }
        }
        indexes_[collection + '\0' + name] = std::move(columns);
    }
    const auto found = indexes_.find(key);
    return found == indexes_.end() ? nullptr : &found->second;
}

step_result mongodb_session::run(const group& work, core::row_sink& rows, outcomes results,
                                 core::arena& memory) {
    run_scope scope{rows, results, memory};
    auto ops = work.operations;
    touched_ = false;
    if (ops.empty()) {
        return step_result::done;
    }
    if (work.mode == group_mode::atomic) {
        for (const auto* op : ops) {
            results[op->index] = core::outcome::failure(
                core::code::unsupported, "this database has no transactions for BEDS");
        }
        return step_result::done;
    }
    if (cannot_return(scope, ops) || cannot_take_over(scope, ops)) {
        return step_result::done;
    }
    given_.clear();
    const auto verb = ops.front()->op;
    std::vector<const bound_operation*> rest;
    if (!records_.empty() && record_of(ops.front()->index) != nullptr) {
        results_ = results;
        auto result = write_intents();
        if (result == step_result::done) {
            result = take_over();
        }
        if (result != step_result::done) {
            return result;
        }
        if (std::any_of(ops.begin(), ops.end(), [&](const auto* op) { return is_doubtful(*op); })) {
            result = settle(scope, ops, rest);
            if (result == step_result::done && rest.empty()) {
                return_rows(scope, work.operations);
            }
            if (result != step_result::done || rest.empty()) {
                return result;
            }
            ops = rest;
        }
    }
    const auto result = run_kind(scope, verb, ops);
    if (result == step_result::done) {
        return_rows(scope, work.operations);
    }
    if (!records_.empty()) {
        // Of what was begun before, a first try may still be on its way: it is never `none`.
        for (const auto* op : ops) {
            auto& outcome = results[op->index];
            const auto* const record = record_of(op->index);
            if (record == nullptr || record->stage != write_record::progress::doubtful ||
                outcome.effect != core::effect::none) {
                continue;
            }
            if (!outcome.ok()) {
                outcome.effect = core::effect::unknown;
                outcome.at_least_once = tracked(*op) == nullptr;
            } else { // by `where`: nothing is left to do, perhaps because it was done
                scope.rows.reset(op->index);
                stays_unknown(scope, *op);
                outcome.at_least_once = true;
            }
        }
    }
    return result;
}

step_result mongodb_session::run_kind(run_scope& scope, core::verb verb, operation_list ops) {
    const auto each =
        [&](step_result (mongodb_session::*step)(run_scope&, const bound_operation&)) {
            for (const auto* op : ops) {
                const auto result = (this->*step)(scope, *op);
                if (result != step_result::done) {
                    return result;
                }
            }
            return step_result::done;
        };
    const auto& may = shared_->may();
    if (ops.size() > 1 &&
        ((verb == core::verb::fetch && !may.fetch) || (verb == core::verb::insert && !may.insert) ||
         (verb == core::verb::update && !may.update) ||
         (verb == core::verb::remove && !may.remove))) {
        for (const auto* op : ops) {
            const auto result = run_kind(scope, verb, {&op, 1});
            if (result != step_result::done) {
                return result;
            }
        }
        return step_result::done;
    }
    switch (verb) {
    case core::verb::fetch:
        return fetch(scope, ops);
    case core::verb::find:
        return may.find ? read_together(scope, ops) : each(&mongodb_session::find);
    case core::verb::count:
        return may.find ? read_together(scope, ops) : each(&mongodb_session::count);
    case core::verb::exists:
        return each(&mongodb_session::exists);
    case core::verb::call:
        return each(&mongodb_session::call);
    case core::verb::insert:
        return insert(scope, ops);
    case core::verb::update:
        return update(scope, ops);
    case core::verb::remove:
        return remove(scope, ops);
    case core::verb::describe:
        break;
    }
    for (const auto* op : ops) {
        scope.results[op->index] =
            core::outcome::failure(core::code::unsupported, "not an operation of a database");
    }
    return step_result::done;
}

bool mongodb_session::look_at_window() {
    std::vector<live_index> indexes;
    const auto how = list_indexes("beds_inbox", indexes);
    if (how == ending::not_sent || how == ending::lost) {
        return false;
    }
    const bool ends = std::any_of(indexes.begin(), indexes.end(), [](const auto& each) {
        return each.expire_after && !each.columns.empty() && each.columns.front() == "t";
    });
    if (!ends && shared_->is_news("window of the inbox")) {
        log(observe::level::warning, "BEDS_MONGODB_WINDOW",
            "'beds_inbox' has no index that lets old entries go, so it only grows: run the "
            "installed sql/mongodb/inbox.js");
    }
    return true;
}

void mongodb_session::inspect(std::span<const templates::template_def* const> targets,
                              core::deadline until) {
    until_ = until;
    if (shared_->inbox() && !targets.empty() && !look_at_window()) {
        return;
    }
    for (const auto* target : targets) {
        std::vector<std::string> key;
        for (const auto id : target->key) {
            key.push_back(target->fields[id].column);
        }
        // `_id` is unique, also in a collection that the first insert will create.
        if (std::find(key.begin(), key.end(), "_id") != key.end()) {
            continue;
        }
        std::vector<live_index> indexes;
        const auto how = list_indexes(target->object, indexes);
        if (how == ending::not_sent || how == ending::lost) {
            return;
        }
        const bool unique = std::any_of(indexes.begin(), indexes.end(),
                                        [&](const auto& each) { return tells_apart(each, key); });
        if (!unique && target->read_view.empty() && shared_->is_news("key of " + target->name)) {
            log(observe::level::warning, "BEDS_MONGODB_NO_KEY_INDEX",
                "template '" + target->name +
                    "': the collection has no unique index on the key, so two rows with one key "
                    "can get in, and every fetch reads the whole collection");
        }
    }
}

} // namespace beds::adapters::mongodb
