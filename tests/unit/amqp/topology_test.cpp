#include "support/catch.hpp"

#include <beds/amqp/topology.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace beds;
using core::op_class;

namespace {

const amqp::argument* find(const std::vector<amqp::argument>& in, const std::string& name) {
    const auto found =
        std::find_if(in.begin(), in.end(), [&](const auto& each) { return each.name == name; });
    return found == in.end() ? nullptr : &*found;
}

std::string text(const std::vector<amqp::argument>& in, const std::string& name) {
    const auto* found = find(in, name);
    return found == nullptr ? "" : std::get<std::string>(found->value);
}

std::int64_t number(const std::vector<amqp::argument>& in, const std::string& name) {
    const auto* found = find(in, name);
    return found == nullptr ? -1 : std::get<std::int64_t>(found->value);
}

} // namespace

TEST_CASE("the service's topology is complete in itself") {
    const auto made = amqp::service_topology("prod_");
    std::set<std::string> names;
    for (const auto& each : made.exchanges) {
        names.insert(each.name.str());
    }
    CHECK(names == std::set<std::string>{"prod_beds.events", "prod_beds.unrouted", "prod_beds.logs",
                                         "prod_beds.dead"});
    std::set<std::string> queues;
    for (const auto& each : made.queues) {
        CHECK(each.kind == amqp::queue_kind::durable);
        queues.insert(each.name.str());
    }
    CHECK(queues == std::set<std::string>{"prod_catalog.read", "prod_dead"});
    for (const auto& each : made.bindings) {
        CHECK(names.count(each.from.str()) == 1);
        CHECK(queues.count(each.to.str()) == 1);
    }
    const auto events =
        std::find_if(made.exchanges.begin(), made.exchanges.end(),
                     [](const auto& each) { return each.name.str() == "prod_beds.events"; });
    CHECK(events->kind == amqp::exchange_kind::direct);
    CHECK(amqp::service_topology("t_", {.events = amqp::exchange_kind::topic}) !=
          amqp::service_topology("t_"));
    CHECK(text(events->arguments, "alternate-exchange") == "prod_beds.unrouted");
}

TEST_CASE("writes and bulk go to quorum queues, reads to classic ones") {
    for (const auto which : {op_class::write, op_class::bulk}) {
        const auto made =
            amqp::request_topology("t_", "rel", which, {.max_length = 10, .delivery_limit = 3});
        REQUIRE(made.queues.size() == 6);
        const auto& arguments = made.queues[0].arguments;
        CHECK(text(arguments, "x-queue-type") == "quorum");
        CHECK(number(arguments, "x-delivery-limit") == 3);
        CHECK(number(arguments, "x-max-length") == 10);
        CHECK(text(arguments, "x-overflow") == "reject-publish");
        CHECK(text(arguments, "x-dead-letter-exchange") == "t_beds.dead");
        CHECK(text(arguments, "x-dead-letter-strategy") == "at-least-once");
    }
    const auto by_policy = amqp::request_topology("t_", "rel", op_class::write,
                                                  {.write_queues = amqp::queue_type::classic});
    CHECK(text(by_policy.queues[0].arguments, "x-queue-type") == "classic");
    CHECK(find(by_policy.queues[0].arguments, "x-delivery-limit") == nullptr);
    const auto made = amqp::request_topology("t_", "rel", op_class::read);
    CHECK(text(made.queues[0].arguments, "x-queue-type") == "classic");
    CHECK(made.queues[0].name.str() == "t_rel.read");
    CHECK(find(made.queues[0].arguments, "x-delivery-limit") == nullptr);
    CHECK(text(made.queues[0].arguments, "x-overflow") == "reject-publish");
    REQUIRE(made.bindings.size() == 1);
    CHECK(made.bindings[0] == amqp::binding{amqp::exchange_name{"t_beds.events"},
                                            amqp::queue_name{"t_rel.read"},
                                            amqp::routing_key{"rel.read"}});
}

TEST_CASE("what was accepted once is kept by queues that never refuse it") {
    const auto made = amqp::request_topology("t_", "rel", op_class::write, {.quarantine_limit = 2});
    std::vector<std::string> names;
    for (const auto& each : made.queues) {
        names.push_back(each.name.str());
        if (each.name.str() == "t_rel.write") {
            continue;
        }
        INFO(each.name.str());
        CHECK(text(each.arguments, "x-queue-type") == "quorum");
        CHECK(text(each.arguments, "x-dead-letter-strategy") == "at-least-once");
        CHECK(find(each.arguments, "x-max-length") == nullptr);
    }
    CHECK(names == std::vector<std::string>{"t_rel.write", "t_rel.write.quarantine",
                                            "t_rel.write.again", "t_rel.write.retry.1",
                                            "t_rel.write.retry.2", "t_rel.write.retry.3"});
    CHECK(number(made.queues[1].arguments, "x-delivery-limit") == 2);
    CHECK(text(made.queues[1].arguments, "x-dead-letter-exchange") == "t_beds.dead");
    CHECK(text(made.queues[5].arguments, "x-dead-letter-exchange").empty());
    CHECK(text(made.queues[5].arguments, "x-dead-letter-routing-key") == "t_rel.write.again");
    CHECK(amqp::request_topology("t_", "rel", op_class::read).queues.size() == 2);
}

TEST_CASE("names and keys") {
    CHECK(amqp::request_queue_name("", "rec", op_class::bulk).str() == "rec.bulk");
    CHECK(amqp::reply_queue_name("dev_", "app", "0198").str() == "dev_reply.app.0198");
    CHECK(amqp::request_key("countries", op_class::write).str() == "countries.write");
    CHECK(amqp::catalog_key().str() == "catalog.read");
    CHECK(amqp::template_binding("t_", "countries", "rel", op_class::read) ==
          amqp::binding{amqp::exchange_name{"t_beds.events"}, amqp::queue_name{"t_rel.read"},
                        amqp::routing_key{"countries.read"}});
    const auto reply = amqp::reply_topology("t_", "app", "1");
    CHECK(reply.queues[0].kind == amqp::queue_kind::exclusive);
    CHECK(reply.exchanges.empty());
}

TEST_CASE("topologies are joined") {
    auto made = amqp::service_topology("t_");
    const auto queues = made.queues.size();
    made += amqp::request_topology("t_", "rel", op_class::read);
    CHECK(made.queues.size() == queues + 2); // and its quarantine
}

TEST_CASE("RabbitMQ's refusals are taken apart") {
    // Texts as RabbitMQ 3.10 sends them.
    auto c = amqp::parse_conflict(
        "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 't_rel.read' in vhost "
        "'/': "
        "received the value '7' of type 'long' but current is the value '100000' of type 'long'");
    REQUIRE(c);
    CHECK(c->object == "queue");
    CHECK(c->name == "t_rel.read");
    CHECK(c->argument == "x-max-length");
    CHECK(c->wanted == "7");
    CHECK(c->existing == "100000");

    c = amqp::parse_conflict(
        "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange "
        "'t_beds.events' in vhost 'v': received 'true' but current is 'false'");
    REQUIRE(c);
    CHECK(c->object == "exchange");
    CHECK(c->argument == "durable");
    CHECK(c->wanted == "true");
    CHECK(c->existing == "false");

    c = amqp::parse_conflict("PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' "
                             "in vhost '/': received "
                             "none but current is the value 'quorum' of type 'longstr'");
    REQUIRE(c);
    CHECK(c->wanted == "none");
    CHECK(c->existing == "quorum");

    c = amqp::parse_conflict(
        "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'it''s' in vhost '/': "
        "received the value '7' of type 'long' but current is none");
    REQUIRE(c);
    CHECK(c->name == "it''s");
    CHECK(c->existing == "none");

    for (const auto* other :
         {"", "NOT_FOUND - no queue 'q' in vhost '/'", "PRECONDITION_FAILED - inequivalent arg '",
          "PRECONDITION_FAILED - inequivalent arg 'x' for ", "inequivalent arg 'x' for queue",
          "inequivalent arg 'x' for queue 'q' in vhost '/': received "}) {
        CHECK_FALSE(amqp::parse_conflict(other));
    }
}
