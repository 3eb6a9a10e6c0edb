#include "connect.hpp"

#include <beds/config/load.hpp>
#include <beds/core/error.hpp>
#include <beds/node/topology.hpp>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

namespace bedsctl {
namespace {

using beds::client::amqp_client_settings;

amqp_client_settings from_config(const connection_options& given) {
    const auto settings = load(given.config);
    const auto& services = settings.broker_services;
    auto chosen = services.find(given.service.empty() ? "app_server" : given.service);
    if (chosen == services.end() && given.service.empty() && services.size() == 1) {
        chosen = services.begin();
    }
    if (chosen == services.end()) {
        std::string names;
        for (const auto& [name, service] : services) {
            names.append(names.empty() ? "" : ", ").append(name);
        }
        throw usage_error(given.config.string() + " has no [broker_services." +
                          (given.service.empty() ? "app_server" : given.service) +
                          "]; name one with --service: " + (names.empty() ? "none" : names));
    }
    const auto& from = chosen->second;
    amqp_client_settings made;
    made.amqp = beds::node::connection_settings_of(from);
    made.queue_tag = given.queue_tag.value_or(from.queue_tag);
    return made;
}

} // namespace

beds::config::settings load(const std::filesystem::path& file) {
    auto loaded = beds::config::load({.base = file});
    if (!loaded.ok()) {
        throw usage_error(beds::config::to_string(loaded.problems));
    }
    return std::move(loaded.settings);
}

amqp_client_settings client_settings(const connection_options& given) {
    amqp_client_settings made;
    if (given.url.empty()) {
        made = from_config(given);
    } else {
        try {
            made.amqp = beds::amqp::parse_amqp_uri(given.url);
        } catch (const beds::core::error& wrong) {
            throw usage_error(wrong.message());
        }
        made.queue_tag = given.queue_tag.value_or("");
    }
    made.name = "bedsctl";
    return made;
}

std::chrono::seconds inbox_window(const connection_options& given) {
    // That of MongoDB is an index of the DBA's; the installed one lets go after a day.
    std::optional<std::chrono::seconds> shortest;
    const std::chrono::seconds usual{std::chrono::hours{24}};
    if (given.url.empty()) {
        const auto settings = load(given.config);
        for (const auto& [name, service] : settings.rel_services) {
            shortest = std::min(shortest.value_or(service.inbox_window), service.inbox_window);
        }
        if (!settings.rec_services.empty()) {
            shortest = std::min(shortest.value_or(usual), usual);
        }
    }
    return shortest.value_or(usual);
}

struct connected::report {
    std::mutex mutex;
    std::string text;
};

std::string connected::trouble() const {
    const std::lock_guard lock{seen->mutex};
    return seen->text;
}

connected connect(amqp_client_settings settings, beds::core::deadline until) {
    const auto seen = std::make_shared<connected::report>();
    settings.log = beds::observe::log_sink{beds::observe::level::warning,
                                           [seen](const beds::observe::log_record& record) {
                                               const std::lock_guard lock{seen->mutex};
                                               seen->text = record.text;
                                           }};
    const auto place = settings.amqp.host + ":" + std::to_string(settings.amqp.effective_port()) +
                       " (vhost '" + settings.amqp.vhost + "', user '" + settings.amqp.user + "')";
    settings.amqp.connect_timeout =
        std::min(settings.amqp.connect_timeout,
                 std::max(until.remaining_ms(), std::chrono::milliseconds{1}));

    constexpr std::chrono::milliseconds look{20};
    connected made{seen, beds::client::make_amqp_client(std::move(settings))};
    while (!made.client->wait_ready(until.earlier(beds::core::deadline::after(look)))) {
        const auto trouble = made.trouble();
        if (!trouble.empty() || until.expired()) {
            made.client.reset(); // before the report is written: it complains no more
            seen->text = "cannot use RabbitMQ at " + place + ": " +
                         (trouble.empty() ? "it did not answer in time" : trouble);
            break;
        }
    }
    return made;
}

} // namespace bedsctl
