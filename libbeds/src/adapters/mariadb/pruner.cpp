#include "adapters/mariadb/pruner.hpp"

#include "adapters/mariadb/connection.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/supervisor.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace beds::adapters::mariadb {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// Rows of one deletion: so many that it takes about this long. Whoever writes one of these rows, or
// sends an id of theirs again, waits so long for it, and nobody else.
constexpr auto least_time = 5ms;
constexpr auto most_time = 20ms;
constexpr std::int64_t least_rows = 32;
constexpr std::int64_t first_rows = 256;
constexpr std::int64_t most_rows = 4096;
/// For one deletion.
constexpr auto patience = 2s;
/// To find the oldest row, behind all that was deleted and is not yet purged.
constexpr auto long_patience = 10s;
/// For one table, before the next one has its turn.
constexpr auto turn = 5s;

std::chrono::milliseconds interval(std::chrono::seconds age) {
    return std::clamp<std::chrono::milliseconds>(age / 20, 100ms, 60s);
}

/// One table from which old rows are deleted.
struct job {
    expiry rows;
    bool inbox = false;
    clock::time_point due{};
    std::int64_t at_once = first_rows;
    /// Of the inbox nothing older comes; into a table a row may be written that is old already.
    std::string reached{};
    std::string trouble{};

    [[nodiscard]] std::string_view before_all() const {
        return inbox ? "1970-01-01 00:00:01" : "1000-01-01 00:00:00";
    }
    [[nodiscard]] std::string_view what() const {
        return inbox ? std::string_view{"inbox"} : rows.template_name;
    }
    [[nodiscard]] std::string_view verb() const { return inbox ? "prune" : "expire"; }
};

job of_inbox(std::chrono::seconds window) {
    job made{
        .rows = {.template_name = {}, .object = "beds_inbox", .column = "created", .after = window},
        .inbox = true,
        .due = clock::now() + interval(window)};
    made.reached = made.before_all();
    return made;
}

} // namespace

std::vector<expiry> expiries_of(std::span<const templates::template_def* const> targets) {
    std::vector<expiry> made;
    for (const auto* target : targets) {
        for (const auto& index : target->indexes) {
            if (index.expire_after && index.fields.size() == 1) {
                made.push_back({target->name, target->object,
                                target->fields[index.fields.front()].column, *index.expire_after});
            }
        }
    }
    return made;
}

struct pruner::impl {
    impl(std::shared_ptr<const config::rel_service_settings> given, std::string name,
         observe::log_sink log)
        : settings(std::move(given)),
          supervisor(core::supervisor::shared()), context{std::move(name), supervisor.get(),
                                                          std::move(log)},
          thread([this] { run(); }) {}
    ~impl() {
        {
            const std::lock_guard lock{mutex};
            stopping = true;
        }
        changed.notify_all();
        thread.join();
    }

    std::shared_ptr<const config::rel_service_settings> settings;
    std::shared_ptr<core::supervisor> supervisor;
    session_context context;
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    bool inbox_asked = false;
    std::vector<expiry> asked; ///< of tables
    bool news = false;         ///< `asked` or `inbox_asked` changed

    // Of the thread.
    std::vector<job> jobs;
    std::optional<connection> link;
    core::arena memory;
    query text;
    std::thread thread; ///< the last member: it uses the others

    void inbox_too() {
        const std::lock_guard lock{mutex};
        inbox_asked = news = true;
        changed.notify_all();
    }
    void tables(std::vector<expiry> rows) {
        const std::lock_guard lock{mutex};
        if (rows != asked) {
            asked = std::move(rows);
            news = true;
            changed.notify_all();
        }
    }

    /// False: the end has come.
    bool rest(std::chrono::nanoseconds span) {
        std::unique_lock lock{mutex};
        return !changed.wait_for(lock, span, [this] { return stopping; });
    }

    /// Waits for a table to be due; false: the end has come.
    bool wait() {
        auto first = clock::now() + 1h;
        for (const auto& each : jobs) {
            first = std::min(first, each.due);
        }
        std::unique_lock lock{mutex};
        changed.wait_until(lock, first, [this] { return stopping || news; });
        if (news) {
            news = false;
            take_over();
        }
        return !stopping;
    }

    /// What stays goes on where it was.
    void take_over() {
        std::vector<job> next;
        const auto keep = [&](const auto& is_it, auto make) {
            const auto known = std::find_if(jobs.begin(), jobs.end(), is_it);
            next.push_back(known != jobs.end() ? std::move(*known) : make());
        };
        if (inbox_asked) {
            keep([](const job& each) { return each.inbox; },
                 [this] { return of_inbox(settings->inbox_window); });
        }
        for (const auto& rows : asked) {
            keep([&](const job& each) { return !each.inbox && each.rows == rows; },
                 [&] { return job{.rows = rows, .due = clock::now() + interval(rows.after)}; });
        }
        jobs = std::move(next);
    }

    void run() {
        while (wait()) {
            for (auto& each : jobs) {
                if (each.due > clock::now()) {
                    continue;
                }
                bool finished = true;
                try {
                    finished = round(each);
                } catch (const core::error& failed) {
                    const auto said = failed.server_message();
                    note(each, failed.message() + (said.empty() ? "" : ": ") + std::string{said});
                }
                each.due = clock::now() + (finished ? interval(each.rows.after) : 0ms);
                if (!rest(0s)) {
                    break;
                }
            }
            link.reset();
        }
    }

    void note(job& of, std::string what) {
        if (what == of.trouble) { // once per cause
            return;
        }
        of.trouble = std::move(what);
        if (of.inbox) {
            context.log.write(observe::level::warning, "BEDS_MARIADB_PRUNE", context.name,
                              "old rows of the inbox are not deleted: " + of.trouble);
        } else {
            context.log.write(observe::level::warning, "BEDS_MARIADB_EXPIRE", context.name,
                              "template '" + of.rows.template_name + "': rows older than its " +
                                  "expire_after are not deleted: " + of.trouble);
        }
    }

    /// Runs the statement at hand; null: `link->error()` says why.
    statement* execute(std::chrono::seconds longest) {
        connection::guard watching;
        link->arm(core::deadline::after(longest), watching);
        memory.reset();
        statement* made = link->prepared(text.text());
        if (made == nullptr) {
            return nullptr;
        }
        if (!made->execute(text.parameters(), link->facts().max_packet, memory)) {
            link->note(made->error());
            return nullptr;
        }
        return made;
    }

    enum class holds : std::uint8_t { anything, time };

    /// The first cell; "" when there is none or it is NULL. Nothing: `link->error()` says why. With
    /// `time` the second one must be of a column that holds times: a number is less than any of
    /// them, and all rows would go.
    std::optional<std::string> ask(holds second = holds::anything) {
        statement* const made = execute(long_patience);
        if (made == nullptr) {
            return std::nullopt;
        }
        if (second == holds::time && made->column(1).type != MYSQL_TYPE_DATETIME &&
            made->column(1).type != MYSQL_TYPE_TIMESTAMP) {
            static_cast<void>(made->finish());
            throw core::error(core::errc::refused, "the column holds no times");
        }
        std::string first;
        const auto got = made->fetch();
        if (got == statement::fetched::failed) {
            link->note(made->error());
            return std::nullopt;
        }
        if (got == statement::fetched::row) {
            first = made->cells()[0].text();
            static_cast<void>(made->finish());
        }
        return first;
    }

    void connect() {
        if (link && link->usable()) {
            return;
        }
        link.emplace(*settings, context);
        link->open(core::deadline::after(settings->connect_timeout));
        // Who waits for a row here waits for somebody who writes it: it can be deleted later.
        static_cast<void>(link->command("SET SESSION innodb_lock_wait_timeout = 1"));
    }

    /// Is another node at it? The lock goes with the session.
    bool taken(const job& of) {
        text.clear();
        text.comment(of.what(), of.verb());
        if (of.inbox) {
            text.text("SELECT CAST(GET_LOCK(CONCAT('beds_prune/', MD5(DATABASE())), 0) AS CHAR)");
        } else {
            text.text("SELECT CAST(GET_LOCK(CONCAT('beds_expire/', MD5(CONCAT(DATABASE(), '/', ");
            text.bind(core::value::of_text(core::value::kind::string, of.rows.object));
            text.text("))), 0) AS CHAR)");
        }
        const auto mine = ask();
        return mine && *mine == "0";
    }

    /// False: its turn is over, and there is more.
    bool round(job& of) {
        connect();
        if (taken(of)) {
            return true;
        }
        const auto until = clock::now() + turn;
        std::uint64_t total = 0;
        bool finished = true;
        auto from = next(of, of.inbox ? of.reached : std::string{of.before_all()});
        while (from && !from->empty()) {
            of.reached = *from;
            const auto began = clock::now();
            const auto asked_for = of.at_once;
            const auto gone = remove(of, *from);
            if (!gone) {
                return true;
            }
            total += *gone;
            const auto took = clock::now() - began;
            if (*gone < static_cast<std::uint64_t>(asked_for)) {
                break;
            }
            of.at_once = took < least_time  ? std::min(of.at_once * 2, most_rows)
                         : took > most_time ? std::max(of.at_once / 2, least_rows)
                                            : of.at_once;
            if (!rest(took)) {
                return true;
            }
            if (clock::now() > until) {
                finished = false;
                break;
            }
            from = next(of, *from);
        }
        if (!from) {
            fail(of);
            return true;
        }
        of.trouble.clear();
        if (total != 0 && context.log.wants(observe::level::debug)) {
            context.log.write(
                observe::level::debug, of.inbox ? "BEDS_MARIADB_PRUNED" : "BEDS_MARIADB_EXPIRED",
                context.name,
                std::to_string(total) + " rows of the " +
                    (of.inbox ? std::string{"inbox"} : "template '" + of.rows.template_name + "'") +
                    " deleted");
        }
        return finished;
    }

    /// Deletes old rows, the oldest first. Nothing: it failed, and the log says so.
    std::optional<std::uint64_t> remove(job& of, const std::string& from) {
        text.clear();
        text.comment(of.what(), of.verb()).text("DELETE FROM ").object(of.rows.object);
        text.text(" WHERE ").name(of.rows.column).text(" >= ");
        text.bind(core::value::of_text(core::value::kind::string, from));
        text.text(" AND ").name(of.rows.column).text(" < NOW(6) - INTERVAL ");
        text.bind(core::value::of_int(of.rows.after.count()));
        text.text(" SECOND ORDER BY ").name(of.rows.column).text(" LIMIT ");
        text.bind(core::value::of_int(of.at_once));
        statement* const made = execute(patience);
        if (made == nullptr) {
            fail(of);
            return std::nullopt;
        }
        return made->affected();
    }

    /// The oldest time that is there; "": there is none. Asked from where the last deletion began:
    /// what was deleted stays in the index for a while, and passing it again and again would take
    /// longer and longer.
    std::optional<std::string> next(const job& of, const std::string& from) {
        text.clear();
        text.comment(of.what(), of.verb());
        text.text("SELECT CAST(").name(of.rows.column).text(" AS CHAR), ");
        text.name(of.rows.column).text(" FROM ").object(of.rows.object);
        text.text(" WHERE ").name(of.rows.column).text(" >= ");
        text.bind(core::value::of_text(core::value::kind::string, from));
        text.text(" ORDER BY ").name(of.rows.column).text(" LIMIT 1");
        return ask(holds::time);
    }

    void fail(job& of) {
        const auto& why = link->error();
        const auto what = classify(why.number);
        if (what.code == core::code::backend_conflict || what.reach == reach::rerun) {
            return; // somebody was there first: next time
        }
        of.at_once = std::max(of.at_once / 2, least_rows);
        note(of, "error " + std::to_string(why.number) + ": " + why.message);
    }
};

pruner::pruner(std::shared_ptr<const config::rel_service_settings> settings)
    : settings_(std::move(settings)) {}

pruner::~pruner() = default;

pruner::impl& pruner::started(const std::string& name, const observe::log_sink& log) {
    if (!impl_) {
        impl_ = std::make_unique<impl>(settings_, name, log);
    }
    return *impl_;
}

void pruner::want_inbox(const std::string& name, const observe::log_sink& log) {
    const std::lock_guard lock{mutex_};
    if (!inbox_wanted_.load(std::memory_order_relaxed)) {
        started(name, log).inbox_too();
        inbox_wanted_.store(true, std::memory_order_relaxed);
    }
}

void pruner::expire(std::vector<expiry> rows, const std::string& name,
                    const observe::log_sink& log) {
    const std::lock_guard lock{mutex_};
    if (impl_ || !rows.empty()) {
        started(name, log).tables(std::move(rows));
    }
}

} // namespace beds::adapters::mariadb
