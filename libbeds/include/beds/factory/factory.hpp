#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/clock.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/row.hpp>
#include <beds/factory/custom_template.hpp>
#include <beds/observe/counters.hpp>
#include <beds/observe/ledger.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/cursor.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace beds::factory {

/// Where a message was taken from, which decides what it may ask for.
enum class source : std::uint8_t {
    requests, ///< a request queue of this connection
    catalog,  ///< the catalog queue: `describe`, and whatever no binding took
    process,  ///< an in-process caller, who keeps the order that he wants
};

/// One message of a batch.
struct message {
    core::request request;
    factory::source source = factory::source::requests;
    std::string_view routed_template{}; ///< with `strict_route`: the one template that it may name
    std::string_view lane_of{};         ///< of a lane: the template with `order_by`
    std::string_view routing_key{};     ///< asked of what came through the catalog
    std::string_view event{};           ///< that its reply will name

    /// Filled by `run`: the numbers and outcomes of its operations.
    core::op_index first = 0;
    std::span<core::outcome> results{};
    /// And of which template each is, as the books count: `template_set::slots`.
    std::span<const observe::ledger::slot> slots{};
};

/// Which templates of one registry are not served for the time being, because they do not fit their
/// database. Any thread sets, any thread asks.
class withheld_templates {
public:
    /// None is withheld.
    explicit withheld_templates(std::shared_ptr<const templates::registry> of);
    /// Unknown names are passed over.
    void set(std::string_view name, bool withheld);
    /// `target` is one of the registry's, and of no other one.
    [[nodiscard]] bool holds(const templates::template_def& target) const {
        return flags_[static_cast<std::size_t>(&target - of_->all().data())].load(
            std::memory_order_relaxed);
    }

private:
    std::shared_ptr<const templates::registry> of_;
    std::vector<std::atomic<bool>> flags_; ///< by position in the registry
};

/// The templates that a factory works by. Never changes once it is made, but for what of it is
/// withheld; a reload makes another one.
struct template_set {
    std::shared_ptr<const templates::registry> registry{};
    std::uint64_t generation = 0; ///< which reload of the node made it; 0: what it started with
    /// By position in the registry: the generation in which the template came or became what it is.
    /// Empty: all have been there from the start.
    std::vector<std::uint64_t> since{};
    /// By position in the registry: its place in the books, which no other name ever has. Empty: 1,
    /// 2, 3, ...
    std::vector<observe::ledger::slot> slots{};
    /// Names that the node knew and does not any more.
    std::set<std::string, std::less<>> removed{};
    /// Of this registry; null: all are served. Operations of those that are withheld are answered
    /// BACKEND_UNAVAILABLE.
    std::shared_ptr<withheld_templates> withheld{};
};

struct settings {
    /// The highest class of operation that may run here; a higher one is MISROUTED.
    core::op_class highest_class = core::op_class::bulk;
    /// Used when neither the caller nor the template gives a deadline.
    std::chrono::milliseconds default_deadline{30'000};
    /// How far a caller's clock may be behind: deadlines that he gives count this much later.
    std::chrono::milliseconds clock_skew{0};
    /// No operation works longer than this, whatever its deadline: DEADLINE_EXCEEDED. A
    /// broker's thread has to come back to RabbitMQ well within a heartbeat.
    std::chrono::milliseconds longest_work{600'000};
    /// Upper bound for one attempt to reach the database.
    std::chrono::milliseconds connect_timeout{3'000};
    /// How often a batch is run again after deadlocks before each of its operations gets a
    /// transaction of its own, and is tried until its deadline.
    unsigned max_reruns = 20;
    /// Sessions that predecessors made: `connects` counts on from there.
    std::uint64_t connects_before = 0;
    /// Only one template's operations may share an envelope: `describe` tells clients so.
    bool strict_route = false;
    /// What cursors are sealed with; without them by this process, and good in it alone. The writer
    /// of the replies needs the same.
    std::shared_ptr<const wire::cursor_keys> cursors = {};
    /// Code beside templates, by their names.
    std::map<std::string, custom_maker, std::less<>> customs = {};
};

/// Takes a batch of operations, checks and types each one with its template, groups those that can
/// share a statement, and drives one database session through the unit of work. Belongs to one
/// thread.
///
/// A batch is one transaction. Bad operations are answered and harm no other. After a deadlock, an
/// id that is already in the inbox, a deadline that passed, or a lost connection, the rest of the
/// batch is run again as long as its deadlines allow. Operations whose rows somebody else holds are
/// set aside: the others are committed without them, then they are tried until their deadlines. See
/// libbeds/doc/decisions for the order of operations.
class factory {
public:
    /// `registry` holds the templates of all connections of the service: it tells UNKNOWN_TEMPLATE
    /// from MISROUTED. `adapters` are those of the service; `connection` names the one served here.
    /// Everything passed must outlive the factory.
    factory(std::shared_ptr<const templates::registry> registry,
            std::vector<std::shared_ptr<adapters::adapter>> adapters, std::string connection,
            adapters::session_context context, settings given = {},
            const core::clock& clock = core::machine_clock());
    factory(std::shared_ptr<const template_set> set,
            std::vector<std::shared_ptr<adapters::adapter>> adapters, std::string connection,
            adapters::session_context context, settings given = {},
            const core::clock& clock = core::machine_clock());
    ~factory();
    factory(factory&&) noexcept;
    factory& operator=(factory&&) noexcept;

    /// From now on works by these templates; between batches. The session stays, forgets what it
    /// knew of templates and looks at those that are new to this factory, in the time that
    /// `ensure_session` has for that. A write that the new set refuses although an older one may
    /// have let it pass gets its first reply, if it had one.
    void change_templates(std::shared_ptr<const template_set> set);

    /// Number of operations in the batch: what the sink is to be made ready for.
    static std::size_t count(std::span<const message> batch);

    /// Answers every operation of the batch. Does not throw for anything that operations or the
    /// database do. `memory` holds everything until the replies are written.
    void run(std::span<message> batch, core::result_sink& results, core::arena& memory,
             observe::live_counters& counters);

    /// Connects when there is no session and the back-off allows it. True: there is one now. Takes
    /// at most `connect_timeout`, four times that for the look at the templates and 50 ms for each
    /// of them, and ends by `until`.
    bool ensure_session(core::deadline until);
    /// Checks an idle session until then, so that the first operation after a quiet time does not
    /// find it dead, and connects if there is none, in the time that `ensure_session` has.
    void idle(core::deadline until);
    [[nodiscard]] bool connected() const;
    /// How often a session was made, `settings::connects_before` included.
    [[nodiscard]] std::uint64_t connects() const;
    /// Why the last attempt to connect failed; for operators.
    [[nodiscard]] const std::string& last_error() const;
    /// Why the connected session can write nothing, for operators; empty: nothing is known that
    /// keeps it, or it only reads.
    [[nodiscard]] const std::string& write_trouble() const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::factory
