#include "impl.hpp"
#include "role_templates.hpp"

#include <algorithm>

namespace beds::node {

using namespace std::chrono_literals;

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

void node::add_custom(std::string template_name, factory::custom_maker maker) {
    if (impl_->started) {
        throw core::error(core::errc::internal, "the node was started already");
    }
    if (!impl_->customs.emplace(template_name, std::move(maker)).second) {
        throw core::error(core::errc::duplicate_name,
                          "template '" + template_name + "' has code already");
    }
}

const std::map<std::string, factory::custom_maker, std::less<>>& node::customs() const {
    return impl_->customs;
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
    self.let_rows_go();
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
    self.keep_rows();
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
