#pragma once

#include "support/books.hpp"
#include "support/queues.hpp"
#include "support/servers.hpp"

#include <beds/adapters/mariadb.hpp>
#include <beds/adapters/memory.hpp>
#ifdef BEDS_TEST_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif
#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/node/node.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A node over MariaDB, MongoDB and the memory engine, what surrounds it, and raw messages to it.
/// MongoDB: in programs that define BEDS_TEST_MONGODB and link the adapter.
namespace beds::test {

/// A database of one test on some server, gone when the test ends.
class database {
public:
    database(endpoint server, const server_control& control)
        : server_(std::move(server)), control_(&control), name_(unique_name()) {
        control_->mariadb_root("CREATE DATABASE " + name_ +
                               " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
        for (const char* script : {"inbox.sql", "kill.sql"}) {
            std::ifstream file{std::filesystem::path{BEDS_INBOX_SQL}.replace_filename(script)};
            sql(std::string{std::istreambuf_iterator<char>{file}, {}});
        }
    }
    ~database() {
        try {
            control_->mariadb_root("DROP DATABASE " + name_);
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    database(const database&) = delete;
    database& operator=(const database&) = delete;

    std::string sql(const std::string& text) const {
        auto out = control_->mariadb_root("USE " + name_ + ";\n" + text);
        while (!out.empty() && out.back() == '\n') {
            out.pop_back();
        }
        return out;
    }
    [[nodiscard]] long long number(const std::string& text) const {
        return std::atoll(sql(text).c_str());
    }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] config::rel_service_settings settings() const {
        config::rel_service_settings made;
        made.host = server_.host;
        made.port = server_.port;
        made.user = server_.user;
        made.pass = core::secret{server_.password};
        made.database = name_;
        made.coalesce = mariadb_coalesce();
        made.connect_timeout = std::chrono::milliseconds{2'000};
        return made;
    }

private:
    endpoint server_;
    const server_control* control_;
    std::string name_;
};

struct node_options {
    config::broker_counts rel{.read = 1, .write = 1, .bulk = 0};
    config::broker_counts mem{}; ///< all zero: no connection in memory
    config::broker_counts rec{.read = 1, .write = 1, .bulk = 0};
    std::optional<config::rec_service_settings> mongodb{}; ///< nothing: no connection `rec`
    std::vector<std::string> templates{};
    std::map<std::string, factory::custom_maker> customs{};
    std::filesystem::path directory{}; ///< of template files, beside `templates`; empty: none
    std::string idle_rel{}; ///< a further connection, to the same database, without brokers
    std::chrono::seconds heartbeat{30};
    std::chrono::milliseconds connect_timeout{2'000};
    std::uint32_t max_batch = 256;
    std::uint32_t max_attempts = 5;
    std::uint32_t max_queue_length = 100'000;
    std::uint16_t prefetch = 256;
    std::size_t max_request_bytes = 0; ///< 0: the default; as below
    std::size_t max_reply_bytes = 0;
    std::string tag{}; ///< empty: one that nobody else has
    observe::level log_level = observe::level::info;
    config::mismatch_action on_mismatch = config::mismatch_action::stop;
};

#ifdef BEDS_TEST_MONGODB
inline void register_mongodb(node::node& to) {
    to.register_engine(templates::engine::rec,
                       [](const std::string& name, const config::settings& from) {
                           return adapters::make_mongodb(name, from.rec_services.at(name));
                       });
}
#else
inline void register_mongodb(node::node&) {}
#endif

class running_node {
public:
    running_node(const endpoint& rabbitmq, const config::rel_service_settings* rel,
                 const node_options& options)
        : rabbitmq_(rabbitmq), tag_(options.tag.empty() ? unique_name("t") + "_" : options.tag),
          books_(tag_) {
        remove_queues_after_the_test(rabbitmq, tag_);
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory = options.directory;
        settings.templates.on_mismatch = options.on_mismatch;
        config::broker_service_settings service;
        service.host = rabbitmq.host;
        service.port = rabbitmq.port;
        service.vhost = rabbitmq.path.empty() ? "/" : rabbitmq.path;
        service.user = rabbitmq.user;
        service.pass = core::secret{rabbitmq.password};
        service.queue_tag = tag_;
        service.heartbeat = options.heartbeat;
        service.connect_timeout = options.connect_timeout;
        service.max_batch = options.max_batch;
        service.max_attempts = options.max_attempts;
        service.max_queue_length = options.max_queue_length;
        service.prefetch = options.prefetch;
        if (options.max_request_bytes != 0) {
            service.max_request_bytes = options.max_request_bytes;
        }
        if (options.max_reply_bytes != 0) {
            service.max_reply_bytes = options.max_reply_bytes;
        }
        if (rel != nullptr) {
            settings.rel_services["rel"] = *rel;
            service.instances["rel"] = options.rel;
            if (!options.idle_rel.empty()) {
                settings.rel_services[options.idle_rel] = *rel;
                settings.rel_services[options.idle_rel].required = false;
            }
        }
        if (options.mongodb) {
            settings.rec_services["rec"] = *options.mongodb;
            service.instances["rec"] = options.rec;
        }
        const bool memory = options.mem.read + options.mem.write > 0;
        if (memory) {
            service.instances["mem"] = options.mem;
        }
        settings.broker_services["app_server"] = service;
        node_ = std::make_unique<node::node>(
            std::move(settings),
            observe::log_sink{options.log_level, [this](const observe::log_record& record) {
                                  const std::lock_guard lock{mutex_};
                                  log_ += std::string{record.source} + ": " +
                                          std::string{record.id} + ' ' + std::string{record.text} +
                                          '\n';
                              }});
        node_->register_engine(templates::engine::rel,
                               [](const std::string& name, const config::settings& from) {
                                   return adapters::make_mariadb(name, from.rel_services.at(name));
                               });
        register_mongodb(*node_);
        if (memory) {
            node_->add_connection(adapters::make_memory("mem"));
        }
        for (const auto& text : options.templates) {
            node_->add_template(text, "test.toml");
        }
        for (const auto& [name, make] : options.customs) {
            node_->add_custom(name, make);
        }
        node_->start();
        books_.begins();
    }
    /// Its books must close; see books.hpp.
    ~running_node() { books_.ends(*node_, log()); }
    running_node(const running_node&) = delete;
    running_node& operator=(const running_node&) = delete;

    [[nodiscard]] node::node& node() const { return *node_; }
    /// Says on standard error what is missing when it is not in time.
    [[nodiscard]] bool ready(std::chrono::seconds within) const {
        if (node_->wait_ready(core::deadline::after(within))) {
            return true;
        }
        const auto status = node_->status();
        std::cerr << "not ready; live " << status.live << '\n';
        for (const auto& one : status.dependencies) {
            if (!one.ready) {
                std::cerr << one.name << ": " << one.trouble << '\n';
            }
        }
        return false;
    }
    [[nodiscard]] const std::string& tag() const { return tag_; }
    [[nodiscard]] std::string log() const {
        const std::lock_guard lock{mutex_};
        return log_;
    }
    [[nodiscard]] std::unique_ptr<client::client> new_client() const {
        client::amqp_client_settings how;
        how.amqp = amqp_settings(rabbitmq_);
        how.amqp.connect_timeout = std::chrono::milliseconds{2'000};
        how.queue_tag = tag_;
        return books_.counted(client::make_amqp_client(how));
    }
    /// Sum of one counter over all brokers.
    [[nodiscard]] std::uint64_t sum(std::uint64_t observe::broker_counters::*counter) const {
        std::uint64_t total = 0;
        for (const auto& one : node_->status().brokers) {
            total += one.*counter;
        }
        return total;
    }

private:
    endpoint rabbitmq_;
    std::string tag_;
    books books_;
    mutable std::mutex mutex_;
    std::string log_;
    std::unique_ptr<node::node> node_;
};

/// A message as any AMQP client could send it.
struct raw_message {
    std::string key{};
    std::string body{};
    std::string message_id{};
    std::string correlation_id{};
    std::string reply_to{};
    std::string content_type = "application/json";
    std::string content_encoding{};
    std::string expiration{};
    std::vector<std::pair<std::string, std::string>> text_headers{};
    std::vector<std::pair<std::string, std::int64_t>> integer_headers{};
    std::string user_id{};
};

/// What came back, or what lies in the dead queue.
struct raw_answer {
    std::string body;
    std::string correlation_id;
    std::string message_id;
    std::string type;
    std::vector<std::pair<std::string, std::string>> headers;

    [[nodiscard]] std::string header(std::string_view name) const {
        for (const auto& [given, text] : headers) {
            if (given == name) {
                return text;
            }
        }
        return {};
    }
};

/// Publishes what no client of BEDS would, and listens to its replies and to the dead queue.
class raw_client {
public:
    raw_client(const endpoint& rabbitmq, std::string tag)
        : tag_(std::move(tag)), in_(amqp_settings(rabbitmq), limit()),
          out_(amqp_settings(rabbitmq), limit()),
          replies_(amqp::reply_queue_name(tag_, rabbitmq.user, unique_name("raw"))) {
        books{tag_}.somebody_else_asks();
        amqp::topology own;
        own.queues.push_back({replies_, amqp::queue_kind::exclusive, {}});
        in_.declare(own, amqp::declare_mode::active, limit());
        amqp::consume_options options;
        options.acknowledge = amqp::acknowledge::automatic;
        in_.consume(replies_, options, limit());
    }

    [[nodiscard]] std::string reply_queue() const { return replies_.str(); }
    /// The dead queue exists once the node has declared it.
    void listen_to_the_dead() {
        amqp::consume_options options;
        options.acknowledge = amqp::acknowledge::automatic;
        dead_ = in_.consume(amqp::dead_queue(tag_), options, limit());
    }

    void publish(const raw_message& what) {
        std::vector<amqp::header> headers;
        for (const auto& [name, text] : what.text_headers) {
            headers.push_back(amqp::header::of(name, std::string_view{text}));
        }
        for (const auto& [name, number] : what.integer_headers) {
            headers.push_back(amqp::header::of(name, number));
        }
        amqp::properties properties;
        properties.message_id = what.message_id;
        properties.correlation_id = what.correlation_id;
        properties.reply_to = what.reply_to;
        properties.content_type = what.content_type;
        properties.content_encoding = what.content_encoding;
        properties.expiration = what.expiration;
        properties.user_id = what.user_id;
        properties.headers = headers;
        out_.publish(amqp::events_exchange(tag_).str(), what.key, properties, what.body,
                     amqp::mandatory::yes, limit());
    }
    /// False when RabbitMQ refused or returned a message, or did not answer.
    bool settle() { return out_.wait_confirms(limit()) && out_.take_undelivered().empty(); }

    /// The next reply, or the next dead letter; nothing when none comes in time.
    std::optional<raw_answer> reply(std::chrono::milliseconds within = std::chrono::seconds{10}) {
        return next(kept_replies_, within);
    }
    std::optional<raw_answer> dead(std::chrono::milliseconds within = std::chrono::seconds{10}) {
        return next(kept_dead_, within);
    }

    [[nodiscard]] std::uint32_t ready_messages(const amqp::queue_name& queue) {
        const auto status = out_.inspect(queue, limit());
        return status ? status->messages : 0;
    }

private:
    static core::deadline limit() { return core::deadline::after(std::chrono::seconds{20}); }

    std::optional<raw_answer> next(std::vector<raw_answer>& from,
                                   std::chrono::milliseconds within) {
        const auto until = core::deadline::after(within);
        while (from.empty() && !until.expired()) {
            std::vector<amqp::delivery> got;
            in_.drain(got, 4096, std::min(until.remaining_ms(), std::chrono::milliseconds{100}));
            for (const auto& one : got) {
                raw_answer made;
                made.body = one.body();
                made.correlation_id = one.properties().correlation_id;
                made.message_id = one.properties().message_id;
                made.type = one.properties().type;
                for (const auto& header : one.properties().headers) {
                    made.headers.emplace_back(header.name, header.text);
                }
                (one.consumer() == dead_ ? kept_dead_ : kept_replies_).push_back(std::move(made));
            }
            out_.pump();
        }
        if (from.empty()) {
            return std::nullopt;
        }
        auto first = std::move(from.front());
        from.erase(from.begin());
        return first;
    }

    std::string tag_;
    amqp::consumer_connection in_;
    amqp::publisher_connection out_;
    amqp::queue_name replies_;
    std::uint32_t dead_ = 0xFFFFFFFFU;
    std::vector<raw_answer> kept_replies_;
    std::vector<raw_answer> kept_dead_;
};

} // namespace beds::test
