#include "session.hpp"

#include "failures.hpp"
#include "inbox.hpp"
#include "operations.hpp"
#include "query.hpp"

#include <beds/core/clock.hpp>
#include <beds/core/error.hpp>

#include <utility>

namespace beds_sqlite {

using namespace beds::adapters;
using beds::core::arena;
using beds::core::code;
using beds::core::deadline;
using beds::core::outcome;
using beds::core::row_sink;

namespace {

/// In this transaction a reader sees what was committed when it began. A writer takes its turn at
/// once: one that has read first and writes then could meet a change in between, and fail.
const char* opening(work_kind kind) {
    return kind == work_kind::write ? "BEGIN IMMEDIATE" : "BEGIN";
}

void need_utf8(database& in) {
    auto told = in.prepare("PRAGMA encoding");
    told.step();
    if (told.bytes(0) != "UTF-8") {
        throw beds::core::error{beds::core::errc::refused,
                                "the database keeps its text in UTF-16, which compares otherwise"};
    }
}

void prepare_for_units(database& in) {
    need_utf8(in);
    in.execute("PRAGMA journal_mode = WAL"); // readers do not wait for the writer
    in.execute("PRAGMA synchronous = FULL"); // `applied` outlives the machine
    in.execute("PRAGMA foreign_keys = ON");  // each connection has to ask for them
}

void skip_others(const group& work, const bound_operation& failed, row_sink& rows,
                 outcomes results) {
    for (const auto* op : work.operations) {
        rows.reset(op->index);
        if (op != &failed) {
            results[op->index] = outcome::skip("another operation of the group failed");
        }
    }
}

} // namespace

session::session(sqlite_settings settings, session_context context)
    : settings_(std::move(settings)), context_(std::move(context)) {}

void session::connect(deadline until) {
    drop();
    try {
        auto opened = std::make_unique<database>(settings_.file);
        opened->limit(until);
        prepare_for_units(*opened);
        if (context_.writes) {
            make_inbox(*opened);
        }
        database_ = std::move(opened);
        trouble_ = {};
    } catch (const sqlite_error& why) {
        const bool busy = reach_of(why) == reach::unit;
        throw beds::core::error{busy ? beds::core::errc::unreachable : beds::core::errc::refused,
                                settings_.file.string() + ": " + why.what(),
                                {.native_code = why.code(), .server_message = why.what()}};
    }
}

bool session::alive(deadline until) {
    if (!usable()) {
        return false;
    }
    try {
        database_->limit(until);
        database_->execute("PRAGMA schema_version"); // reads the file, unlike SELECT 1
    } catch (const sqlite_error& why) {
        log("SQLITE_CONNECTION", why.what());
        drop();
    }
    return usable();
}

/// What is said of the unit as a whole when a step of it meets an error.
template <class Step>
step_result session::guarded(Step step) {
    try {
        return step();
    } catch (const sqlite_error& why) {
        switch (reach_of(why)) {
        case reach::unit:
            return step_result::expired;
        case reach::session:
            log("SQLITE_CONNECTION", why.what());
            drop();
            return step_result::broken;
        case reach::operation:
            break;
        }
        return not_remembered(why);
    }
}

/// Of the steps that run no operation: `begin` or `seal` cannot write.
step_result session::not_remembered(const sqlite_error& why) {
    if (why.family() == SQLITE_FULL) {
        return step_result::full;
    }
    trouble_ = {code::backend_unavailable, "writes cannot be remembered, so none is done",
                std::string{"beds_inbox cannot be written: "} + why.what() +
                    "; give this account the right to write the file and its folder"};
    return step_result::no_inbox;
}

step_result session::begin(work_kind kind, deadline until, std::span<const operation_identity> ids,
                           lookup how, arena& memory, std::vector<stored_reply>& known) {
    rollback();
    if (!usable()) {
        return step_result::broken;
    }
    if (until.expired()) {
        return step_result::expired;
    }
    return guarded([&] {
        database_->forget_some_statements();
        database_->limit(until);
        database_->execute(opening(kind));
        open_ = true;
        writes_ = kind == work_kind::write;
        if (how == lookup::all) {
            find_replies(*database_, ids, memory, known);
        }
        return step_result::done;
    });
}

step_result session::run(const group& work, row_sink& rows, outcomes results, arena& memory) {
    if (!open_) {
        return step_result::broken;
    }
    return guarded([&] {
        return work.mode == group_mode::atomic ? run_together(work, rows, results, memory)
                                               : run_each(work, rows, results, memory);
    });
}

step_result session::run_each(const group& work, row_sink& rows, outcomes results, arena& memory) {
    for (const auto* op : work.operations) {
        savepoint before{*database_};
        auto& result = results[op->index];
        result = run_one(*op, rows, memory);
        if (result.ok()) {
            continue;
        }
        if (!database_->in_transaction()) {
            return step_result::rerun; // SQLite undid the others, too, as it may on a full disk
        }
        before.undo();
        rows.reset(op->index);
    }
    return step_result::done;
}

step_result session::run_together(const group& work, row_sink& rows, outcomes results,
                                  arena& memory) {
    savepoint before{*database_};
    for (const auto* op : work.operations) {
        auto& result = results[op->index];
        result = run_one(*op, rows, memory);
        if (result.ok()) {
            continue;
        }
        if (!database_->in_transaction()) {
            return step_result::rerun;
        }
        before.undo();
        skip_others(work, *op, rows, results);
        break;
    }
    return step_result::done;
}

outcome session::run_one(const bound_operation& op, row_sink& rows, arena& memory) {
    if (writes(op) && !writes_) {
        return outcome::failure(code::internal, "a write in a unit of work that reads");
    }
    try {
        return beds_sqlite::run(op, *database_, rows, memory);
    } catch (const sqlite_error& why) {
        if (reach_of(why) != reach::operation) {
            throw;
        }
        auto told = outcome_of(why, *op.target);
        if (told.code == code::internal) {
            log("SQLITE_REFUSED", "template '" + op.target->name + "': " + why.what());
        }
        return told;
    }
}

step_result session::seal(std::span<const sealed_reply> replies) {
    if (!open_) {
        return step_result::broken;
    }
    if (replies.empty()) {
        return step_result::done;
    }
    return guarded([&] {
        const auto now = beds::core::machine_clock().system_now();
        if (!add_replies(*database_, replies, now)) {
            return step_result::known_id;
        }
        forget_replies(*database_, now - settings_.keep_replies, 2 * replies.size());
        return step_result::done;
    });
}

commit_result session::commit() {
    if (!std::exchange(open_, false)) {
        return commit_result::none;
    }
    try {
        database_->commit();
        return commit_result::applied;
    } catch (const sqlite_error& why) {
        log("SQLITE_COMMIT", why.what());
    }
    if (database_->in_transaction()) {
        rollback(); // a foreign key that is checked at the end, for example
        return commit_result::none;
    }
    // It may have reached the disk before the error came: who opens the file next will see it.
    drop();
    return commit_result::unknown;
}

void session::rollback() {
    open_ = false;
    if (!usable()) {
        return;
    }
    try {
        database_->roll_back();
    } catch (const sqlite_error& why) {
        log("SQLITE_CONNECTION", why.what());
        drop(); // which undoes it as well
    }
}

void session::inspect(const beds::templates::template_def& target, deadline until) {
    std::vector<field_id> all;
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        all.push_back(static_cast<field_id>(i));
    }
    try {
        database_->limit(until);
        query ask{target};
        static_cast<void>(
            ask.text("SELECT ").columns(all).text(" FROM ").object().prepare(*database_));
    } catch (const sqlite_error& why) {
        log("SQLITE_MISFIT", "template '" + target.name + "': " + why.what());
    }
}

void session::drop() {
    open_ = false;
    database_.reset();
}

void session::log(std::string_view id, std::string_view text) const {
    context_.log.write(beds::observe::level::error, id, context_.name, text);
}

} // namespace beds_sqlite
