#include "topology.hpp"

#include "arguments.hpp"
#include "print.hpp"

#include <beds/node/topology.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <ostream>
#include <stdexcept>

namespace bedsctl {
namespace {

namespace amqp = beds::amqp;
namespace json = boost::json;
using service_settings = beds::config::broker_service_settings;

constexpr std::size_t salt_bytes = 4;

std::string_view kind_name(amqp::exchange_kind kind) {
    switch (kind) {
    case amqp::exchange_kind::direct:
        return "direct";
    case amqp::exchange_kind::fanout:
        return "fanout";
    case amqp::exchange_kind::topic:
        return "topic";
    case amqp::exchange_kind::headers:
        return "headers";
    case amqp::exchange_kind::consistent_hash:
        return "x-consistent-hash";
    }
    return "direct";
}

json::value json_of(const amqp::argument& from) {
    return std::visit([](const auto& value) { return json::value(value); }, from.value);
}

json::object arguments_of(const std::vector<amqp::argument>& from) {
    json::object made;
    for (const auto& one : from) {
        made[one.name] = json_of(one);
    }
    return made;
}

std::string text_of(const std::vector<amqp::argument>& from) {
    std::string made;
    for (const auto& one : from) {
        made += made.empty() ? "" : ", ";
        made += one.name + "=";
        const auto* const text = std::get_if<std::string>(&one.value);
        made += text != nullptr ? *text : json::serialize(json_of(one));
    }
    return made;
}

/// A name as a regular expression that only it matches.
std::string only(std::string_view name) {
    std::string made;
    for (const char c : name) {
        if (std::string_view{R"(.\+*?[^]$(){}=!<>|:-#)"}.find(c) != std::string_view::npos) {
            made.push_back('\\');
        }
        made.push_back(c);
    }
    return made;
}

std::string one_of(const std::vector<std::string>& patterns) {
    std::string made;
    for (const auto& one : patterns) {
        made += (made.empty() ? "^(" : "|") + one;
    }
    return made.empty() ? "^$" : made + ")$";
}

std::string reply_queues(const service_settings& service, const std::string& user) {
    return only(amqp::reply_queue_name(service.queue_tag, user, "").str()) + ".*";
}

std::string fresh_hash(std::string_view password) {
    std::array<unsigned char, salt_bytes> salt{};
    if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1) {
        throw std::runtime_error("there is no randomness for the salt of a password");
    }
    return password_hash(password, {reinterpret_cast<const char*>(salt.data()), salt.size()});
}

/// The first line of the file.
std::string password_in(const std::string& file) {
    std::ifstream in{file};
    std::string line;
    if (!in || !std::getline(in, line) || line.empty()) {
        throw usage_error("--application: there is no password in '" + file + "'");
    }
    return line;
}

/// Everything that is written, in the sections and the order of RabbitMQ's own export.
struct definitions {
    std::vector<json::object> users{};
    std::vector<json::object> vhosts{};
    std::vector<json::object> permissions{};
    std::vector<json::object> exchanges{};
    std::vector<json::object> queues{};
    std::vector<json::object> bindings{};

    static void add(std::vector<json::object>& to, json::object one) {
        if (std::find(to.begin(), to.end(), one) == to.end()) {
            to.push_back(std::move(one));
        }
    }

    void add(const amqp::topology& from, const std::string& vhost) {
        add(vhosts, {{"name", vhost}});
        for (const auto& one : from.exchanges) {
            add(exchanges, {{"name", one.name.str()},
                            {"vhost", vhost},
                            {"type", kind_name(one.kind)},
                            {"durable", true},
                            {"auto_delete", false},
                            {"internal", false},
                            {"arguments", arguments_of(one.arguments)}});
        }
        for (const auto& one : from.queues) {
            add(queues, {{"name", one.name.str()},
                         {"vhost", vhost},
                         {"durable", true},
                         {"auto_delete", false},
                         {"arguments", arguments_of(one.arguments)}});
        }
        for (const auto& one : from.bindings) {
            add(bindings, {{"source", one.from.str()},
                           {"vhost", vhost},
                           {"destination", one.to.str()},
                           {"destination_type", "queue"},
                           {"routing_key", one.key.str()},
                           {"arguments", json::object{}}});
        }
        for (const auto& one : from.routes) {
            add(bindings, {{"source", one.from.str()},
                           {"vhost", vhost},
                           {"destination", one.to.str()},
                           {"destination_type", "exchange"},
                           {"routing_key", one.key.str()},
                           {"arguments", json::object{}}});
        }
    }

    void add(const rabbitmq_account& from, const std::string& vhost) {
        const bool known = std::any_of(users.begin(), users.end(), [&](const json::object& one) {
            return one.at("name").as_string() == from.name;
        });
        if (!from.password_hash.empty() && !known) {
            users.push_back({{"name", from.name},
                             {"password_hash", from.password_hash},
                             {"hashing_algorithm", "rabbit_password_hashing_sha256"},
                             {"tags", json::array{}}});
        }
        json::object rights{{"user", from.name},
                            {"vhost", vhost},
                            {"configure", from.configure},
                            {"write", from.write},
                            {"read", from.read}};
        // RabbitMQ keeps one set of rights for an account in a vhost: of several roles, the union.
        for (auto& known_rights : permissions) {
            if (known_rights["user"] == rights["user"] &&
                known_rights["vhost"] == rights["vhost"]) {
                for (const char* right : {"configure", "write", "read"}) {
                    auto& held = known_rights[right].as_string();
                    const auto& wanted = rights[right].as_string();
                    if (held != wanted) {
                        held += "|";
                        held += wanted;
                    }
                }
                return;
            }
        }
        permissions.push_back(std::move(rights));
    }

    void print(std::ostream& out) const {
        const std::pair<const char*, const std::vector<json::object>*> sections[] = {
            {"users", &users},         {"vhosts", &vhosts}, {"permissions", &permissions},
            {"exchanges", &exchanges}, {"queues", &queues}, {"bindings", &bindings}};
        out << "{";
        for (const auto& [name, entries] : sections) {
            out << (entries == &users ? "" : ",") << "\n \"" << name << "\": [";
            for (const auto& one : *entries) {
                out << (&one == &entries->front() ? "" : ",") << "\n  " << json::serialize(one);
            }
            out << "]";
        }
        out << "\n}\n";
    }
};

void print_table_of(std::ostream& out, const std::map<std::string, amqp::topology>& all) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& [role, one] : all) {
        for (const auto& exchange : one.exchanges) {
            rows.push_back({role, "exchange", exchange.name.str(),
                            std::string{kind_name(exchange.kind)} +
                                (exchange.arguments.empty() ? "" : ", ") +
                                text_of(exchange.arguments)});
        }
        for (const auto& queue : one.queues) {
            rows.push_back({role, "queue", queue.name.str(), text_of(queue.arguments)});
        }
        for (const auto& binding : one.bindings) {
            rows.push_back({role, "binding", binding.to.str(),
                            "from " + binding.from.str() + " with " +
                                (binding.key.str().empty() ? "no key" : binding.key.str())});
        }
        for (const auto& route : one.routes) {
            rows.push_back({role, "binding", route.to.str(),
                            "from " + route.from.str() + " with " + route.key.str()});
        }
    }
    print_table(out, {"service", "kind", "name", "how"}, rows);
}

} // namespace

rabbitmq_account node_account(const service_settings& service, const amqp::topology& of) {
    std::vector<std::string> exchanges;
    std::vector<std::string> queues;
    for (const auto& one : of.exchanges) {
        exchanges.push_back(only(one.name.str()));
    }
    for (const auto& one : of.queues) {
        queues.push_back(only(one.name.str()));
    }
    const auto with = [](std::vector<std::string> list, const std::vector<std::string>& more) {
        list.insert(list.end(), more.begin(), more.end());
        return list;
    };
    const auto own = reply_queues(service, service.user);
    rabbitmq_account made;
    made.name = service.user;
    // Replies and what is tried again go through the default exchange.
    if (service.declare == beds::config::declare_mode::passive) {
        made.configure = one_of({own});
        made.write = one_of(with(exchanges, {"amq\\.default"}));
        made.read = one_of(with(queues, {own}));
    } else { // binding a queue is writing to it and reading from the exchange
        made.configure = one_of(with(with(exchanges, queues), {own}));
        made.write = one_of(with(with(exchanges, queues), {"amq\\.default"}));
        made.read = one_of(with(with(exchanges, queues), {own}));
    }
    return made;
}

rabbitmq_account application_account(const service_settings& service, const std::string& name) {
    const auto own = one_of({reply_queues(service, name)});
    return {name, {}, own, one_of({only(amqp::events_exchange(service.queue_tag).str())}), own};
}

std::string password_hash(std::string_view password, std::string_view salt) {
    const auto salted = std::string{salt} + std::string{password};
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_Digest(salted.data(), salted.size(), digest.data(), &size, EVP_sha256(), nullptr) !=
        1) {
        throw std::runtime_error("SHA-256 is not to be had");
    }
    const auto all =
        std::string{salt} + std::string{reinterpret_cast<const char*>(digest.data()), size};
    std::string made(4 * ((all.size() + 2) / 3) + 1, '\0'); // and the NUL that OpenSSL writes
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(made.data()),
                                       reinterpret_cast<const unsigned char*>(all.data()),
                                       static_cast<int>(all.size()));
    made.resize(static_cast<std::size_t>(length));
    return made;
}

exit_code print_topology(std::ostream& out, std::ostream& err,
                         const beds::config::settings& settings, const std::string& role,
                         const topology_options& asked) {
    auto all = beds::node::topologies(settings);
    if (!role.empty()) {
        std::erase_if(all, [&](const auto& one) { return one.first != role; });
    }
    if (all.empty()) {
        throw usage_error(role.empty()
                              ? "the configuration gives this node no brokers"
                              : "the configuration gives this node no brokers of '" + role + "'");
    }
    if (asked.form == topology_form::table) {
        print_table_of(out, all);
        return exit_code::ok;
    }
    definitions made;
    for (const auto& [name, one] : all) {
        const auto& service = settings.broker_services.at(name);
        made.add(one, service.vhost);
        if (service.user == "guest") {
            err << "bedsctl: the account 'guest' is left as it is; give the node one of its own\n";
        } else {
            auto node = node_account(service, one);
            node.password_hash = fresh_hash(service.pass.reveal());
            made.add(node, service.vhost);
        }
        for (const auto& application : asked.applications) {
            const auto equals = application.find('=');
            if (application.empty() || equals == 0) {
                throw usage_error("--application: NAME or NAME=FILE, not '" + application + "'");
            }
            auto account = application_account(service, application.substr(0, equals));
            if (equals != std::string::npos) {
                account.password_hash = fresh_hash(password_in(application.substr(equals + 1)));
            }
            made.add(account, service.vhost);
        }
    }
    made.print(out);
    return exit_code::ok;
}

} // namespace bedsctl
