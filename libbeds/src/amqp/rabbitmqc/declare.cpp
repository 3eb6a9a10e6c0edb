#include "amqp/rabbitmqc/link.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>

#include <string>
#include <vector>

namespace beds::amqp {

namespace {

using detail::link;
using detail::to_bytes;

/// rabbitmq-c's view of arguments; lives as long as what it was made from.
class argument_table {
public:
    explicit argument_table(const std::vector<argument>& arguments) {
        entries_.reserve(arguments.size());
        for (const auto& each : arguments) {
            amqp_table_entry_t entry{};
            entry.key = to_bytes(each.name);
            if (const auto* text = std::get_if<std::string>(&each.value)) {
                entry.value.kind = AMQP_FIELD_KIND_UTF8;
                entry.value.value.bytes = to_bytes(*text);
            } else if (const auto* number = std::get_if<std::int64_t>(&each.value)) {
                entry.value.kind = AMQP_FIELD_KIND_I64;
                entry.value.value.i64 = *number;
            } else {
                entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
                entry.value.value.boolean = std::get<bool>(each.value) ? 1 : 0;
            }
            entries_.push_back(entry);
        }
    }
    [[nodiscard]] amqp_table_t get() {
        return {static_cast<int>(entries_.size()), entries_.data()};
    }

private:
    std::vector<amqp_table_entry_t> entries_;
};

const char* to_string(exchange_kind kind) {
    switch (kind) {
    case exchange_kind::direct:
        return "direct";
    case exchange_kind::fanout:
        return "fanout";
    case exchange_kind::topic:
        return "topic";
    case exchange_kind::headers:
        return "headers";
    case exchange_kind::consistent_hash:
        return "x-consistent-hash";
    }
    return "topic";
}

/// Adds to RabbitMQ's refusal what the operator needs to know: which argument, or that it is
/// missing.
[[noreturn]] void explain(const core::error& failure, const char* object, const std::string& name) {
    std::string text = failure.message();
    if (const auto conflict = parse_conflict(failure.server_message())) {
        text = conflict->object + " '" + conflict->name + "' exists with another '" +
               conflict->argument + "': wanted " + conflict->wanted + ", is " + conflict->existing;
    } else if (failure.native_code() == AMQP_COMMAND_INVALID &&
               failure.server_message().find("unknown exchange type") != std::string::npos) {
        text = std::string{object} + " '" + name +
               "': RabbitMQ does not know its type; templates with order_by need "
               "`rabbitmq-plugins enable rabbitmq_consistent_hash_exchange`";
    } else if (failure.native_code() == AMQP_NOT_FOUND) {
        text = std::string{object} + " '" + name + "' does not exist";
    }
    throw core::error{static_cast<core::errc>(failure.code().value()),
                      text,
                      {.origin = failure.origin(),
                       .handle = failure.handle(),
                       .native_code = failure.native_code(),
                       .server_message = failure.server_message()}};
}

template <class Work>
void explained(const char* object, const std::string& name, Work&& work) {
    try {
        work();
    } catch (const core::error& failure) {
        explain(failure, object, name);
    }
}

void take_away(link& from, const binding& bound, core::deadline until) {
    constexpr auto channel = link::topology_channel;
    from.rpc("unbind queue '" + bound.to.str() + "'", channel, until, [&](auto* state) {
        return amqp_queue_unbind(state, channel, to_bytes(bound.to.str()),
                                 to_bytes(bound.from.str()), to_bytes(bound.key.str()),
                                 amqp_empty_table);
    });
}

} // namespace

void connection::declare(const topology& objects, declare_mode mode, core::deadline until) {
    const amqp_boolean_t passive = mode == declare_mode::passive ? 1 : 0;
    constexpr auto channel = link::topology_channel;
    auto& to = *link_;
    to.on_topology_channel(until, [&] {
        for (const auto& each : objects.exchanges) {
            argument_table arguments{each.arguments};
            explained("exchange", each.name.str(), [&] {
                to.rpc("declare exchange '" + each.name.str() + "'", channel, until,
                       [&](auto* state) {
                           return amqp_exchange_declare(state, channel, to_bytes(each.name.str()),
                                                        to_bytes(to_string(each.kind)), passive, 1,
                                                        0, 0, arguments.get());
                       });
            });
        }
        for (const auto& each : objects.queues) {
            argument_table arguments{each.arguments};
            const amqp_boolean_t exclusive = each.kind == queue_kind::exclusive ? 1 : 0;
            explained("queue", each.name.str(), [&] {
                to.rpc("declare queue '" + each.name.str() + "'", channel, until, [&](auto* state) {
                    return amqp_queue_declare(state, channel, to_bytes(each.name.str()), passive,
                                              exclusive != 0 ? 0 : 1, exclusive, exclusive,
                                              arguments.get());
                });
            });
        }
        if (passive != 0) {
            return;
        }
        for (const auto& each : objects.bindings) {
            explained("queue or exchange", each.to.str(), [&] {
                to.rpc("bind queue '" + each.to.str() + "' to '" + each.from.str() + "'", channel,
                       until, [&](auto* state) {
                           return amqp_queue_bind(state, channel, to_bytes(each.to.str()),
                                                  to_bytes(each.from.str()),
                                                  to_bytes(each.key.str()), amqp_empty_table);
                       });
            });
        }
        for (const auto& each : objects.routes) {
            explained("exchange", each.to.str(), [&] {
                to.rpc("bind exchange '" + each.to.str() + "' to '" + each.from.str() + "'",
                       channel, until, [&](auto* state) {
                           return amqp_exchange_bind(state, channel, to_bytes(each.to.str()),
                                                     to_bytes(each.from.str()),
                                                     to_bytes(each.key.str()), amqp_empty_table);
                       });
            });
        }
        for (const auto& each : objects.stale) {
            take_away(to, each, until);
        }
    });
}

void connection::unbind(const binding& bound, core::deadline until) {
    link_->on_topology_channel(until, [&] { take_away(*link_, bound, until); });
}

std::optional<queue_status> connection::inspect(const queue_name& queue, core::deadline until) {
    constexpr auto channel = link::topology_channel;
    auto& to = *link_;
    queue_status status;
    try {
        to.on_topology_channel(until, [&] {
            const auto* answer =
                to.rpc("inspect queue '" + queue.str() + "'", channel, until, [&](auto* state) {
                    return amqp_queue_declare(state, channel, to_bytes(queue.str()), 1, 0, 0, 0,
                                              amqp_empty_table);
                });
            status.messages = answer->message_count;
            status.consumers = answer->consumer_count;
        });
    } catch (const core::error& failure) {
        if (failure.native_code() == AMQP_NOT_FOUND &&
            failure.handle() == core::handle_state::usable) {
            return std::nullopt;
        }
        throw;
    }
    return status;
}

void connection::remove(const queue_name& queue, core::deadline until) {
    constexpr auto channel = link::topology_channel;
    auto& to = *link_;
    to.on_topology_channel(until, [&] {
        to.rpc("delete queue '" + queue.str() + "'", channel, until, [&](auto* state) {
            return amqp_queue_delete(state, channel, to_bytes(queue.str()), 0, 0);
        });
    });
}

void connection::remove(const exchange_name& exchange, core::deadline until) {
    constexpr auto channel = link::topology_channel;
    auto& to = *link_;
    to.on_topology_channel(until, [&] {
        to.rpc("delete exchange '" + exchange.str() + "'", channel, until, [&](auto* state) {
            return amqp_exchange_delete(state, channel, to_bytes(exchange.str()), 0);
        });
    });
}

} // namespace beds::amqp
