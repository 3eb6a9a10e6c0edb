#include "brokers/replacement.hpp"
#include "role_templates.hpp"
#include "schema_check.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/brokers/broker_pool.hpp>
#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>
#include <beds/node/node.hpp>
#include <beds/node/topology.hpp>
#include <beds/wire/cursor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace beds::node {

using namespace std::chrono_literals;

std::string to_string(const ipl_step& step) {
    const auto* result = step.state == step_state::done      ? "ok"
                         : step.state == step_state::waiting ? "waiting"
                                                             : "FAILED";
    // Three digits after the point: microseconds.
    const auto fraction = std::to_string(step.took.count() % 1000);
    auto text = step.name + ": " + result + " (" + std::to_string(step.took.count() / 1000) + '.' +
                std::string(3 - fraction.size(), '0') + fraction + " ms)";
    if (!step.detail.empty()) {
        text += ": " + step.detail;
    }
    return text;
}

std::string_view to_string(reload_result value) {
    switch (value) {
    case reload_result::changed:
        return "changed";
    case reload_result::unchanged:
        return "unchanged";
    case reload_result::refused:
        return "refused";
    }
    return "refused";
}

std::string to_string(const reload_report& value) {
    const auto in_time = " (" + std::to_string(value.took.count() / 1000) + " ms)";
    if (value.result == reload_result::refused) {
        return std::to_string(value.problems.size()) +
               " problem(s): nothing is changed, the templates of before stay in force" + in_time;
    }
    if (value.result == reload_result::unchanged) {
        return "the templates are what they were" + in_time;
    }
    std::string text;
    const auto list = [&](std::string_view what, auto belongs) {
        constexpr std::size_t most = 20; // a log's line has its bounds
        std::string names;
        std::size_t count = 0;
        for (const auto& one : value.changes) {
            if (belongs(one) && ++count <= most) {
                names += (names.empty() ? "" : ", ") + templates::to_string(one);
            }
        }
        if (count > 0) {
            (((text += text.empty() ? "" : "; ") += what) += ": ") += names;
            text += count > most ? " and " + std::to_string(count - most) + " more" : "";
        }
    };
    list("added", [](const templates::change& one) { return !one.before; });
    list("changed", [](const templates::change& one) { return one.before && one.after; });
    list("removed", [](const templates::change& one) { return !one.after; });
    text += "; " + std::to_string(value.following) + " of " + std::to_string(value.brokers) +
            " broker(s) work by them";
    if (value.following < value.brokers) {
        text += ", the others as soon as their batches end";
    }
    return text + in_time;
}

struct node::impl {
    impl(config::settings settings, observe::log_sink sink)
        : given(std::move(settings)), log(std::move(sink)) {}

    config::settings given;
    observe::log_sink log;
    std::map<templates::engine, engine> engines;
    std::vector<std::shared_ptr<adapters::adapter>> adapters;
    std::vector<std::pair<std::string, std::string>> texts; ///< TOML and its name for messages
    std::shared_ptr<const templates::registry> registry;
    std::vector<ipl_step> steps;
    std::shared_ptr<core::supervisor> supervisor;
    struct role_pools {
        std::string role;
        std::vector<std::unique_ptr<brokers::broker_pool>> pools;
        std::shared_ptr<const factory::template_set> own; ///< guarded by `sets`
        /// Whose figures stand where in the books, 1 for the first; guarded by `sets`. Names that
        /// are gone keep their place and their figures.
        std::vector<std::string> in_books;
    };
    /// `registry`, of `roles` what says so, what sets withhold, `left_out`, `reloads`
    mutable std::mutex sets;
    reload_status reloads;
    std::timed_mutex reloading;   // one at a time; guards `texts`, too
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

    ~impl() { end_replacement(); }

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
    void report_in_lines(ipl_step made) const {
        const auto all = std::move(made.detail);
        for (std::size_t at = 0; at <= all.size();) {
            const auto end = std::min(all.find('\n', at), all.size());
            made.detail = all.substr(at, end - at);
            log.write(made.state == step_state::failed ? observe::level::error
                                                       : observe::level::info,
                      "BEDS_IPL_STEP", "ipl", to_string(made));
            at = end + 1;
        }
    }

    [[nodiscard]] std::vector<std::string> other_connections() const {
        std::vector<std::string> names;
        for (const auto& one : adapters) {
            if (given.rel_services.count(one->connection_name()) == 0 &&
                given.rec_services.count(one->connection_name()) == 0) {
                names.push_back(one->connection_name());
            }
        }
        return names;
    }

    std::string check_configuration() {
        config::validate(given, other_connections());
        std::size_t local = 0;
        for (const auto& [role, service] : given.broker_services) {
            local += service.is_local ? 1U : 0U;
        }
        return std::to_string(local) + " role(s) on this node, environment " + given.id.env_name +
               (given.id.version.empty() ? "" : ", version " + given.id.version);
    }

    std::string make_adapters() {
        const auto make = [&](templates::engine store, const std::string& name) {
            const bool there = std::any_of(adapters.begin(), adapters.end(), [&](const auto& one) {
                return one->connection_name() == name;
            });
            if (there) {
                return;
            }
            const auto maker = engines.find(store);
            if (maker == engines.end()) {
                throw core::error(core::errc::unsupported,
                                  "connection '" + name + "' needs an engine for store '" +
                                      std::string{templates::to_string(store)} +
                                      "', and none is registered on this node");
            }
            adapters.push_back(maker->second(name, given));
        };
        for (const auto& [name, service] : given.rel_services) {
            make(templates::engine::rel, name);
        }
        for (const auto& [name, service] : given.rec_services) {
            make(templates::engine::rec, name);
        }
        std::string text;
        for (const auto& one : adapters) {
            text += text.empty() ? "" : ", ";
            text += one->connection_name() + " (" + std::string{one->engine_name()} + ")";
        }
        return text;
    }

    /// All that there are and are in order; what is not is in `problems`.
    std::vector<templates::template_def> read_templates(std::vector<templates::problem>& problems) {
        auto how = load_settings_of(given);
        for (const auto& one : adapters) {
            how.connections.emplace_back(one->connection_name(), one->engine_name() == "mongodb"
                                                                     ? templates::engine::rec
                                                                     : templates::engine::rel);
        }
        std::vector<templates::template_def> all;
        if (texts.empty() || !how.directory.empty()) {
            if (!texts.empty() && !has_directory && !std::filesystem::is_directory(how.directory)) {
                // Templates came as text, and nobody named a directory that is there.
            } else {
                has_directory = true;
                auto loaded = templates::load(how);
                problems = std::move(loaded.problems);
                for (const auto& one : loaded.templates->all()) {
                    all.push_back(one);
                }
            }
        }
        for (const auto& [text, name] : texts) {
            auto parsed = templates::parse(text, how, name);
            if (parsed.parsed) {
                all.push_back(std::move(*parsed.parsed));
            }
            problems.insert(problems.end(), parsed.problems.begin(), parsed.problems.end());
        }
        check_against_adapters(all, problems);
        return all;
    }

    std::string load_templates() {
        std::vector<templates::problem> problems;
        auto all = read_templates(problems);
        const bool leave_out = given.templates.on_mismatch == config::mismatch_action::leave_out;
        if (!problems.empty() && !leave_out) {
            throw core::error(core::errc::invalid_template, joined(problems, "\n"));
        }
        for (const auto& one : problems) {
            log.write(observe::level::warning, "BEDS_TEMPLATE_LEFT_OUT", "ipl",
                      templates::to_string(one));
        }
        registry = std::make_shared<const templates::registry>(std::move(all));
        return std::to_string(registry->all().size()) + " template(s)" +
               (problems.empty() ? ""
                                 : ", left out with " + std::to_string(problems.size()) +
                                       " problem(s): " + joined(problems, "; "));
    }

    /// What an engine cannot serve is refused before anybody asks for it.
    void check_against_adapters(std::vector<templates::template_def>& all,
                                std::vector<templates::problem>& problems) const {
        std::erase_if(all, [&](const templates::template_def& target) {
            const auto found = std::find_if(adapters.begin(), adapters.end(), [&](const auto& one) {
                return one->connection_name() == target.connection;
            });
            if (found == adapters.end()) {
                problems.push_back(
                    {target.file, 0, "template.connection",
                     "there is no connection '" + target.connection + "' in the configuration"});
                return true;
            }
            const auto found_problems = (*found)->check(target);
            for (const auto& text : found_problems) {
                problems.push_back({target.file, 0, target.name, text});
            }
            return !found_problems.empty();
        });
    }

    /// The same on every node of the role, or a caller's next page would depend on which of them he
    /// meets: without a configured key it is made of the role's account, which they share.
    [[nodiscard]] std::shared_ptr<const wire::cursor_keys>
    cursor_keys_of(const std::string& role, const config::broker_service_settings& service) const {
        const auto& own = given.cursors;
        return std::make_shared<const wire::cursor_keys>(
            own.key.empty()
                ? wire::cursor_keys::stretch(service.pass, "beds cursors\n" + given.id.env_name +
                                                               '\n' + service.queue_tag + '\n' +
                                                               service.vhost + '\n' + service.user)
                : own.key,
            own.previous_key, role, own.lifetime);
    }

    std::string start_role(const std::string& role,
                           const config::broker_service_settings& service) {
        const auto own = templates_of(*registry, role);
        auto& made = roles.emplace_back();
        made.role = role;
        made.own = std::make_shared<const factory::template_set>(factory::template_set{
            .registry = own, .withheld = std::make_shared<factory::withheld_templates>(own)});
        for (const auto& target : own->all()) {
            made.in_books.push_back(target.name);
        }
        const auto node_name = given.id.node.empty() ? config::host_name() : given.id.node;
        const auto cursors = cursor_keys_of(role, service);
        std::size_t count = 0;
        const bool reads =
            std::any_of(service.instances.begin(), service.instances.end(),
                        [](const auto& instance) { return instance.second.read > 0; });
        for (const auto& [connection, op_class, size] : broker_groups(service)) {
            brokers::broker_settings each;
            each.name = node_name + " " + connection + "." + std::string{core::to_string(op_class)};
            each.connection = connection;
            each.op_class = op_class;
            each.catalog = op_class == core::op_class::read || !reads;
            each.amqp = connection_settings_of(service);
            each.queue_tag = service.queue_tag;
            each.topology = broker_topology(service, *own, connection, op_class);
            each.declare = service.declare == config::declare_mode::passive
                               ? amqp::declare_mode::passive
                               : amqp::declare_mode::active;
            each.prefetch = service.prefetch;
            each.max_batch = service.max_batch;
            each.max_attempts = service.max_attempts;
            each.factory.clock_skew = service.clock_skew;
            each.factory.cursors = cursors;
            each.max_request = service.max_request_bytes;
            each.max_reply = service.max_reply_bytes;
            each.reply_part = service.reply_part_bytes;
            each.strict_route = service.strict_route;
            each.event_prefix =
                (given.id.wbid.empty() ? "" : given.id.wbid + ".") + given.id.env_name + ".";
            adapters::session_context context;
            context.supervisor = supervisor.get();
            context.log = log;
            made.pools.push_back(
                std::make_unique<brokers::broker_pool>(each, size, made.own, adapters, context));
            count += size;
        }
        for (const auto& pool : made.pools) {
            pool->start();
        }
        return std::to_string(count) + " broker(s)";
    }

    // ---- templates and live databases ----------------------------------------------------------

    using mismatch = config::mismatch_action;

    /// What brokers of this node serve on this connection.
    [[nodiscard]] std::vector<schema_check::served>
    served_on(const std::shared_ptr<const templates::registry>& all,
              const std::string& connection) const {
        std::vector<schema_check::served> made;
        for (const auto& target : all->all()) {
            const auto highest = highest_class(given, target);
            if (highest && target.connection == connection) {
                made.push_back({{all, &target}, *highest});
            }
        }
        return made;
    }

    /// Before any broker takes a request.
    void start_checks() {
        const auto action = given.templates.on_mismatch;
        if (action == mismatch::ignore) {
            return;
        }
        std::vector<schema_check*> begun;
        for (const auto& one : adapters) {
            if (!one->can().comparison) {
                continue;
            }
            auto all = served_on(registry, one->connection_name());
            const bool now = !all.empty(); // else a reload may bring the first ones
            adapters::session_context context;
            context.name = given.id.node.empty() ? config::host_name() : given.id.node;
            context.supervisor = supervisor.get();
            context.log = log;
            checks.push_back(std::make_unique<schema_check>(one, std::move(all), context));
            if (now) {
                checks.back()->start();
                begun.push_back(checks.back().get());
            }
        }
        if (action == mismatch::warn) {
            return; // nothing depends on what they find
        }
        std::string wrong;
        for (auto* check : begun) {
            wait_for(*check, wrong);
        }
        if (!wrong.empty()) {
            throw core::error(core::errc::invalid_template, wrong);
        }
    }

    /// A database that is away is waited for by its brokers, and looked at when it is there.
    void wait_for(schema_check& check, std::string& wrong) {
        const auto begin = std::chrono::steady_clock::now();
        const auto found = check.first();
        ipl_step made;
        made.name = "schema " + check.connection();
        std::string lines;
        std::vector<std::string> names;
        for (const auto& [name, each] : found.wrong) {
            names.push_back(name);
            for (const auto& line : each) {
                lines += (lines.empty() ? "" : "\n") + line;
            }
        }
        if (!found.compared) {
            made.state = step_state::waiting;
            made.detail = "not compared yet: " + found.trouble;
        } else if (given.templates.on_mismatch == mismatch::leave_out) {
            leave_out(check, found, names);
            made.detail = std::to_string(found.templates - names.size()) + " template(s) fit" +
                          (names.empty() ? "" : ", left out " + std::to_string(names.size()));
        } else {
            for (const auto& line : found.own) {
                lines += (lines.empty() ? "" : "\n") + line;
            }
            made.detail = lines.empty() ? std::to_string(found.templates) + " template(s) fit"
                                        : "templates do not fit the database: the log "
                                          "names each";
            made.state = lines.empty() ? step_state::done : step_state::failed;
            wrong += (wrong.empty() || lines.empty() ? "" : "\n") + lines;
        }
        made.took = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::steady_clock::now() - begin);
        log.write(made.state == step_state::failed    ? observe::level::error
                  : made.state == step_state::waiting ? observe::level::warning
                                                      : observe::level::info,
                  "BEDS_IPL_STEP", "ipl", to_string(made));
        steps.push_back(std::move(made));
    }

    void leave_out(schema_check& check, const schema_check::verdict& found,
                   const std::vector<std::string>& names) {
        for (const auto& [name, lines] : found.wrong) {
            for (const auto& line : lines) {
                log.write(observe::level::warning, "BEDS_TEMPLATE_LEFT_OUT", "ipl", line);
                left_out[check.connection()].push_back(line);
            }
        }
        check.leave_out(names);
        std::vector<templates::template_def> kept;
        for (const auto& each : registry->all()) {
            if (std::find(names.begin(), names.end(), each.name) == names.end()) {
                kept.push_back(each);
            }
        }
        registry = std::make_shared<const templates::registry>(std::move(kept));
    }

    /// Once all brokers are there.
    void watch_checks() {
        for (const auto& check : checks) {
            const auto& connection = check->connection();
            check->watch([this, &connection] { return comebacks(connection); },
                         [this, &connection](const schema_check::verdict& found) {
                             withhold(connection, found);
                         });
        }
    }

    /// How often brokers lost their session of this database and made another one.
    [[nodiscard]] std::uint64_t comebacks(const std::string& connection) const {
        std::uint64_t sum = 0;
        for (const auto& role : roles) {
            for (const auto& pool : role.pools) {
                for (const auto& one : pool->brokers()) {
                    if (pool->connection() == connection) {
                        const auto connects = one->counters().backend_connects;
                        sum += connects > 1 ? connects - 1 : 0;
                    }
                }
            }
        }
        return sum;
    }

    void withhold(const std::string& connection, const schema_check::verdict& found) {
        if (given.templates.on_mismatch == mismatch::warn) {
            return;
        }
        const std::lock_guard lock{sets};
        if (found.generation != generation) {
            return; // it knows other templates: what it says of the new ones comes at once
        }
        for (const auto& role : roles) {
            for (const auto& target : role.own->registry->all()) {
                if (target.connection == connection) {
                    role.own->withheld->set(target.name, found.wrong.contains(target.name));
                }
            }
        }
    }

    /// May a reload bring what does not fit the live database?
    [[nodiscard]] bool must_fit() const {
        return given.templates.on_mismatch == mismatch::stop ||
               given.templates.on_mismatch == mismatch::leave_out;
    }

    /// Of a reload: looks at what it brings, before anything changes. A database that is away stops
    /// none; it is looked at when it is there.
    void compare_news(const std::shared_ptr<const templates::registry>& all, core::deadline until,
                      reload_report& made) const {
        if (!must_fit()) {
            return;
        }
        constexpr std::chrono::milliseconds longest = 10s;
        // Bindings and brokers want their time, too.
        const auto limit = core::deadline::after(
            until.is_never() ? longest : std::min(longest, until.remaining_ms() / 2));
        for (const auto& check : checks) {
            auto news = served_on(all, check->connection());
            std::erase_if(news, [&](const schema_check::served& each) {
                return std::none_of(made.changes.begin(), made.changes.end(),
                                    [&](const auto& one) { return one.name == each.target->name; });
            });
            if (news.empty()) {
                continue;
            }
            const auto found = check->try_out(news, limit);
            for (const auto& [name, lines] : found.wrong) {
                made.problems.insert(made.problems.end(), lines.begin(), lines.end());
            }
            if (!found.compared) {
                made.warnings.push_back("not compared with the database of '" +
                                        check->connection() +
                                        "', that is done when it is there: " + found.trouble);
            }
        }
    }

    /// Nothing is left out any more: the new templates are all there are.
    void follow_with_checks(const std::shared_ptr<const templates::registry>& all,
                            const std::vector<templates::change>& changes) {
        std::vector<std::string> names;
        for (const auto& one : changes) {
            names.push_back(one.name);
        }
        for (const auto& check : checks) {
            check->change(served_on(all, check->connection()), names, generation);
        }
    }

    void add_mismatches(std::vector<dependency>& to) const {
        const auto left_out_now = [&] {
            const std::lock_guard lock{sets};
            return left_out;
        }();
        for (const auto& check : checks) {
            std::vector<std::string> lines;
            if (const auto left = left_out_now.find(check->connection());
                left != left_out_now.end()) {
                lines = left->second;
            }
            const auto found = check->last();
            for (const auto& [name, each] : found.wrong) {
                lines.insert(lines.end(), each.begin(), each.end());
            }
            lines.insert(lines.end(), found.own.begin(), found.own.end());
            if (lines.empty()) {
                continue;
            }
            constexpr std::size_t most = 5;
            std::string text;
            for (std::size_t i = 0; i < std::min(lines.size(), most); ++i) {
                text += (text.empty() ? "" : "; ") + lines[i];
            }
            if (lines.size() > most) {
                text += "; and " + std::to_string(lines.size() - most) + " more";
            }
            to.push_back({"schema " + check->connection(),
                          given.templates.on_mismatch == mismatch::stop,
                          false,
                          std::move(text),
                          {}});
        }
    }

    // ---- replacing brokers -------------------------------------------------------------------

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

    bool replace_brokers() {
        // Whoever stops without draining does not want brokers that may not connect, either.
        const auto patience = std::max<std::chrono::milliseconds>(given.admin.drain_timeout, 10s);
        std::vector<group> groups;
        replacement_status begun{.under_way = true, .replaced = 0, .of = 0};
        std::unique_lock lock{replacing}; // no log is written under it
        const bool possible = started && !stopping && !replacement.under_way;
        if (!possible) {
            const auto before = replacement;
            lock.unlock();
            log.write(observe::level::info, "BEDS_REPLACE_IGNORED", "node",
                      before.under_way ? "brokers are being replaced already: " + text_of(before)
                                       : "brokers are not replaced: the node does not run");
            return false;
        }
        for (const auto& role : roles) {
            for (const auto& pool : role.pools) {
                const auto count = pool->brokers().size();
                groups.push_back({pool.get(), {count, patience}});
                begun.of += count;
            }
        }
        replacement = begun;
        lock.unlock();
        log.write(observe::level::info, "BEDS_REPLACE", "node",
                  "replacing " + std::to_string(begun.of) + " broker(s) of " +
                      std::to_string(groups.size()) + " group(s), one of each at a time");
        lock.lock();
        if (replacer.joinable()) {
            replacer.join(); // the last thing it did was to say that none is under way
        }
        if (stopping) {
            replacement.under_way = false;
            return false;
        }
        replacer = std::thread{[this, groups = std::move(groups)]() mutable { replace(groups); }};
        return true;
    }

    static std::string text_of(const replacement_status& progress) {
        return std::to_string(progress.replaced) + " of " + std::to_string(progress.of) +
               " replaced";
    }

    /// The replacer's thread.
    void replace(std::vector<group>& groups) {
        constexpr auto look = 2ms;
        const auto began = std::chrono::steady_clock::now();
        std::unique_lock lock{replacing};
        for (bool going = true; going && !stopping;) {
            going = false;
            replacement.replaced = 0;
            for (auto& each : groups) {
                lock.unlock(); // a status does not wait for what is done here
                step(each);
                lock.lock();
                going = going || !each.order.ended();
                replacement.replaced += each.order.replaced();
            }
            if (going) {
                replacing_changed.wait_for(lock, look, [this] { return stopping.load(); });
            }
        }
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - began);
        const auto last = replacement;
        lock.unlock();
        const bool all = last.replaced == last.of;
        log.write(all ? observe::level::info : observe::level::warning, "BEDS_REPLACED", "node",
                  text_of(last) + " in " + std::to_string(took.count()) + " ms" +
                      (stopping && !all ? ", then the node was stopped" : ""));
        lock.lock();
        replacement.under_way = false;
    }

    void step(group& of) {
        using action = brokers::replacement::action;
        if (of.order.ended()) {
            return;
        }
        const auto seen = of.view();
        auto& broker = of.current();
        const auto& name = broker.settings().name;
        switch (of.order.next(seen, std::chrono::steady_clock::now())) {
        case action::retire:
            broker.retire();
            break;
        case action::start:
            start_anew(broker);
            break;
        case action::tell:
            log.write(observe::level::warning, "BEDS_REPLACE_LATE", name,
                      "still at a batch after admin.drain_timeout (at least 10 s); it is replaced "
                      "when that ends");
            break;
        case action::give_up:
            log.write(observe::level::error, "BEDS_REPLACE_GAVE_UP", name,
                      "does not serve after admin.drain_timeout (at least 10 s): the rest of its "
                      "group is not "
                      "replaced; RabbitMQ: " +
                          or_well(broker.amqp_trouble()) +
                          "; database: " + or_well(broker.backend_trouble()));
            break;
        case action::wait:
        case action::done:
            break;
        }
    }

    void start_anew(brokers::broker& broker) const {
        try {
            broker.start();
        } catch (const std::exception& failed) { // no thread, no memory: told as not serving
            log.write(observe::level::error, "BEDS_BROKER_FAILED", broker.settings().name,
                      failed.what());
        }
    }

    static std::string or_well(const std::string& trouble) {
        return trouble.empty() ? "can be used" : trouble;
    }

    /// After it no broker is started anew.
    void end_replacement() {
        {
            const std::lock_guard lock{replacing};
            stopping = true;
        }
        replacing_changed.notify_all();
        if (replacer.joinable()) {
            replacer.join();
        }
    }

    // ---- reloading templates -----------------------------------------------------------------

    /// As `read_templates`, without any problem, or none. Names two files may share are a problem,
    /// too.
    std::shared_ptr<const templates::registry> read_again(std::vector<std::string>& problems) {
        std::vector<templates::problem> found;
        auto all = read_templates(found);
        for (const auto& one : found) {
            problems.push_back(templates::to_string(one));
        }
        if (!problems.empty()) {
            return nullptr;
        }
        try {
            return std::make_shared<const templates::registry>(std::move(all));
        } catch (const core::error& twice) {
            problems.push_back(twice.message());
            return nullptr;
        }
    }

    /// Does a broker of this node work on it, for templates of this service?
    [[nodiscard]] bool works_on(const templates::template_def& target) const {
        return std::any_of(roles.begin(), roles.end(), [&](const role_pools& role) {
            return (target.service.empty() || target.service == role.role) &&
                   std::any_of(role.pools.begin(), role.pools.end(), [&](const auto& pool) {
                       return pool->connection() == target.connection;
                   });
        });
    }

    /// What takes more than a reload.
    void find_what_needs_a_restart(const templates::registry& before,
                                   const templates::registry& after,
                                   const std::vector<templates::change>& changes,
                                   std::vector<std::string>& problems) const {
        for (const auto& one : changes) {
            const auto* old = before.find(one.name);
            const auto* now = after.find(one.name);
            if (now == nullptr) {
                continue;
            }
            const auto complain = [&](const std::string& why) {
                problems.push_back(templates::to_string(
                    templates::problem{now->file, 0, "template.connection", why}));
            };
            if (old != nullptr && old->connection != now->connection) {
                complain("template '" + one.name + "' moves from connection '" + old->connection +
                         "' to '" + now->connection +
                         "': that takes a restart, because writes that are sent again would be "
                         "done again there");
            } else if (old == nullptr && !works_on(*now)) {
                complain("template '" + one.name + "' is new on connection '" + now->connection +
                         "', for which this node has no brokers: broker_services.*.instances and "
                         "a restart");
            }
        }
    }

    /// Binds these templates' keys to the queues of this role. Throws core::error.
    void bind(const role_pools& role, const templates::registry& news, core::deadline until) const {
        const auto& service = given.broker_services.at(role.role);
        amqp::topology wanted;
        for (const auto& pool : role.pools) {
            wanted += broker_topology(service, news, pool->connection(), pool->op_class());
        }
        wanted.exchanges.clear(); // are there: brokers have declared them
        wanted.queues.clear();
        auto settings = connection_settings_of(service);
        settings.connection_name =
            (given.id.node.empty() ? config::host_name() : given.id.node) + " new templates";
        amqp::publisher_connection through{settings, until,
                                           amqp::publisher_options{amqp::confirms::off}};
        through.declare(wanted, amqp::declare_mode::active, until);
        through.close(until);
    }

    /// What the brokers of one role shall work by.
    struct next_set {
        role_pools* role = nullptr;
        std::shared_ptr<const factory::template_set> set{};
        std::vector<std::string> in_books{};
        std::vector<templates::template_def> added{};
        std::vector<amqp::topology> topologies{}; ///< of the role's pools
    };

    /// Nothing: it stays as it is.
    std::optional<next_set> next_for(role_pools& role, const templates::registry& all,
                                     std::uint64_t number) const {
        const auto& before = *role.own;
        const auto own = templates_of(all, role.role);
        const auto changes = templates::compare(*before.registry, *own);
        if (changes.empty()) {
            return std::nullopt;
        }
        next_set made{.role = &role, .in_books = role.in_books};
        auto set = std::make_shared<factory::template_set>();
        set->registry = own;
        set->withheld = std::make_shared<factory::withheld_templates>(own);
        set->generation = number;
        set->removed = before.removed;
        for (const auto& one : changes) {
            if (!one.after) {
                set->removed.insert(one.name);
            }
        }
        for (const auto& target : own->all()) {
            const auto changed = std::find_if(changes.begin(), changes.end(), [&](const auto& one) {
                return one.name == target.name;
            });
            const auto* old = before.registry->find(target.name);
            const auto position =
                old == nullptr ? 0 : static_cast<std::size_t>(old - before.registry->all().data());
            set->since.push_back(changed != changes.end() ? number
                                 : before.since.empty()   ? 0
                                                          : before.since[position]);
            if (old == nullptr) {
                made.added.push_back(target);
            }
            set->removed.erase(target.name);
            auto place = std::find(made.in_books.begin(), made.in_books.end(), target.name);
            if (place == made.in_books.end()) {
                place = made.in_books.insert(place, target.name);
            }
            set->slots.push_back(
                static_cast<observe::ledger::slot>(place - made.in_books.begin() + 1));
        }
        made.set = std::move(set);
        for (const auto& pool : role.pools) {
            made.topologies.push_back(broker_topology(given.broker_services.at(role.role), *own,
                                                      pool->connection(), pool->op_class()));
        }
        return made;
    }

    /// Everything but the log and the books.
    reload_report try_reload(core::deadline until) {
        reload_report made;
        std::unique_lock one_at_a_time{reloading, std::defer_lock};
        if (until.is_never()) {
            one_at_a_time.lock();
        } else if (!one_at_a_time.try_lock_until(until.when())) {
            made.problems = {"another reload is under way"};
            return made;
        }
        if (!started || stopping) {
            made.problems = {"the node does not run"};
            return made;
        }
        const auto all = read_again(made.problems);
        if (all == nullptr) {
            return made;
        }
        made.changes = templates::compare(*registry, *all);
        find_what_needs_a_restart(*registry, *all, made.changes, made.problems);
        if (!made.problems.empty()) {
            return made;
        }
        if (made.changes.empty()) {
            made.result = reload_result::unchanged;
            return made;
        }
        compare_news(all, until, made);
        if (!made.problems.empty()) {
            return made;
        }
        const auto number = generation + 1;
        std::vector<next_set> next;
        for (auto& role : roles) {
            if (auto set = next_for(role, *all, number)) {
                next.push_back(std::move(*set));
            }
        }
        bind_added(next, until, made);
        if (!made.problems.empty()) {
            return made;
        }
        // From here on nothing can fail.
        change_over(next, all, number);
        follow_with_checks(all, made.changes);
        wait_for_brokers(next, until, made);
        made.result = reload_result::changed;
        return made;
    }

    void bind_added(const std::vector<next_set>& next, core::deadline until, reload_report& made) {
        for (const auto& one : next) {
            if (one.added.empty() || one.role->pools.empty()) {
                continue;
            }
            if (given.broker_services.at(one.role->role).declare == config::declare_mode::passive) {
                made.warnings.push_back(
                    "broker_services." + one.role->role +
                    ".declare = \"passive\": the bindings of new templates are the operator's "
                    "(bedsctl topology prints them)");
                continue;
            }
            try {
                bind(*one.role, templates::registry{one.added}, until);
            } catch (const core::error& failed) {
                made.problems.push_back("new templates cannot be bound in RabbitMQ of " +
                                        one.role->role + ": " + failed.message());
            }
        }
    }

    /// Of templates that stay as they are it is known whether they fit.
    static void withhold_again(const factory::template_set& before,
                               const factory::template_set& after) {
        const auto all = after.registry->all();
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto* old = before.registry->find(all[i].name);
            if (after.since[i] != after.generation && old != nullptr) {
                after.withheld->set(all[i].name, before.withheld->holds(*old));
            }
        }
    }

    void change_over(std::vector<next_set>& next,
                     const std::shared_ptr<const templates::registry>& all, std::uint64_t number) {
        {
            const std::lock_guard lock{sets};
            generation = number;
            registry = all;
            left_out.clear();
            for (auto& one : next) {
                withhold_again(*one.role->own, *one.set);
                one.role->own = one.set;
                one.role->in_books = std::move(one.in_books);
            }
        }
        for (const auto& one : next) {
            for (std::size_t i = 0; i < one.role->pools.size(); ++i) {
                for (const auto& broker : one.role->pools[i]->brokers()) {
                    broker->change_templates(one.set, one.topologies[i]);
                }
            }
        }
    }

    void wait_for_brokers(const std::vector<next_set>& next, core::deadline until,
                          reload_report& made) const {
        for (;;) {
            made.brokers = made.following = 0;
            for (const auto& one : next) {
                count_following(*one.role, one.set->generation, made);
            }
            if (made.following == made.brokers || until.expired()) {
                return;
            }
            std::this_thread::sleep_for(1ms);
        }
    }

    static void count_following(const role_pools& role, std::uint64_t number, reload_report& into) {
        for (const auto& pool : role.pools) {
            for (const auto& broker : pool->brokers()) {
                ++into.brokers;
                // One that is stopped takes them before its first batch, should it be started anew.
                into.following += broker->templates_generation() >= number ||
                                          broker->state() == brokers::broker_state::stopped
                                      ? 1U
                                      : 0U;
            }
        }
    }

    reload_report reload(core::deadline until) {
        const auto began = std::chrono::steady_clock::now();
        reload_report made;
        try {
            made = try_reload(until);
        } catch (const std::exception& failed) { // of the file system, before anything changed
            made.problems = {failed.what()};
        }
        made.took = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::steady_clock::now() - began);
        for (const auto& one : made.problems) {
            log.write(observe::level::error, "BEDS_RELOAD_PROBLEM", "node", one);
        }
        for (const auto& one : made.warnings) {
            log.write(observe::level::warning, "BEDS_RELOAD_WARNING", "node", one);
        }
        const bool refused = made.result == reload_result::refused;
        if (refused) {
            log.write(observe::level::error, "BEDS_RELOAD_REFUSED", "node", to_string(made));
        } else {
            log.write(observe::level::info, "BEDS_RELOADED", "node", to_string(made));
        }
        const std::lock_guard lock{sets};
        ++(refused                                   ? reloads.refused
           : made.result == reload_result::unchanged ? reloads.unchanged
                                                     : reloads.changed);
        reloads.at = std::chrono::system_clock::now();
        reloads.last = made;
        return made;
    }

    /// With how many brokers follow by now.
    [[nodiscard]] reload_status reload_now() const {
        reload_status made;
        {
            const std::lock_guard lock{sets};
            made = reloads;
        }
        if (made.last.following < made.last.brokers) {
            reload_report now;
            for (const auto& role : roles) {
                const auto own = own_of(role);
                if (own->generation > 0) {
                    count_following(role, own->generation, now);
                }
            }
            made.last.following =
                made.last.brokers - std::min(made.last.brokers, now.brokers - now.following);
        }
        return made;
    }

    [[nodiscard]] std::shared_ptr<const factory::template_set>
    own_of(const role_pools& role) const {
        const std::lock_guard lock{sets};
        return role.own;
    }

    void prepare() {
        steps.clear();
        step("configuration", [&] { return check_configuration(); });
        step("adapters", [&] { return make_adapters(); });
        step("templates", [&] { return load_templates(); });
    }

    [[nodiscard]] bool required(const std::string& connection) const {
        if (const auto rel = given.rel_services.find(connection); rel != given.rel_services.end()) {
            return rel->second.required;
        }
        if (const auto rec = given.rec_services.find(connection); rec != given.rec_services.end()) {
            return rec->second.required;
        }
        return true;
    }

    [[nodiscard]] node_status status() {
        node_status made;
        {
            const std::lock_guard lock{replacing};
            made.replacement = replacement;
        }
        made.reload = reload_now();
        made.live = started && !stopped;
        std::map<std::string, dependency> databases;
        for (const auto& role : roles) {
            dependency rabbitmq{"rabbitmq " + role.role, true, true, {}, {}};
            const auto own = own_of(role)->registry;
            for (const auto& pool : role.pools) {
                for (const auto& one : pool->brokers()) {
                    // Asked first: one that serves again by now is seen as connected.
                    const bool counted = !one->being_replaced(); // else the others serve
                    auto counters = one->counters();
                    auto& database = databases
                                         .try_emplace(pool->connection(),
                                                      dependency{"database " + pool->connection(),
                                                                 required(pool->connection()),
                                                                 true,
                                                                 {},
                                                                 {}})
                                         .first->second;
                    // Connected, and yet in trouble: RabbitMQ blocks publishers.
                    if (auto trouble = one->amqp_trouble();
                        counted && (!counters.amqp_connected || !trouble.empty())) {
                        rabbitmq.ready = false;
                        rabbitmq.trouble = std::move(trouble);
                    }
                    // And this one may read, and yet nothing can be written.
                    if (auto trouble = one->backend_trouble();
                        counted && (!counters.backend_connected || !trouble.empty())) {
                        database.ready = false;
                        database.trouble = std::move(trouble);
                    }
                    if (counters.since_turn > longest_turn(one->settings(), *own)) {
                        made.live = false;
                        made.stuck.push_back(counters.broker);
                    }
                    rabbitmq.waited = std::max(rabbitmq.waited, one->amqp_waited());
                    database.waited = std::max(database.waited, one->backend_waited());
                    made.brokers.push_back(std::move(counters));
                }
            }
            if (!role.pools.empty()) {
                made.dependencies.push_back(std::move(rabbitmq));
            }
        }
        for (auto& [name, database] : databases) {
            made.dependencies.push_back(std::move(database));
        }
        add_mismatches(made.dependencies);
        made.ready = made.live && !stopping &&
                     std::all_of(made.dependencies.begin(), made.dependencies.end(),
                                 [](const dependency& one) { return one.ready || !one.required; });
        return made;
    }

    /// The sum of all that bounds one turn of a broker, and two minutes.
    static std::chrono::milliseconds longest_turn(const brokers::broker_settings& of,
                                                  const templates::registry& own) {
        constexpr std::chrono::milliseconds for_each_template{50};
        return of.amqp.heartbeat * 2 + of.amqp.connect_timeout * 4 +
               of.factory.connect_timeout * 5 + own.all().size() * for_each_template + 120s;
    }

    [[nodiscard]] std::vector<observe::template_traffic> traffic() const {
        observe::template_traffic nameless;
        std::map<std::string, observe::template_traffic> by_name;
        for (const auto& role : roles) {
            const auto names = [&] {
                const std::lock_guard lock{sets};
                return role.in_books;
            }();
            std::vector<observe::template_traffic> totals(names.size() + 1);
            for (const auto& pool : role.pools) {
                for (const auto& one : pool->brokers()) {
                    one->add_traffic(totals);
                }
            }
            nameless.add(totals.front());
            for (std::size_t i = 1; i < totals.size(); ++i) {
                by_name[names[i - 1]].add(totals[i]);
            }
        }
        std::vector<observe::template_traffic> made{std::move(nameless)};
        for (auto& [name, totals] : by_name) {
            totals.name = name;
            made.push_back(std::move(totals));
        }
        return made;
    }

    /// What its brokers declare: of each group also what waits to be tried again, and suspects.
    static std::vector<amqp::queue_name> queues_of(const role_pools& role) {
        std::vector<amqp::queue_name> made;
        for (const auto& pool : role.pools) {
            if (pool->brokers().empty()) {
                continue;
            }
            for (const auto& each : pool->brokers().front()->settings().topology.queues) {
                if (std::find(made.begin(), made.end(), each.name) == made.end()) {
                    made.push_back(each.name);
                }
            }
        }
        return made;
    }

    void ask_lengths(const role_pools& role, core::deadline until,
                     std::vector<queue_length>& into) {
        const auto& service = given.broker_services.at(role.role);
        auto found = inspectors.find(role.role);
        if (found == inspectors.end()) {
            auto settings = connection_settings_of(service);
            settings.connection_name =
                (given.id.node.empty() ? config::host_name() : given.id.node) + " queue lengths";
            found = inspectors
                        .emplace(role.role,
                                 amqp::publisher_connection{
                                     settings, until, amqp::publisher_options{amqp::confirms::off}})
                        .first;
        }
        for (const auto& name : queues_of(role)) {
            if (const auto status = found->second.inspect(name, until)) {
                into.push_back({role.role, name.str(), status->messages, status->consumers});
            }
        }
    }

    std::vector<queue_length> queue_lengths(core::deadline until) {
        const std::lock_guard lock{inspecting};
        std::vector<queue_length> made;
        for (const auto& role : roles) {
            if (role.pools.empty()) {
                continue;
            }
            const auto before = made.size();
            try {
                try {
                    ask_lengths(role, until, made);
                } catch (const core::error&) { // it may have been broken since the last time
                    inspectors.erase(role.role);
                    made.resize(before);
                    ask_lengths(role, until, made);
                }
            } catch (const core::error&) {
                inspectors.erase(role.role);
                made.resize(before); // the brokers say what is wrong with RabbitMQ
            }
        }
        return made;
    }
};

node::node(config::settings settings, observe::log_sink log)
    : impl_(std::make_unique<impl>(std::move(settings), std::move(log))) {}

node::~node() {
    impl_->end_replacement();
    impl_->checks.clear(); // they look at brokers
    // Brokers first: their sessions are watched by the supervisor.
    impl_->roles.clear();
}

void node::register_engine(templates::engine store, engine maker) {
    if (!impl_->engines.emplace(store, std::move(maker)).second) {
        throw core::error(core::errc::duplicate_name, "store '" +
                                                          std::string{templates::to_string(store)} +
                                                          "' has an engine on this node already");
    }
}

void node::add_connection(std::shared_ptr<adapters::adapter> adapter) {
    for (const auto& one : impl_->adapters) {
        if (one->connection_name() == adapter->connection_name()) {
            throw core::error(core::errc::duplicate_name, "connection '" +
                                                              adapter->connection_name() +
                                                              "' is on this node already");
        }
    }
    impl_->adapters.push_back(std::move(adapter));
}

void node::add_template(std::string_view toml, std::string_view name_for_messages) {
    const auto parsed = templates::parse(toml, {}, std::string{name_for_messages});
    if (!parsed.problems.empty()) {
        throw core::error(core::errc::invalid_template, joined(parsed.problems, "\n"));
    }
    const std::lock_guard lock{impl_->reloading};
    impl_->texts.emplace_back(toml, name_for_messages);
}

std::vector<ipl_step> node::start() {
    auto& self = *impl_;
    if (self.started) {
        throw core::error(core::errc::internal, "the node was started already");
    }
    self.prepare();
    self.supervisor = core::supervisor::shared();
    try {
        self.start_checks();
    } catch (const core::error&) {
        self.checks.clear();
        throw;
    }
    for (const auto& [role, service] : self.given.broker_services) {
        if (service.is_local) {
            const auto& settings = service;
            const auto& name = role;
            self.step("brokers " + role, [&] { return self.start_role(name, settings); });
        }
    }
    self.watch_checks();
    self.started = true;
    // What is there already shows in the report; what is not is waited for in the background.
    wait_ready(core::deadline::after(300ms));
    for (const auto& one : self.status().dependencies) {
        ipl_step step{one.name, one.required, one.ready ? step_state::done : step_state::waiting,
                      one.waited, one.trouble};
        self.log.write(one.ready ? observe::level::info : observe::level::warning, "BEDS_IPL_STEP",
                       "ipl", to_string(step));
        self.steps.push_back(std::move(step));
    }
    return self.steps;
}

const std::vector<ipl_step>& node::report() const {
    return impl_->steps;
}

std::vector<ipl_step> node::check() {
    impl_->prepare();
    return impl_->steps;
}

bool node::wait_ready(core::deadline until) const {
    while (!impl_->status().ready) {
        if (until.expired()) {
            return false;
        }
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

node_status node::status() const {
    return impl_->status();
}

std::vector<observe::template_traffic> node::traffic() const {
    return impl_->traffic();
}

std::vector<queue_length> node::queue_lengths(core::deadline until) const {
    return impl_->queue_lengths(until);
}

bool node::replace_brokers() {
    return impl_->replace_brokers();
}

reload_report node::reload_templates(core::deadline until) {
    return impl_->reload(until);
}

bool node::stop(core::deadline until) {
    auto& self = *impl_;
    self.end_replacement();
    for (const auto& check : self.checks) {
        check->end();
    }
    for (const auto& role : self.roles) {
        for (const auto& pool : role.pools) {
            pool->stop(until);
        }
    }
    bool clean = true;
    for (const auto& role : self.roles) {
        for (const auto& pool : role.pools) {
            for (const auto& one : pool->brokers()) {
                while (one->state() != brokers::broker_state::stopped) {
                    if (until.expired()) {
                        clean = false;
                        break;
                    }
                    std::this_thread::sleep_for(2ms);
                }
            }
        }
    }
    self.stopped = true;
    if (clean) {
        for (const auto& role : self.roles) {
            for (const auto& pool : role.pools) {
                pool->join();
            }
        }
    }
    return clean;
}

std::shared_ptr<const templates::registry> node::registry() const {
    const std::lock_guard lock{impl_->sets};
    return impl_->registry;
}

const std::vector<std::shared_ptr<adapters::adapter>>& node::adapters() const {
    return impl_->adapters;
}

} // namespace beds::node
