#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/amqp/reconnect.hpp>
#include <beds/amqp/settings.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/operation.hpp>
#include <beds/factory/factory.hpp>
#include <beds/observe/counters.hpp>
#include <beds/observe/ledger.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/registry.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace beds::brokers {

/// What one broker works on and within which bounds.
struct broker_settings {
    std::string name =
        {}; ///< `rel.read/0`, in logs, RabbitMQ's connection list and the database's process list
    std::string connection = {}; ///< the database service
    core::op_class op_class = core::op_class::read;
    /// Takes the catalog queue too: `describe`, and what no binding took. In each role that is
    /// served at least one kind of broker has to.
    bool catalog = false;

    /// Takes the quarantine queue too. One broker of a pool does, so that a suspect is delivered to
    /// one at a time.
    bool quarantine = true;
    /// Works on these lanes instead of a request queue: by the name of the queue the template whose
    /// lane it is.
    std::map<std::string, std::string, std::less<>> lanes = {};
    /// How often a request that nobody waits for is tried before it becomes a dead letter; at
    /// least 1.
    std::uint32_t max_attempts = 5;

    amqp::connection_settings amqp = {};
    /// Of all brokers of a node with this RabbitMQ; without it each asks by itself whether it is
    /// back.
    std::shared_ptr<amqp::reconnect_lead> lead = {};
    std::string queue_tag = {};
    amqp::topology topology =
        {}; ///< declared on every new connection: exchanges, own queue, bindings
    amqp::declare_mode declare = amqp::declare_mode::active;
    std::uint16_t prefetch = 256;  ///< deliveries held at a time
    std::uint32_t max_batch = 256; ///< operations worked on together; one message may hold more
    std::size_t max_request = 16 * 1024 * 1024;     ///< bytes of one message
    std::size_t max_reply = std::size_t{31} << 19U; ///< bytes of rows in one reply
    /// Bytes of rows in all replies of one batch; what exceeds it is read again and answered after
    /// the rest. At least as much as one reply takes is held all the same.
    std::size_t max_replies = std::size_t{32} << 20U;
    std::size_t reply_part = std::size_t{1} << 20U; ///< bytes of rows in one part of a reply
    bool strict_route = false; ///< every operation's template must be the routed one
    /// Accounts of BEDS services, which may use closed templates.
    std::set<std::string, std::less<>> services = {};
    std::string event_prefix = {}; ///< of event ids: `ms.dev.`
    factory::settings factory = {};
};

enum class broker_state {
    starting,
    running,
    draining, ///< stops consuming, finishes what it holds
    stopped,
};

/// One worker: a thread with a consuming and a publishing connection to RabbitMQ and a database
/// session of its own. It takes every delivery that is there (and never waits for more), answers
/// them as one batch, and acknowledges a write only when RabbitMQ has confirmed its reply. While
/// RabbitMQ does that, the next batch is worked on (libbeds/doc/decisions/0022).
///
/// Whatever breaks - RabbitMQ, the database, one message - the broker goes on: it reconnects with
/// back-off, declares its topology again, and unacknowledged messages come back to it or to
/// another: by way of the quarantine, where they are worked on one at a time, because one of them
/// may be what broke.
///
/// A write that fails for a while and whose sender did not ask for a reply is tried again: at once
/// when its database is back, otherwise after a delay (libbeds/doc/decisions/0010).
///
/// A broker of lanes works on one message of each lane at a time, so that what it answers is in the
/// order of the lane. What is to be tried again stays where it is, and holds its lane up; what was
/// delivered before is worked on alone (libbeds/doc/decisions/0019).
class broker {
public:
    /// Does not connect yet. `context.name` is replaced by the broker's name.
    broker(broker_settings settings, std::shared_ptr<const factory::template_set> set,
           std::vector<std::shared_ptr<adapters::adapter>> adapters,
           adapters::session_context context);
    /// Stops without draining: what is held is delivered again.
    ~broker();
    broker(const broker&) = delete;
    broker& operator=(const broker&) = delete;

    /// Throws core::error when the factory cannot be made. May be called again once the state is
    /// `stopped`: it begins anew then, with a thread, connections and a database session of its
    /// own, and goes on counting where it was.
    void start();
    /// Works by these templates from its next batch on, and declares this topology whenever it
    /// connects anew; what it has at hand it ends by those it began with. A broker that is stopped
    /// takes them when it is started again, before its first batch. Any thread.
    void change_templates(std::shared_ptr<const factory::template_set> set,
                          amqp::topology topology);
    /// Of the set that it works by.
    [[nodiscard]] std::uint64_t templates_generation() const;
    /// As `stop` with all the time that a batch may take, in order to be started again. What it
    /// does not hold is left to the other brokers of its queue, or waits there.
    void retire();
    /// From `retire` until it was started again and has tried to reach both of its servers.
    [[nodiscard]] bool being_replaced() const;
    /// Begins an orderly stop and returns at once: stop consuming, finish, reply, acknowledge. Work
    /// that is not finished by the deadline goes back to its queue.
    void stop(core::deadline until);
    /// Waits for the thread to end.
    void join();

    /// Any thread.
    [[nodiscard]] broker_state state() const;
    [[nodiscard]] observe::broker_counters counters() const;
    /// Adds what happened to operations: to the first element those of no template, to the others
    /// those that `template_set::slots` tells.
    void add_traffic(std::span<observe::template_traffic> totals) const;
    [[nodiscard]] const broker_settings& settings() const;
    /// Why this broker cannot use RabbitMQ, or its database, at the moment, for operators; empty
    /// when it can.
    [[nodiscard]] std::string amqp_trouble() const;
    [[nodiscard]] std::string backend_trouble() const;
    /// From `start` until RabbitMQ, or the database, could be used for the first time; while that
    /// has not happened, until now. 0 before `start`.
    [[nodiscard]] std::chrono::microseconds amqp_waited() const;
    [[nodiscard]] std::chrono::microseconds backend_waited() const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::brokers
