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

// Rows of one deletion: so many that it takes about this long. Whoever sends an id of these rows
// again waits so long for it, and nobody else.
constexpr auto least_time = 5ms;
constexpr auto most_time = 20ms;
constexpr std::int64_t least_rows = 32;
constexpr std::int64_t first_rows = 256;
constexpr std::int64_t most_rows = 4096;
/// For one deletion.
constexpr auto patience = 2s;
/// To find the oldest row, behind all that was deleted and is not yet purged.
constexpr auto long_patience = 10s;

constexpr std::string_view before_all = "1970-01-01 00:00:01";

std::chrono::milliseconds interval(std::chrono::seconds window) {
    return std::clamp<std::chrono::milliseconds>(window / 20, 100ms, 60s);
}

} // namespace

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

    // Of the thread.
    std::optional<connection> link;
    core::arena memory;
    query text;
    std::int64_t rows = first_rows;
    std::string reached{before_all}; ///< nothing is older
    std::string trouble;
    std::thread thread; ///< the last member: it uses the others

    bool rest(std::chrono::nanoseconds span) {
        std::unique_lock lock{mutex};
        return !changed.wait_for(lock, span, [this] { return stopping; });
    }

    void run() {
        while (rest(interval(settings->inbox_window))) {
            try {
                round();
            } catch (const core::error& failed) {
                note(failed.message() + ": " + failed.server_message());
            }
            link.reset();
        }
    }

    void note(std::string what) {
        if (what != trouble) { // once per cause
            trouble = std::move(what);
            context.log.write(observe::level::warning, "BEDS_MARIADB_PRUNE", context.name,
                              "old rows of the inbox are not deleted: " + trouble);
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

    /// The first cell; "" when there is none or it is NULL. Nothing: `link->error()` says why.
    std::optional<std::string> ask() {
        statement* const made = execute(long_patience);
        if (made == nullptr) {
            return std::nullopt;
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

    void round() {
        link.emplace(*settings, context);
        link->open(core::deadline::after(settings->connect_timeout));
        // Who waits for a row here waits for somebody who sends an old id: it can be deleted later.
        static_cast<void>(link->command("SET SESSION innodb_lock_wait_timeout = 1"));
        text.clear();
        text.text("/* beds inbox.prune */ SELECT CAST(GET_LOCK(CONCAT('beds_prune/', "
                  "MD5(DATABASE())), 0) AS CHAR)");
        if (const auto mine = ask(); mine && *mine == "0") {
            return; // another node is at it
        }
        std::uint64_t total = 0;
        auto from = next(reached);
        while (from && !from->empty()) {
            reached = *from;
            const auto began = core::machine_clock().steady_now();
            const auto asked = rows;
            const auto gone = remove(*from);
            if (!gone) {
                return;
            }
            total += *gone;
            const auto took = core::machine_clock().steady_now() - began;
            if (*gone < static_cast<std::uint64_t>(asked)) {
                break;
            }
            rows = took < least_time  ? std::min(rows * 2, most_rows)
                   : took > most_time ? std::max(rows / 2, least_rows)
                                      : rows;
            if (!rest(took)) {
                return;
            }
            from = next(*from);
        }
        if (!from) {
            fail();
            return;
        }
        trouble.clear();
        if (total != 0 && context.log.wants(observe::level::debug)) {
            context.log.write(observe::level::debug, "BEDS_MARIADB_PRUNED", context.name,
                              std::to_string(total) + " rows of the inbox deleted");
        }
    }

    /// Deletes old rows, the oldest first. Nothing: it failed, and the log says so.
    std::optional<std::uint64_t> remove(const std::string& from) {
        text.clear();
        text.text("/* beds inbox.prune */ DELETE FROM beds_inbox WHERE created >= ");
        text.bind(core::value::of_text(core::value::kind::string, from));
        text.text(" AND created < NOW(6) - INTERVAL ");
        text.bind(core::value::of_int(settings->inbox_window.count()));
        text.text(" SECOND ORDER BY created LIMIT ").bind(core::value::of_int(rows));
        statement* const made = execute(patience);
        if (made == nullptr) {
            fail();
            return std::nullopt;
        }
        return made->affected();
    }

    /// When the oldest row that is there was made; "": there is none. Asked from where the last
    /// deletion began: what was deleted stays in the index for a while, and passing it again and
    /// again would take longer and longer.
    std::optional<std::string> next(const std::string& from) {
        text.clear();
        text.text("/* beds inbox.prune */ SELECT CAST(created AS CHAR) FROM beds_inbox WHERE "
                  "created >= ");
        text.bind(core::value::of_text(core::value::kind::string, from));
        text.text(" ORDER BY created LIMIT 1");
        return ask();
    }

    void fail() {
        const auto& why = link->error();
        const auto what = classify(why.number);
        if (what.code == core::code::backend_conflict || what.reach == reach::rerun) {
            return; // somebody was there first: next time
        }
        rows = std::max(rows / 2, least_rows);
        note("error " + std::to_string(why.number) + ": " + why.message);
    }
};

pruner::pruner(std::shared_ptr<const config::rel_service_settings> settings)
    : settings_(std::move(settings)) {}

pruner::~pruner() = default;

void pruner::start(const std::string& name, const observe::log_sink& log) {
    const std::lock_guard lock{mutex_};
    if (!impl_) {
        impl_ = std::make_unique<impl>(settings_, name, log);
        started_.store(true, std::memory_order_relaxed);
    }
}

} // namespace beds::adapters::mariadb
