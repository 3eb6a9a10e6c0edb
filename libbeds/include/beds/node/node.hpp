#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>
#include <beds/factory/custom_template.hpp>
#include <beds/observe/counters.hpp>
#include <beds/observe/ledger.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/registry.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beds::node {

enum class step_state {
    done,
    waiting, ///< a server is not there yet; it is tried again in the background
    failed,
};

/// One step of the IPL, the ordered start of a node.
struct ipl_step {
    std::string name; ///< `configuration`, `templates`, `database rel`, `brokers app_server`, …
    bool required = true; ///< a required step that fails stops the IPL
    step_state state = step_state::done;
    std::chrono::microseconds took{0};
    std::string detail; ///< what was found, or what is wrong and what to do
};
std::string to_string(const ipl_step& step);

/// What a node needs and whether it has it.
struct dependency {
    std::string name; ///< `rabbitmq app_server`, `database rel`
    bool required = true;
    bool ready = false;
    std::string trouble; ///< why it is not ready
    /// From the start of its brokers until the last of them could use it for the first time; while
    /// one never could, until now.
    std::chrono::microseconds waited{0};
};

/// How far the last `node::replace_brokers` has come.
struct replacement_status {
    bool under_way = false;
    std::size_t replaced = 0;
    std::size_t of = 0; ///< 0: there was none
};

enum class reload_result : std::uint8_t {
    changed,   ///< other templates are in force than before
    unchanged, ///< the files say what is in force
    refused,   ///< nothing was changed: `problems` says why
};
std::string_view to_string(reload_result value);

/// What came of `node::reload_templates`.
struct reload_report {
    reload_result result = reload_result::refused;
    std::vector<std::string> problems{};      ///< with file, line and key where there are any
    std::vector<templates::change> changes{}; ///< in order of name
    /// Not served as one would expect, for reasons that no template can mend.
    std::vector<std::string> warnings{};
    std::size_t brokers = 0;   ///< that the change concerns
    std::size_t following = 0; ///< of these: work by the new templates already
    std::chrono::microseconds took{0};
};
/// In words, without problems and warnings.
std::string to_string(const reload_report& value);

/// Reloads of this node so far.
struct reload_status {
    std::uint64_t changed = 0;
    std::uint64_t unchanged = 0;
    std::uint64_t refused = 0;
    std::optional<std::chrono::system_clock::time_point> at{}; ///< when the last one ended
    reload_report last{};
};

struct node_status {
    /// Started, not stopped, and every broker's thread comes round: none has been at one batch for
    /// longer than deadlines, heartbeat and time-outs allow it.
    bool live = false;
    /// Every required dependency is there and no stop has begun: requests are served.
    bool ready = false;
    std::vector<dependency> dependencies;
    std::vector<observe::broker_counters> brokers;
    std::vector<std::string> stuck; ///< brokers whose threads do not come round
    replacement_status replacement;
    reload_status reload;
};

/// What waits in one queue of RabbitMQ.
struct queue_length {
    std::string service; ///< the role
    std::string queue;
    std::uint32_t messages = 0; ///< not counting what brokers hold
    std::uint32_t consumers = 0;
};

/// A running BEDS: the brokers of every role that the configuration gives it, over the adapters of
/// the connections that they name. A program may run several nodes; they share nothing.
///
/// Public member functions may be called from any thread, one at a time until `start` has returned.
class node {
public:
    /// Takes settings that need no file: an embedding program fills them in C++.
    explicit node(config::settings settings, observe::log_sink log = {});
    /// Stops without draining when `stop` was not called.
    ~node();
    node(const node&) = delete;
    node& operator=(const node&) = delete;

    /// Makes an adapter for one configured connection.
    using engine = std::function<std::shared_ptr<adapters::adapter>(const std::string& connection,
                                                                    const config::settings&)>;
    /// Registers how connections of a store are made: `rel` for `[rel_services.*]`, `rec` for
    /// `[rec_services.*]`. Throws core::error(duplicate_name) when the store has an engine.
    void register_engine(templates::engine store, engine maker);
    /// Adds a connection that the configuration does not know, for example one in memory; its name
    /// must be new, else core::error(duplicate_name).
    void add_connection(std::shared_ptr<adapters::adapter> adapter);
    /// Adds templates given as TOML text to those of the configured directory. Without a directory
    /// in the settings these are all there are. After `start` the next reload takes them. Throws
    /// core::error(invalid_template) naming every problem.
    void add_template(std::string_view toml, std::string_view name_for_messages);

    /// Registers code beside a template; before `start`, which refuses a name that no template has
    /// (core::error(invalid_template)). Throws core::error(duplicate_name) when it has code
    /// already.
    void add_custom(std::string template_name, factory::custom_maker maker);
    /// For the in-process client: `local_client_settings::factory.customs`. Without it that client
    /// passes by what the code refuses.
    [[nodiscard]] const std::map<std::string, factory::custom_maker, std::less<>>& customs() const;

    /// The IPL. Checks settings, loads and checks templates, makes adapters, starts brokers.
    /// Returns the report of its steps. Servers that are away do not stop it: the node is live,
    /// becomes ready by itself, and answers BACKEND_UNAVAILABLE until then.
    ///
    /// Throws core::error: `invalid_configuration` or `invalid_template`, with everything that is
    /// wrong in its message; the report so far is in `report()`.
    std::vector<ipl_step> start();
    [[nodiscard]] const std::vector<ipl_step>& report() const;
    /// All of `start` that needs no server, and starts nothing: for `--check`.
    std::vector<ipl_step> check();

    /// True when the node became ready before the deadline; else `status()` says what is missing.
    bool wait_ready(core::deadline until) const;
    [[nodiscard]] node_status status() const;
    /// What became of the operations that this node received, by template: first those of no
    /// template, then all templates in order of name.
    [[nodiscard]] std::vector<observe::template_traffic> traffic() const;
    /// Asks RabbitMQ how much waits in this node's queues, those for dead letters, suspects and
    /// what is tried again included; a role whose RabbitMQ does not answer is left out. Blocks, no
    /// longer than the deadline says for each role; keeps a connection per role, which is made anew
    /// when it is broken.
    [[nodiscard]] std::vector<queue_length> queue_lengths(core::deadline until) const;

    /// Replaces every broker by a fresh one - thread, connections to RabbitMQ, database session -
    /// while the node serves, and returns at once; `status().replacement` says how far it is. In
    /// each group (brokers of one role, connection and class) one after the other finishes and
    /// answers what it holds, gives everything up and begins anew; the next one follows when it
    /// serves, so a group never has more sessions than configured, and is short of one broker. In
    /// a group of one, requests wait in their queue for the moment of the change. No request is
    /// refused, lost or answered twice. The node stays ready.
    ///
    /// A broker that is not finished after `admin.drain_timeout` (here at least 10 s) is named in
    /// the log and waited for: its deadlines bound it. When a fresh one does not serve in that time
    /// although its predecessor did, the rest of its group keeps its old brokers. `stop` ends a
    /// replacement.
    ///
    /// False, and nothing is begun: one is under way already, or the node does not run. Any thread.
    bool replace_brokers();

    /// Reads the templates again (the files of the directory, and what `add_template` gave) and
    /// changes over to them while the node serves. All of it is checked first, as `start` does;
    /// with any problem - whatever `templates.on_mismatch` says - the result is `refused` and
    /// nothing is changed. What no reload can do is refused as well: a template that moves to
    /// another connection, and a new one on a connection that no broker of this node works on.
    /// With `stop` and `leave_out`, so is a new or changed template that does not fit its live
    /// database. One that is away, or takes more than half of the time (at most 10 s), is compared
    /// later.
    ///
    /// Each broker changes over between two batches, so a batch sees one set of templates; brokers
    /// do so at about the same time, not in the same moment, and those that are at a batch when the
    /// deadline passes follow by themselves (`following`). Their connections, database sessions and
    /// counters stay. New templates are bound before any broker knows them. A template that is gone
    /// keeps its binding and is answered UNKNOWN_TEMPLATE. A write whose id was used before gets
    /// its first reply, whatever the new templates say.
    ///
    /// Blocks: reads files, binds new templates, waits for the brokers. Any thread; of several
    /// calls one after the other, and one whose turn does not come before the deadline is
    /// `refused`. Never throws for what is in files or away. Says in the log what it did.
    reload_report reload_templates(core::deadline until);

    /// Orderly stop: stop consuming, finish what is under way, reply, acknowledge. False when work
    /// was left at the deadline; it is delivered again elsewhere, nothing is lost.
    bool stop(core::deadline until);

    /// For the in-process client: templates and adapters of this node. Valid after `start` or
    /// `check`. A reload makes another registry; who has this one keeps it.
    [[nodiscard]] std::shared_ptr<const templates::registry> registry() const;
    [[nodiscard]] const std::vector<std::shared_ptr<adapters::adapter>>& adapters() const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::node
