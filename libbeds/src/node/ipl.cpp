#include "impl.hpp"
#include "role_templates.hpp"

#include <beds/node/topology.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace beds::node {

namespace {

std::set<std::string, std::less<>>
accounts_of_services(const config::broker_service_settings& service) {
    std::set<std::string, std::less<>> made{service.user};
    std::istringstream names{service.services};
    for (std::string name; names >> name;) {
        made.insert(name);
    }
    return made;
}

/// Of the templates with `order_by`: queue → template.
std::map<std::string, std::string, std::less<>>
lanes_of(const templates::registry& own, const config::broker_service_settings& service,
         const std::string& connection) {
    std::map<std::string, std::string, std::less<>> made;
    for (const auto& target : own.all()) {
        for (unsigned lane = 1;
             lane <= amqp::lanes && !target.order_by.empty() && target.connection == connection;
             ++lane) {
            made.emplace(amqp::lane_queue(service.queue_tag, target.name, lane).str(), target.name);
        }
    }
    return made;
}

} // namespace

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

void node::impl::prepare() {
    steps.clear();
    step("configuration", [&] { return check_configuration(); });
    step("adapters", [&] { return make_adapters(); });
    step("templates", [&] { return load_templates(); });
}

void node::impl::report_in_lines(ipl_step made) const {
    const auto all = std::move(made.detail);
    for (std::size_t at = 0; at <= all.size();) {
        const auto end = std::min(all.find('\n', at), all.size());
        made.detail = all.substr(at, end - at);
        log.write(made.state == step_state::failed ? observe::level::error : observe::level::info,
                  "BEDS_IPL_STEP", "ipl", to_string(made));
        at = end + 1;
    }
}

std::vector<std::string> node::impl::other_connections() const {
    std::vector<std::string> names;
    for (const auto& one : adapters) {
        if (given.rel_services.count(one->connection_name()) == 0 &&
            given.rec_services.count(one->connection_name()) == 0) {
            names.push_back(one->connection_name());
        }
    }
    return names;
}

std::string node::impl::check_configuration() {
    config::validate(given, other_connections());
    std::size_t local = 0;
    for (const auto& [role, service] : given.broker_services) {
        local += service.is_local ? 1U : 0U;
    }
    return std::to_string(local) + " role(s) on this node, environment " + given.id.env_name +
           (given.id.version.empty() ? "" : ", version " + given.id.version);
}

std::string node::impl::make_adapters() {
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

std::vector<templates::template_def>
node::impl::read_templates(std::vector<templates::problem>& problems) {
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

std::string node::impl::load_templates() {
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
    for (const auto& [name, maker] : customs) {
        if (registry->find(name) == nullptr) {
            throw core::error(core::errc::invalid_template,
                              "code is registered for template '" + name +
                                  "', and there is no template of this name" +
                                  std::string{registry->suggest(name, true)});
        }
    }
    return std::to_string(registry->all().size()) + " template(s)" +
           (problems.empty() ? ""
                             : ", left out with " + std::to_string(problems.size()) +
                                   " problem(s): " + joined(problems, "; "));
}

void node::impl::check_against_adapters(std::vector<templates::template_def>& all,
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

std::shared_ptr<const wire::cursor_keys>
node::impl::cursor_keys_of(const std::string& role,
                           const config::broker_service_settings& service) const {
    const auto& own = given.cursors;
    return std::make_shared<const wire::cursor_keys>(
        own.key.empty()
            ? wire::cursor_keys::stretch(service.pass, "beds cursors\n" + given.id.env_name + '\n' +
                                                           service.queue_tag + '\n' +
                                                           service.vhost + '\n' + service.user)
            : own.key,
        own.previous_key, role, own.lifetime);
}

std::string node::impl::start_role(const std::string& role,
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
    const auto lead = std::make_shared<amqp::reconnect_lead>();
    const bool reads = std::any_of(service.instances.begin(), service.instances.end(),
                                   [](const auto& instance) { return instance.second.read > 0; });
    for (const auto& wanted : broker_groups(service)) {
        const auto& [connection, op_class, size, ordered] = wanted;
        brokers::broker_settings each;
        if (ordered) {
            each.lanes = lanes_of(*own, service, connection);
            if (each.lanes.empty()) {
                continue;
            }
        }
        each.name = node_name + " " + connection + ".";
        each.name += ordered ? "order" : core::to_string(op_class);
        each.connection = connection;
        each.op_class = op_class;
        each.catalog = op_class == core::op_class::read || (!reads && !ordered);
        each.amqp = connection_settings_of(service);
        each.lead = lead;
        each.queue_tag = service.queue_tag;
        each.topology = broker_topology(service, *own, wanted);
        each.declare = service.declare == config::declare_mode::passive
                           ? amqp::declare_mode::passive
                           : amqp::declare_mode::active;
        each.prefetch = service.prefetch;
        each.max_batch = service.max_batch;
        each.max_attempts = service.max_attempts;
        each.factory.clock_skew = service.clock_skew;
        each.factory.cursors = cursors;
        each.factory.customs = customs;
        each.max_request = service.max_request_bytes;
        each.max_reply = service.max_reply_bytes;
        each.reply_part = service.reply_part_bytes;
        each.strict_route = service.strict_route;
        each.services = accounts_of_services(service);
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

void node::impl::let_rows_go() const {
    const auto all = [this] {
        const std::lock_guard lock{sets};
        return registry;
    }();
    adapters::session_context context;
    context.name = (given.id.node.empty() ? config::host_name() : given.id.node) + " old rows";
    context.supervisor = supervisor.get();
    context.log = log;
    for (const auto& one : adapters) {
        std::vector<const templates::template_def*> written;
        for (const auto& target : all->all()) {
            const auto highest = highest_class(given, target);
            if (target.connection == one->connection_name() && highest &&
                *highest != core::op_class::read) {
                written.push_back(&target);
            }
        }
        one->expire(written, context);
    }
}

void node::impl::keep_rows() const {
    for (const auto& one : adapters) {
        one->expire({}, {});
    }
}

} // namespace beds::node
