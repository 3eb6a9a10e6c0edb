#include "adapters/mariadb/watchdog.hpp"

#include "adapters/mariadb/connection.hpp"

#include <beds/core/supervisor.hpp>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace beds::adapters::mariadb {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t unarmed = std::numeric_limits<std::int64_t>::max();
/// A statement that ends by itself right at its deadline is not worth a connection.
constexpr std::chrono::milliseconds patience{10};
/// For connecting, and between two attempts.
constexpr std::chrono::milliseconds most_to_connect{500};
/// How long the connection stays when nobody is late any more.
constexpr std::chrono::seconds keep{30};

std::int64_t ticks(core::steady_time when) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
}

core::steady_time time_of(std::int64_t ticks) {
    return core::steady_time{
        std::chrono::duration_cast<core::steady_time::duration>(std::chrono::nanoseconds{ticks})};
}

} // namespace

struct watchdog::place::state {
    std::string name;
    observe::log_sink log;
    std::atomic<std::int64_t> until{unarmed}; ///< steady nanoseconds
    std::atomic<bool> killing{false};
    std::atomic<bool> shot{false};
    std::atomic<bool> gone{false};
    std::mutex mutex; ///< held while a KILL is under way; guards what follows
    std::uint64_t session = 0;
    std::string server;
    bool last_shot = false; ///< KILL CONNECTION was sent

    /// `until` was changed: a KILL that began before must end before anything else is sent.
    void wait_out() {
        if (killing.load(std::memory_order_seq_cst)) {
            const std::lock_guard lock{mutex};
        }
    }
};

struct watchdog::impl {
    using state = place::state;
    enum class shot : std::uint8_t { none, query, connection };

    explicit impl(std::shared_ptr<const config::rel_service_settings> given)
        : settings(quick(*given)) {}

    /// Its connection comes soon or not at all.
    static config::rel_service_settings quick(config::rel_service_settings from) {
        from.connect_timeout = std::min(from.connect_timeout, most_to_connect);
        return from;
    }

    const config::rel_service_settings settings;
    std::shared_ptr<std::atomic<bool>> blind = std::make_shared<std::atomic<bool>>(false);
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    std::vector<std::shared_ptr<state>> places;
    std::thread watcher;

    // Of the watcher.
    std::shared_ptr<core::supervisor> supervisor = core::supervisor::shared();
    session_context context{.name = "beds watchdog", .supervisor = supervisor.get(), .log = {}};
    std::optional<connection> gun;
    /// Sessions that KILL CONNECTION was sent for and that may be there still. Of the connection at
    /// hand only: behind another one their numbers may be those of others.
    struct doomed {
        std::uint64_t session = 0;
        core::steady_time next{};
        std::shared_ptr<state> of;
        bool told = false;
    };
    std::vector<doomed> left;
    core::steady_time used{};
    core::steady_time next_attempt{};
    std::string trouble;

    void run() {
        std::vector<std::shared_ptr<state>> watched;
        std::unique_lock lock{mutex};
        while (!stopping) {
            std::erase_if(places, [](const auto& each) { return each->gone.load(); });
            if (places.empty()) {
                left.clear();
                gun.reset();
                changed.wait(lock, [this] { return stopping || !places.empty(); });
                continue;
            }
            watched = places;
            lock.unlock();
            const auto now = core::machine_clock().steady_now();
            auto next = now + period;
            for (const auto& each : watched) {
                const auto until = each->until.load(std::memory_order_acquire);
                if (until == unarmed) {
                    continue;
                }
                const auto due = time_of(until) + patience;
                if (due <= now) {
                    shoot(each);
                } else {
                    next = std::min(next, due);
                }
            }
            watched.clear();
            shoot_again(now);
            for (const auto& each : left) {
                next = std::min(next, each.next);
            }
            if (gun && now - used > keep) {
                gun.reset();
            }
            lock.lock();
            changed.wait_until(lock, next, [this] { return stopping; });
        }
        lock.unlock();
        gun.reset();
    }

    /// The connection, or nothing.
    connection* loaded(const state& on_behalf_of) {
        const auto now = core::machine_clock().steady_now();
        if (gun && gun->usable()) {
            return &*gun;
        }
        if (now < next_attempt) {
            return nullptr;
        }
        left.clear();
        try {
            gun.emplace(settings, context);
            gun->open(core::deadline::at(now + most_to_connect));
            trouble.clear();
            blind->store(false);
            return &*gun;
        } catch (const core::error& failed) {
            gun.reset();
            next_attempt = core::machine_clock().steady_now() + most_to_connect;
            blind->store(true);
            if (trouble != failed.server_message()) { // once per cause
                trouble = failed.server_message();
                on_behalf_of.log.write(
                    observe::level::warning, "BEDS_MARIADB_WATCHDOG", on_behalf_of.name,
                    "no connection to end statements that are late: " + failed.message() + ": " +
                        trouble);
            }
            return nullptr;
        }
    }

    /// What did not end is shot at again until the server does not know it any more.
    void shoot_again(core::steady_time now) {
        if (!gun || !gun->usable()) {
            left.clear();
        }
        std::erase_if(left, [&](doomed& each) {
            if (each.next > now) {
                return false;
            }
            connection::guard watching;
            gun->arm(core::deadline::at(now), watching);
            used = now;
            each.next = now + insists;
            if (!gun->usable() || !kill(each.session, true)) {
                return true; // it is gone, or may not be ended: that was told
            }
            if (!each.told && !each.of->gone.load()) {
                each.told = true;
                each.of->log.write(observe::level::warning, "BEDS_MARIADB_KILLED", each.of->name,
                                   "session " + std::to_string(each.session) +
                                       " was to be ended and is still there: tried again and "
                                       "again");
            }
            return false;
        });
    }

    void shoot(const std::shared_ptr<state>& given) {
        state& at = *given;
        // Connecting takes a while: nobody has to wait for it.
        if (loaded(at) == nullptr) {
            return;
        }
        std::string said;
        auto done = shot::none;
        std::uint64_t killed = 0;
        {
            const std::lock_guard lock{at.mutex};
            at.killing.store(true, std::memory_order_seq_cst);
            killed = at.session;
            done = shoot_if_late(at, said);
            at.killing.store(false, std::memory_order_seq_cst);
        }
        if (done == shot::connection) {
            left.push_back({killed, core::machine_clock().steady_now() + insists, given, false});
            at.log.write(observe::level::warning, "BEDS_MARIADB_KILLED", at.name,
                         "a statement did not end with its deadline: its session was ended");
        } else if (!said.empty() && said != trouble) { // once per cause
            trouble = said;
            at.log.write(observe::level::warning, "BEDS_MARIADB_WATCHDOG", at.name, said);
        } else if (done == shot::query) {
            at.log.write(observe::level::debug, "BEDS_MARIADB_KILLED", at.name,
                         "a statement was ended: its deadline passed");
        }
    }

    bool kill(std::uint64_t session, bool all_of_it) {
        const auto number = std::to_string(session);
        if (gun->command((all_of_it ? "KILL CONNECTION " : "KILL QUERY ") + number)) {
            return true;
        }
        // Something runs there with the rights of another account.
        constexpr unsigned not_owner = 1095;
        return gun->error().number == not_owner &&
               gun->command("CALL beds_kill(" + number + (all_of_it ? ", 1)" : ", 0)"));
    }

    shot shoot_if_late(state& at, std::string& said) {
        const auto now = core::machine_clock().steady_now();
        const auto until = at.until.load(std::memory_order_seq_cst);
        if (until == unarmed || time_of(until) + patience > now || at.session == 0 ||
            at.last_shot) {
            return shot::none;
        }
        if (gun->facts().server != at.server) {
            said = "the connection led to another server: late statements cannot be ended there";
            blind->store(true);
            return shot::none;
        }
        const bool all_of_it = now - time_of(until) >= last_resort;
        at.shot.store(true, std::memory_order_seq_cst);
        connection::guard watching;
        gun->arm(core::deadline::at(now), watching); // the supervisor is patient enough
        used = now;
        if (kill(at.session, all_of_it)) {
            at.last_shot = all_of_it;
            return all_of_it ? shot::connection : shot::query;
        }
        constexpr unsigned not_there_any_more = 1094;
        const auto why = gun->error();
        watching.reset();
        if (why.number != not_there_any_more) {
            blind->store(true);
            said = "a late statement cannot be ended: its DBA runs 'bedsctl schema' and grants "
                   "EXECUTE on beds_kill (error " +
                   std::to_string(why.number) + ": " + why.message + ')';
            if (classify(why.number).reach == reach::session) {
                said = "the connection that ends late statements broke: " + why.message;
                gun->close();
            }
        }
        return shot::none;
    }
};

watchdog::watchdog(std::shared_ptr<const config::rel_service_settings> settings)
    : impl_(std::make_unique<impl>(std::move(settings))) {
    blind_ = impl_->blind;
    impl_->watcher = std::thread{[watching = impl_.get()] { watching->run(); }};
}

watchdog::~watchdog() {
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stopping = true;
    }
    impl_->changed.notify_all();
    impl_->watcher.join();
}

std::unique_ptr<watchdog::place> watchdog::watch(std::string name, observe::log_sink log) {
    auto shared = std::make_shared<place::state>();
    shared->name = std::move(name);
    shared->log = std::move(log);
    std::unique_ptr<place> made{new place{shared}};
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->places.push_back(std::move(shared));
    }
    impl_->changed.notify_all();
    return made;
}

watchdog::place::place(std::shared_ptr<state> shared) : state_(std::move(shared)) {}

watchdog::place::~place() {
    detach();
    state_->gone.store(true);
}

void watchdog::place::attach(std::uint64_t session, std::string server) {
    const std::lock_guard lock{state_->mutex};
    state_->session = session;
    state_->server = std::move(server);
    state_->last_shot = false;
    state_->shot.store(false);
}

void watchdog::place::detach() {
    const std::lock_guard lock{state_->mutex};
    state_->session = 0;
}

bool watchdog::place::take_shot() {
    return state_->shot.load(std::memory_order_relaxed) && state_->shot.exchange(false);
}

watchdog::place::guard::guard(place& armed, core::deadline until)
    : armed_(armed), outer_(armed.state_->until.load(std::memory_order_relaxed)) {
    const std::int64_t wanted = until.is_never() ? unarmed : ticks(until.when());
    armed_.state_->until.store(std::min(outer_, wanted), std::memory_order_release);
}

watchdog::place::guard::~guard() {
    // In one order with what the watcher does: either it sees this, or its KILL is seen here.
    armed_.state_->until.store(outer_, std::memory_order_seq_cst);
    armed_.state_->wait_out();
}

} // namespace beds::adapters::mariadb
