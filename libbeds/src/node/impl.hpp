#pragma once

#include "brokers/replacement.hpp"
#include "schema_check.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/brokers/broker_pool.hpp>
#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>
#include <beds/node/node.hpp>
#include <beds/wire/cursor.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace beds::node {

struct node::impl {
    impl(config::settings settings, observe::log_sink sink)
        : given(std::move(settings)), log(std::move(sink)) {}
    ~impl() { end_replacement(); }

    struct role_pools {
        std::string role;
        std::vector<std::unique_ptr<brokers::broker_pool>> pools;
        std::shared_ptr<const factory::template_set> own; ///< guarded by `sets`
        /// Whose figures stand where in the books, 1 for the first; guarded by `sets`. Names that
        /// are gone keep their place and their figures.
        std::vector<std::string> in_books;
    };
    using mismatch = config::mismatch_action;
    struct group {
        brokers::broker_pool* pool;
        brokers::replacement order;

        [[nodiscard]] brokers::broker& current() const { return *pool->brokers()[order.current()]; }
        [[nodiscard]] brokers::broker_view view() const {
            const auto& broker = current();
            const auto counters = broker.counters();
            return {.stopped = broker.state() == brokers::broker_state::stopped,
                    .tried = !broker.being_replaced(),
                    .serves = counters.amqp_connected && counters.backend_connected};
        }
    };
    /// What the brokers of one role shall work by.
    struct next_set {
        role_pools* role = nullptr;
        std::shared_ptr<const factory::template_set> set{};
        std::vector<std::string> in_books{};
        std::vector<templates::template_def> added{};
        std::vector<amqp::topology> topologies{}; ///< of the role's pools
    };

    // ---- ipl.cpp: what a start does

    void prepare();
    /// Runs one step and reports it; what it throws stops the IPL.
    template <class Step>
    void step(std::string name, Step&& run) {
        const auto begin = std::chrono::steady_clock::now();
        ipl_step made;
        made.name = std::move(name);
        const auto finish = [&](step_state state, std::string detail) {
            made.took = std::chrono::duration_cast<std::chrono::microseconds>(
                std::chrono::steady_clock::now() - begin);
            made.state = state;
            made.detail = std::move(detail);
            steps.push_back(made);
            report_in_lines(made);
        };
        try {
            finish(step_state::done, run());
        } catch (const core::error& failed) {
            finish(step_state::failed, failed.message());
            throw;
        }
    }
    /// A line of the log for each line of what there is to say, for example each bad template.
    void report_in_lines(ipl_step made) const;
    [[nodiscard]] std::vector<std::string> other_connections() const;
    std::string check_configuration();
    std::string make_adapters();
    /// All that there are and are in order; what is not is in `problems`.
    std::vector<templates::template_def> read_templates(std::vector<templates::problem>& problems);
    std::string load_templates();
    /// What an engine cannot serve is refused before anybody asks for it.
    void check_against_adapters(std::vector<templates::template_def>& all,
                                std::vector<templates::problem>& problems) const;
    /// The same on every node of the role, or a caller's next page would depend on which of them he
    /// meets: without a configured key it is made of the role's account, which they share.
    [[nodiscard]] std::shared_ptr<const wire::cursor_keys>
    cursor_keys_of(const std::string& role, const config::broker_service_settings& service) const;
    std::string start_role(const std::string& role, const config::broker_service_settings& service);

    /// Rows of templates that this node writes go as their `expire_after` says. Once more whenever
    /// templates change.
    void let_rows_go() const;
    void keep_rows() const;

    // ---- live_checks.cpp: templates and live databases

    /// What brokers of this node serve on this connection.
    [[nodiscard]] std::vector<schema_check::served>
    served_on(const std::shared_ptr<const templates::registry>& all,
              const std::string& connection) const;
    /// Before any broker takes a request.
    void start_checks();
    /// A database that is away is waited for by its brokers, and looked at when it is there.
    void wait_for(schema_check& check, std::string& wrong);
    void leave_out(schema_check& check, const schema_check::verdict& found,
                   const std::vector<std::string>& names);
    /// Once all brokers are there.
    void watch_checks();
    /// How often brokers lost their session of this database and made another one.
    [[nodiscard]] std::uint64_t comebacks(const std::string& connection) const;
    void withhold(const std::string& connection, const schema_check::verdict& found);
    /// May a reload bring what does not fit the live database?
    [[nodiscard]] bool must_fit() const;
    /// Of a reload: looks at what it brings, before anything changes. A database that is away stops
    /// none; it is looked at when it is there.
    void compare_news(const std::shared_ptr<const templates::registry>& all, core::deadline until,
                      reload_report& made) const;
    /// Nothing is left out any more: the new templates are all there are.
    void follow_with_checks(const std::shared_ptr<const templates::registry>& all,
                            const std::vector<templates::change>& changes);
    void add_mismatches(std::vector<dependency>& to) const;

    // ---- replacing.cpp: brokers are replaced, group by group

    bool replace_brokers();
    static std::string text_of(const replacement_status& progress);
    /// The replacer's thread.
    void replace(std::vector<group>& groups);
    void step(group& of);
    void start_anew(brokers::broker& broker) const;
    static std::string or_well(const std::string& trouble);
    /// After it no broker is started anew.
    void end_replacement();

    // ---- reload.cpp: templates are reloaded

    reload_report reload(core::deadline until);
    /// Everything but the log and the books.
    reload_report try_reload(core::deadline until);
    /// As `read_templates`, without any problem, or none. Names two files may share are a problem,
    /// too.
    std::shared_ptr<const templates::registry> read_again(std::vector<std::string>& problems);
    /// Does a broker of this node work on it, for templates of this service?
    [[nodiscard]] bool works_on(const templates::template_def& target) const;
    /// What takes more than a reload.
    void find_what_needs_a_restart(const templates::registry& before,
                                   const templates::registry& after,
                                   const std::vector<templates::change>& changes,
                                   std::vector<std::string>& problems) const;
    /// Binds these templates' keys to the queues of this role. Throws core::error.
    void bind(const role_pools& role, const templates::registry& news, core::deadline until) const;
    /// Nothing: it stays as it is.
    std::optional<next_set> next_for(role_pools& role, const templates::registry& all,
                                     std::uint64_t number) const;
    void bind_added(const std::vector<next_set>& next, core::deadline until, reload_report& made);
    /// Of templates that stay as they are it is known whether they fit.
    static void withhold_again(const factory::template_set& before,
                               const factory::template_set& after);
    void change_over(std::vector<next_set>& next,
                     const std::shared_ptr<const templates::registry>& all, std::uint64_t number);
    void wait_for_brokers(const std::vector<next_set>& next, core::deadline until,
                          reload_report& made) const;
    static void count_following(const role_pools& role, std::uint64_t number, reload_report& into);
    /// With how many brokers follow by now.
    [[nodiscard]] reload_status reload_now() const;

    // ---- status.cpp: what operators see

    [[nodiscard]] node_status status();
    [[nodiscard]] bool required(const std::string& connection) const;
    /// The sum of all that bounds one turn of a broker, and two minutes.
    static std::chrono::milliseconds longest_turn(const brokers::broker_settings& of,
                                                  const templates::registry& own);
    [[nodiscard]] std::shared_ptr<const factory::template_set> own_of(const role_pools& role) const;
    [[nodiscard]] std::vector<observe::template_traffic> traffic() const;
    /// What its brokers declare: of each group also what waits to be tried again, and suspects.
    static std::vector<amqp::queue_name> queues_of(const role_pools& role);
    void ask_lengths(const role_pools& role, core::deadline until, std::vector<queue_length>& into);
    std::vector<queue_length> queue_lengths(core::deadline until);

    // ---- members

    config::settings given;
    observe::log_sink log;
    std::map<templates::engine, engine> engines;
    std::vector<std::shared_ptr<adapters::adapter>> adapters;
    std::vector<std::pair<std::string, std::string>> texts; ///< TOML and its name for messages
    std::map<std::string, factory::custom_maker, std::less<>> customs; ///< fixed since the start
    std::shared_ptr<const templates::registry> registry;
    std::vector<ipl_step> steps;
    std::shared_ptr<core::supervisor> supervisor;
    /// `registry`, of `roles` what says so, what sets withhold, `left_out`, `reloads`
    mutable std::mutex sets;
    reload_status reloads;
    std::mutex reloading;         // one at a time; guards `texts`, too
    std::uint64_t generation = 0; ///< changes under `sets`, and only while reloading
    bool has_directory = false;   ///< templates came from it
    /// For asking how long the queues are; by role.
    std::map<std::string, amqp::publisher_connection> inspectors;
    std::mutex inspecting;
    std::vector<role_pools> roles;
    std::map<std::string, std::vector<std::string>> left_out; ///< why, by connection
    std::atomic<bool> started{false};
    std::atomic<bool> stopping{false};
    std::atomic<bool> stopped{false};
    std::mutex replacing; // what is below
    std::condition_variable replacing_changed;
    replacement_status replacement;
    std::thread replacer;
    /// By database that can be compared with. Their threads look at `roles` once all brokers are
    /// there.
    std::vector<std::unique_ptr<schema_check>> checks;
};

} // namespace beds::node
