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

using chosen_service = std::pair<std::string, beds::config::broker_service_settings>;

chosen_service choose(const connection_options& given) {
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
    return *chosen;
}

amqp_client_settings from_config(const connection_options& given) {
    const auto from = choose(given).second;
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

std::string service_name(const connection_options& given) {
    return given.url.empty()
               ? "broker_services." + choose(given).first + " of " + given.config.string()
               : "by --url or AMQP_URL";
}

std::string cannot_use(const beds::amqp::connection_settings& where, const std::string& service,
                       const std::string& why) {
    const auto says = [&](std::string_view part) { return why.find(part) != std::string::npos; };
    const auto* const look =
        says("nobody listens")  ? "is RabbitMQ running, and are host and port right?"
        : says("lookup failed") ? "the name has no address: is the host right?"
        : says("ACCESS_REFUSED")
            ? "are user and password right? guest may log in from RabbitMQ's own machine only"
        : says("vhost")
            ? "is the virtual host right, is it there (rabbitmqctl list_vhosts), and may "
              "the user use it (rabbitmqctl set_permissions)?"
        : says("topology") || says("exchange")
            ? "has a node of this service run, and is the prefix of its queues right (--queue-tag)?"
            : "is it RabbitMQ that answers there (amqps:// for TLS), and is it well?";
    return "cannot use RabbitMQ at " + where.host + ":" + std::to_string(where.effective_port()) +
           " (vhost '" + where.vhost + "', user '" + where.user + "', " + service + "): " + why +
           "\n  " + look;
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

connected connect(amqp_client_settings settings, const std::string& service,
                  beds::core::deadline until) {
    const auto seen = std::make_shared<connected::report>();
    settings.log = beds::observe::log_sink{beds::observe::level::warning,
                                           [seen](const beds::observe::log_record& record) {
                                               const std::lock_guard lock{seen->mutex};
                                               seen->text = record.text;
                                           }};
    const auto where = settings.amqp;
    settings.amqp.connect_timeout =
        std::min(settings.amqp.connect_timeout,
                 std::max(until.remaining_ms(), std::chrono::milliseconds{1}));

    constexpr std::chrono::milliseconds look{20};
    connected made{seen, beds::client::make_amqp_client(std::move(settings))};
    while (!made.client->wait_ready(until.earlier(beds::core::deadline::after(look)))) {
        const auto trouble = made.trouble();
        if (!trouble.empty() || until.expired()) {
            made.client.reset(); // before the report is written: it complains no more
            seen->text =
                cannot_use(where, service, trouble.empty() ? "it did not answer in time" : trouble);
            break;
        }
    }
    return made;
}

} // namespace bedsctl
