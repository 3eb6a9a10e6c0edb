#pragma once

#include <beds/amqp/names.hpp>
#include <beds/core/operation.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace beds::amqp {

/// An `x-…` argument of a queue or exchange.
struct argument {
    std::string name{};
    std::variant<std::string, std::int64_t, bool> value{};

    friend bool operator==(const argument&, const argument&) = default;
};

enum class exchange_kind { direct, fanout, topic, headers, consistent_hash };

/// A durable exchange.
struct exchange {
    exchange_name name{};
    exchange_kind kind = exchange_kind::topic;
    std::vector<argument> arguments{}; ///< for example `alternate-exchange`

    friend bool operator==(const exchange&, const exchange&) = default;
};

enum class queue_kind {
    durable,
    exclusive, ///< of one connection, and gone with it
};

struct queue {
    queue_name name{};
    queue_kind kind = queue_kind::durable;
    std::vector<argument> arguments{}; ///< for example `x-queue-type`, `x-max-length`

    friend bool operator==(const queue&, const queue&) = default;
};

struct binding {
    exchange_name from{};
    queue_name to{};
    routing_key key{};

    friend bool operator==(const binding&, const binding&) = default;
};

/// Leads what comes to one exchange with this key to another one.
struct route {
    exchange_name from{};
    exchange_name to{};
    routing_key key{};

    friend bool operator==(const route&, const route&) = default;
};

/// What must exist before messages flow. A value: kept by whoever needs it and declared again on
/// every new connection.
struct topology {
    std::vector<exchange> exchanges{};
    std::vector<queue> queues{};
    std::vector<binding> bindings{};
    std::vector<route> routes{};
    /// Taken away once the others are there: where a template was before. Need not exist.
    std::vector<binding> stale{};

    topology& operator+=(topology other);
    friend bool operator==(const topology&, const topology&) = default;
};

/// How a node treats topology.
enum class declare_mode {
    active,  ///< creates what is missing; what exists with other arguments is an error
    passive, ///< the operator's business: only looks whether exchanges and queues exist (AMQP shows
             ///< neither arguments nor bindings)
};

/// RabbitMQ's refusal of a declaration, taken apart.
struct declare_conflict {
    std::string object{}; ///< "queue" or "exchange"
    std::string name{};
    std::string argument{}; ///< `x-max-length`, `durable`, `type`, …
    std::string wanted{};   ///< "none" when it was not given
    std::string existing{};
};

/// From the server's text of a PRECONDITION_FAILED; nullopt when it says something else.
std::optional<declare_conflict> parse_conflict(std::string_view server_text);

enum class queue_type {
    classic, ///< on one node; has no delivery limit
    quorum,  ///< replicated where there is a cluster, with a delivery limit
};

/// How request queues and the exchange before them are made. Changing one of these for what exists
/// is a conflict that names the argument; the operator deletes the object or keeps the old value.
struct queue_policy {
    /// Messages a request queue holds before RabbitMQ refuses more (`reject-publish`). Quorum
    /// queues take a few more before they refuse. Greater than 0.
    std::int64_t max_length = 100'000;
    /// Failed deliveries of one message before a quorum queue dead-letters it: 20 means 21
    /// deliveries. RabbitMQ 3.10 has no limit of its own. Greater than 0.
    std::int64_t delivery_limit = 20;
    /// The same for `*.quarantine`, where suspects are worked on one at a time. Greater than 0.
    std::int64_t quarantine_limit = 3;
    /// Of `*.write` and `*.bulk`; `*.read` is always classic.
    queue_type write_queues = queue_type::quorum;
    /// Of `beds.events`. Keys are bound exactly, so `direct` does all that is needed and costs
    /// RabbitMQ a good deal less for each message; only `topic` exchanges know RabbitMQ's topic
    /// permissions.
    exchange_kind events = exchange_kind::direct;
};

/// Names of one service's objects. `tag` is `queue_tag` of the configuration, a prefix of every
/// name.
exchange_name events_exchange(std::string_view tag);
exchange_name unrouted_exchange(std::string_view tag);
exchange_name logs_exchange(std::string_view tag);
exchange_name dead_exchange(std::string_view tag);
queue_name dead_queue(std::string_view tag);
queue_name catalog_queue(std::string_view tag);
queue_name request_queue_name(std::string_view tag, std::string_view connection,
                              core::op_class op_class);
/// What is to be tried again, now: unbounded, so that a full request queue cannot hold it up.
queue_name again_queue(std::string_view tag, std::string_view connection, core::op_class op_class);
/// What is to be tried again, later: messages wait here until their `expiration`, then RabbitMQ
/// moves them to the `again` queue. One for each `level`, 1 … `retry_levels`, because only the
/// first message of a queue expires: those behind it must not wait for a much longer delay.
inline constexpr unsigned retry_levels = 3;
queue_name retry_queue(std::string_view tag, std::string_view connection, core::op_class op_class,
                       unsigned level);
/// What was delivered before and not acknowledged: it may have ended the process that held it.
queue_name quarantine_queue(std::string_view tag, std::string_view connection,
                            core::op_class op_class);
/// Writes of a template with `order_by` are published with the key `{template}.order`, and go from
/// here to one of its lanes by their header `beds-order`.
inline constexpr std::string_view order_header = "beds-order";
routing_key order_key(std::string_view template_name);
exchange_name order_exchange(std::string_view tag, std::string_view template_name);
/// 1 … `lanes`: each is consumed by one broker at a time, of all nodes, and gives it one message at
/// a time. Another number would lead values to other lanes while the ones before hold some of
/// theirs.
inline constexpr unsigned lanes = 16;
queue_name lane_queue(std::string_view tag, std::string_view template_name, unsigned lane);
/// `user` and `unique` (a UUID) make it the name of one client process.
queue_name reply_queue_name(std::string_view tag, std::string_view user, std::string_view unique);
/// `{what}.{class}`, where `what` is a template or a connection: what clients publish with and
/// request queues are bound by. Carries no tag: the exchange does.
routing_key request_key(std::string_view what, core::op_class op_class);
/// `catalog.read`: `describe` is published with it.
routing_key catalog_key();

/// What a node declares at IPL: the exchanges `beds.events` (what no binding takes goes to
/// `beds.unrouted` and so to the catalog queue), `beds.logs`, `beds.dead`, and the queues
/// `catalog.read` and `dead`.
topology service_topology(std::string_view tag, const queue_policy& policy = {});

/// What a broker declares when it starts: the request queue of one connection and class with its
/// binding `{connection}.{class}`. Writes and bulk: a quorum queue with a delivery limit (unless
/// the policy says otherwise); reads: a classic one. All durable, bounded with `reject-publish`,
/// dead letters to `beds.dead` (at least once from quorum queues). Beside it the quarantine queue,
/// and for writes and bulk the queues `again` and `retry`: always quorum queues.
topology request_topology(std::string_view tag, std::string_view connection,
                          core::op_class op_class, const queue_policy& policy = {});

/// The binding `{template}.{class}` that leads a template's operations to the queue of the
/// connection which holds it today.
binding template_binding(std::string_view tag, std::string_view template_name,
                         std::string_view connection, core::op_class op_class);

/// The lanes of a template with `order_by`, and the way to them. Takes the exchange type
/// `x-consistent-hash`: a plugin that RabbitMQ ships (`rabbitmq-plugins enable
/// rabbitmq_consistent_hash_exchange`). Lanes are quorum queues, whatever the policy says of
/// writes: only those give back what was not acknowledged in its place.
topology lane_topology(std::string_view tag, std::string_view template_name,
                       const queue_policy& policy = {});

/// A client's own queue: exclusive and classic.
topology reply_topology(std::string_view tag, std::string_view user, std::string_view unique);

} // namespace beds::amqp
