#include <beds/amqp/topology.hpp>

#include <iterator>
#include <utility>

namespace beds::amqp {

namespace {

std::string tagged(std::string_view tag, std::string_view name) {
    return std::string{tag} + std::string{name};
}

template <class Values>
void append(Values& to, Values&& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

queue classic_request_queue(queue_name name, std::string_view tag, const queue_policy& policy) {
    return {std::move(name),
            queue_kind::durable,
            {{"x-queue-type", "classic"}, // a vhost can have another default
             {"x-max-length", policy.max_length},
             {"x-overflow", "reject-publish"},
             {"x-dead-letter-exchange", dead_exchange(tag).str()}}};
}

queue quorum_request_queue(queue_name name, std::string_view tag, const queue_policy& policy) {
    return {std::move(name),
            queue_kind::durable,
            {{"x-queue-type", "quorum"},
             {"x-delivery-limit", policy.delivery_limit},
             {"x-max-length", policy.max_length},
             {"x-overflow", "reject-publish"},
             {"x-dead-letter-exchange", dead_exchange(tag).str()},
             {"x-dead-letter-strategy", "at-least-once"}}};
}

/// A queue of this node's own making: what is in it was accepted once, so it is never refused.
queue keeping_queue(queue_name name, std::vector<argument> more) {
    queue made{std::move(name),
               queue_kind::durable,
               {{"x-queue-type", "quorum"},
                {"x-overflow", "reject-publish"}, // dead-lettering at least once asks for it
                {"x-dead-letter-strategy", "at-least-once"}}};
    append(made.arguments, std::move(more));
    return made;
}

/// The text between `from` and `to`, which follow `after` in this order; nullopt when they do not.
std::optional<std::string> between(std::string_view text, std::size_t& after, std::string_view from,
                                   std::string_view to) {
    const auto start = text.find(from, after);
    if (start == std::string_view::npos) {
        return std::nullopt;
    }
    const auto begin = start + from.size();
    const auto end = text.find(to, begin);
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    after = end + to.size();
    return std::string{text.substr(begin, end - begin)};
}

/// "the value 'x' of type 'longstr'", "'x'" or "none".
std::string value_in(std::string_view text) {
    std::size_t at = 0;
    return between(text, at, "'", "'").value_or("none");
}

} // namespace

topology& topology::operator+=(topology other) {
    append(exchanges, std::move(other.exchanges));
    append(queues, std::move(other.queues));
    append(bindings, std::move(other.bindings));
    append(routes, std::move(other.routes));
    append(stale, std::move(other.stale));
    return *this;
}

std::optional<declare_conflict> parse_conflict(std::string_view server_text) {
    // PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received
    // the value '10' of type 'signedint' but current is the value '5' of type 'signedint'
    std::size_t at = 0;
    declare_conflict conflict;
    auto argument = between(server_text, at, "inequivalent arg '", "' for ");
    if (!argument) {
        return std::nullopt;
    }
    conflict.argument = std::move(*argument);
    const auto space = server_text.find(' ', at);
    if (space == std::string_view::npos) {
        return std::nullopt;
    }
    conflict.object = std::string{server_text.substr(at, space - at)};
    auto name = between(server_text, at, " '", "' in vhost '");
    const auto received =
        name ? between(server_text, at, ": received ", " but current is ") : std::nullopt;
    if (!received) {
        return std::nullopt;
    }
    conflict.name = std::move(*name);
    conflict.wanted = value_in(*received);
    conflict.existing = value_in(server_text.substr(at));
    return conflict;
}

exchange_name events_exchange(std::string_view tag) {
    return exchange_name{tagged(tag, "beds.events")};
}
exchange_name unrouted_exchange(std::string_view tag) {
    return exchange_name{tagged(tag, "beds.unrouted")};
}
exchange_name logs_exchange(std::string_view tag) {
    return exchange_name{tagged(tag, "beds.logs")};
}
exchange_name dead_exchange(std::string_view tag) {
    return exchange_name{tagged(tag, "beds.dead")};
}
queue_name dead_queue(std::string_view tag) {
    return queue_name{tagged(tag, "dead")};
}
queue_name catalog_queue(std::string_view tag) {
    return queue_name{tagged(tag, "catalog.read")};
}
queue_name request_queue_name(std::string_view tag, std::string_view connection,
                              core::op_class op_class) {
    return queue_name{tagged(tag, request_key(connection, op_class).str())};
}
queue_name again_queue(std::string_view tag, std::string_view connection, core::op_class op_class) {
    return queue_name{request_queue_name(tag, connection, op_class).str() + ".again"};
}
queue_name retry_queue(std::string_view tag, std::string_view connection, core::op_class op_class,
                       unsigned level) {
    return queue_name{request_queue_name(tag, connection, op_class).str() + ".retry." +
                      std::to_string(level)};
}
queue_name quarantine_queue(std::string_view tag, std::string_view connection,
                            core::op_class op_class) {
    return queue_name{request_queue_name(tag, connection, op_class).str() + ".quarantine"};
}
routing_key order_key(std::string_view template_name) {
    return routing_key{std::string{template_name} + ".order"};
}
exchange_name order_exchange(std::string_view tag, std::string_view template_name) {
    return exchange_name{tagged(tag, template_name) + ".order"};
}
queue_name lane_queue(std::string_view tag, std::string_view template_name, unsigned lane) {
    return queue_name{tagged(tag, template_name) + ".lane." + std::to_string(lane)};
}
queue_name reply_queue_name(std::string_view tag, std::string_view user, std::string_view unique) {
    return queue_name{tagged(tag, "reply.") + std::string{user} + "." + std::string{unique}};
}
routing_key request_key(std::string_view what, core::op_class op_class) {
    return routing_key{std::string{what} + "." + std::string{core::to_string(op_class)}};
}
routing_key catalog_key() {
    return request_key("catalog", core::op_class::read);
}

topology service_topology(std::string_view tag, const queue_policy& policy) {
    topology made;
    made.exchanges = {
        {dead_exchange(tag), exchange_kind::topic, {}},
        {unrouted_exchange(tag), exchange_kind::fanout, {}},
        {events_exchange(tag),
         policy.events,
         {{"alternate-exchange", unrouted_exchange(tag).str()}}},
        {logs_exchange(tag), exchange_kind::topic, {}},
    };
    made.queues = {
        // Dead letters are the last copy: replicated where there is a cluster.
        {dead_queue(tag), queue_kind::durable, {{"x-queue-type", "quorum"}}},
        classic_request_queue(catalog_queue(tag), tag, policy),
    };
    made.bindings = {
        {dead_exchange(tag), dead_queue(tag), routing_key{"#"}},
        {unrouted_exchange(tag), catalog_queue(tag), routing_key{}},
        {events_exchange(tag), catalog_queue(tag), catalog_key()},
    };
    return made;
}

topology request_topology(std::string_view tag, std::string_view connection,
                          core::op_class op_class, const queue_policy& policy) {
    topology made;
    auto name = request_queue_name(tag, connection, op_class);
    made.bindings = {{events_exchange(tag), name, request_key(connection, op_class)}};
    const bool classic =
        op_class == core::op_class::read || policy.write_queues == queue_type::classic;
    made.queues = {classic ? classic_request_queue(std::move(name), tag, policy)
                           : quorum_request_queue(std::move(name), tag, policy)};
    made.queues.push_back(keeping_queue(quarantine_queue(tag, connection, op_class),
                                        {{"x-delivery-limit", policy.quarantine_limit},
                                         {"x-dead-letter-exchange", dead_exchange(tag).str()}}));
    if (op_class != core::op_class::read) {
        const auto again = again_queue(tag, connection, op_class);
        made.queues.push_back(
            keeping_queue(again, {{"x-delivery-limit", policy.delivery_limit},
                                  {"x-dead-letter-exchange", dead_exchange(tag).str()}}));
        for (unsigned level = 1; level <= retry_levels; ++level) {
            made.queues.push_back(keeping_queue(
                retry_queue(tag, connection, op_class, level),
                {{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", again.str()}}));
        }
    }
    return made;
}

binding template_binding(std::string_view tag, std::string_view template_name,
                         std::string_view connection, core::op_class op_class) {
    return {events_exchange(tag), request_queue_name(tag, connection, op_class),
            request_key(template_name, op_class)};
}

topology lane_topology(std::string_view tag, std::string_view template_name,
                       const queue_policy& policy) {
    topology made;
    const auto order = order_exchange(tag, template_name);
    made.exchanges = {
        {order, exchange_kind::consistent_hash, {{"hash-header", std::string{order_header}}}}};
    for (unsigned lane = 1; lane <= lanes; ++lane) {
        auto name = lane_queue(tag, template_name, lane);
        made.bindings.push_back({order, name, routing_key{"1"}}); // its weight
        auto& made_queue =
            made.queues.emplace_back(quorum_request_queue(std::move(name), tag, policy));
        made_queue.arguments.push_back({"x-single-active-consumer", true});
    }
    made.routes = {{events_exchange(tag), order, order_key(template_name)}};
    return made;
}

topology reply_topology(std::string_view tag, std::string_view user, std::string_view unique) {
    topology made;
    made.queues = {{reply_queue_name(tag, user, unique), queue_kind::exclusive, {}}};
    return made;
}

} // namespace beds::amqp
