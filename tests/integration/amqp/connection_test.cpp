#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/error.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using core::deadline;

namespace {

deadline soon() {
    return deadline::after(10s);
}

amqp::connection_settings settings() {
    auto made = amqp::parse_amqp_uri(test::require_amqp().uri);
    made.connection_name = "test";
    return made;
}

/// Objects under a name of their own, gone at the end of the test.
class fixture {
public:
    fixture()
        : settings(::settings()), tag(test::unique_name("beds_t") + "_"), in(settings, soon()) {}
    ~fixture() {
        amqp::consumer_connection cleaner{settings, soon()};
        for (const auto& each : made_.queues) {
            cleaner.remove(each.name, soon());
        }
        for (const auto& each : made_.exchanges) {
            cleaner.remove(each.name, soon());
        }
    }

    amqp::queue_name queue(std::vector<amqp::argument> arguments = {}) {
        const amqp::queue_name name{tag + "q" + std::to_string(made_.queues.size())};
        declare({{}, {{name, amqp::queue_kind::durable, std::move(arguments)}}, {}});
        return name;
    }

    void declare(const amqp::topology& objects) {
        made_ += objects;
        in.declare(objects, amqp::declare_mode::active, soon());
    }

    amqp::connection_settings settings;
    std::string tag;
    amqp::consumer_connection in;

private:
    amqp::topology made_;
};

std::vector<amqp::delivery> drain(amqp::consumer_connection& from, std::size_t count) {
    std::vector<amqp::delivery> got;
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (got.size() < count && std::chrono::steady_clock::now() < end) {
        from.drain(got, count - got.size(), 200ms);
    }
    return got;
}

template <class Call>
core::error error_of(Call&& call) {
    try {
        call();
    } catch (const core::error& failure) {
        return failure;
    }
    FAIL("no error was thrown");
    throw std::logic_error{"unreachable"};
}

} // namespace

TEST_CASE("messages arrive whole, with properties and headers") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};

    const amqp::header headers[] = {amqp::header::of("beds-event", "ms.dev.1"),
                                    amqp::header::of("beds-deadline", std::int64_t{1767225600000}),
                                    amqp::header::of("beds-depth", "7")};
    // One frame, several frames, exactly a frame, none.
    const std::vector<std::size_t> sizes{5, 400'000, 131072 - 8, 131072 - 7, 0};
    for (const auto size : sizes) {
        out.publish("", queue.str(),
                    {.message_id = "m1",
                     .correlation_id = "c1",
                     .reply_to = "r1",
                     .type = "beds.request",
                     .content_type = "application/json",
                     .user_id = f.settings.user,
                     .expiration = "60000",
                     .mode = amqp::delivery_mode::persistent,
                     .timestamp = 1767225600,
                     .headers = headers},
                    std::string(size, 'x') + std::string(size == 0 ? 0 : 1, 'y'),
                    amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(soon()));
    CHECK(out.take_undelivered().empty());
    CHECK(out.settled_up_to() == sizes.size());

    const auto consumer = f.in.consume(queue, {}, soon());
    auto got = drain(f.in, sizes.size());
    REQUIRE(got.size() == sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const auto& d = got[i];
        const auto size = sizes[i] == 0 ? 0 : sizes[i] + 1;
        CHECK(d.body().size() == size);
        CHECK(d.body_size() == size);
        CHECK((size == 0 || d.body() == std::string(sizes[i], 'x') + 'y'));
        CHECK(d.properties().message_id == "m1");
        CHECK(d.properties().correlation_id == "c1");
        CHECK(d.properties().reply_to == "r1");
        CHECK(d.properties().type == "beds.request");
        CHECK(d.properties().content_type == "application/json");
        CHECK(d.properties().user_id == f.settings.user);
        CHECK(d.properties().expiration == "60000");
        CHECK(d.properties().mode == amqp::delivery_mode::persistent);
        CHECK(d.properties().timestamp == 1767225600U);
        CHECK(d.properties().text("beds-event") == "ms.dev.1");
        CHECK(d.properties().integer("beds-deadline") == 1767225600000);
        CHECK(d.properties().integer("beds-depth") == 7);
        CHECK_FALSE(d.properties().text("traceparent"));
        CHECK_FALSE(d.redelivered());
        CHECK(d.exchange().empty());
        CHECK(d.routing_key() == queue.str());
        CHECK(d.queue() == queue.str());
        CHECK(d.consumer() == consumer);
        CHECK_FALSE(d.resolved());
    }
    f.in.ack_up_to(got.back());
    CHECK(got.front().resolved());
    got.clear();
    f.in.close(soon());
    amqp::publisher_connection look{f.settings, soon()};
    CHECK(look.inspect(queue, soon())->messages == 0);
}

TEST_CASE("drain takes what is there and waits only for the first") {
    fixture f;
    const auto queue = f.queue();
    f.in.consume(queue, {}, soon());

    std::vector<amqp::delivery> got;
    const auto start = std::chrono::steady_clock::now();
    CHECK(f.in.drain(got, 10, 300ms) == 0);
    const auto waited = std::chrono::steady_clock::now() - start;
    CHECK(waited >= 290ms); // rabbitmq-c rounds down to milliseconds
    CHECK(waited < 2s);

    amqp::publisher_connection out{f.settings, soon()};
    for (int i = 0; i < 25; ++i) {
        out.publish("", queue.str(), {}, std::to_string(i), amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(soon()));
    std::this_thread::sleep_for(100ms);
    CHECK(f.in.drain(got, 10, 5s) == 10);
    const auto before = std::chrono::steady_clock::now();
    CHECK(f.in.drain(got, 100, 5s) == 15);
    CHECK(std::chrono::steady_clock::now() - before < 1s);
    REQUIRE(got.size() == 25);
    CHECK(got[24].body() == "24");
    f.in.ack_up_to(got.back());
}

TEST_CASE("each delivery can be resolved by itself, and an unresolved one comes back") {
    fixture f;
    f.declare(amqp::service_topology(f.tag));
    const auto queue = f.queue({{"x-dead-letter-exchange", amqp::dead_exchange(f.tag).str()}});
    amqp::publisher_connection out{f.settings, soon()};
    for (const auto* body : {"ack", "requeue", "reject", "dies"}) {
        out.publish("", queue.str(), {}, body, amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(soon()));
    f.in.consume(queue, {}, soon());
    auto got = drain(f.in, 4);
    REQUIRE(got.size() == 4);
    got[0].ack();
    got[1].requeue();
    got[2].reject();
    got.pop_back(); // dies unresolved

    std::vector<std::string> back;
    auto again = drain(f.in, 2);
    for (auto& each : again) {
        CHECK(each.redelivered());
        back.emplace_back(each.body());
        each.ack();
        each.ack(); // a second time does nothing
    }
    CHECK_THAT(back, Catch::Matchers::UnorderedEquals(std::vector<std::string>{"requeue", "dies"}));

    f.in.consume(amqp::dead_queue(f.tag), {}, soon());
    auto dead = drain(f.in, 1);
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].body() == "reject");
    CHECK(dead[0].queue() == amqp::dead_queue(f.tag).str());
    CHECK(dead[0].consumer() == 1);
    CHECK(dead[0].properties().text("x-first-death-queue") == queue.str());
    dead[0].ack();
}

TEST_CASE("a batch acknowledgement spares what died unresolved before it") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};
    for (int i = 0; i < 3; ++i) {
        out.publish("", queue.str(), {}, std::to_string(i), amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(soon()));
    f.in.consume(queue, {}, soon());
    auto got = drain(f.in, 3);
    REQUIRE(got.size() == 3);
    got.erase(got.begin() + 1);
    f.in.ack_up_to(got.back());
    auto again = drain(f.in, 1);
    REQUIRE(again.size() == 1);
    CHECK(again[0].body() == "1");
    f.in.ack_up_to(again[0]);
}

TEST_CASE("returned and refused messages are told apart and by number") {
    fixture f;
    const auto good = f.queue();
    const auto full =
        f.queue({{"x-max-length", std::int64_t{1}}, {"x-overflow", "reject-publish"}});
    amqp::publisher_connection out{f.settings, soon()};
    const auto nowhere = f.tag + "nowhere";
    const auto send = [&](const std::string& to, const std::string& id) {
        return out.publish("", to, {.correlation_id = id}, "x", amqp::mandatory::yes, soon());
    };
    send(full.str(), "fits");
    REQUIRE(out.wait_confirms(soon()));
    send(good.str(), "a");
    const auto lost1 = send(nowhere, "b");
    send(good.str(), "b");
    const auto refused = send(full.str(), "c");
    const auto lost2 = send(nowhere, "d");
    REQUIRE(out.wait_confirms(soon()));
    CHECK(out.outstanding() == 0);

    auto bad = out.take_undelivered();
    REQUIRE(bad.size() == 3);
    std::sort(bad.begin(), bad.end(),
              [](const auto& l, const auto& r) { return l.sequence < r.sequence; });
    CHECK(bad[0].sequence == lost1);
    CHECK(bad[0].why == amqp::undelivered::cause::returned);
    CHECK(bad[0].code == 312);
    CHECK(bad[0].correlation_id == "b");
    CHECK(bad[0].routing_key == nowhere);
    CHECK(bad[1].sequence == refused);
    CHECK(bad[1].why == amqp::undelivered::cause::nacked);
    CHECK(bad[2].sequence == lost2);
    CHECK(out.take_undelivered().empty());

    SECTION("returns come without confirms too") {
        amqp::publisher_connection fast{f.settings, soon(), {.confirms = amqp::confirms::off}};
        fast.publish("", nowhere, {.correlation_id = "e"}, "x", amqp::mandatory::yes, soon());
        REQUIRE(fast.wait_confirms(soon()));
        amqp::wait(nullptr, &fast, -1, 5s);
        const auto returned = fast.take_undelivered();
        REQUIRE(returned.size() == 1);
        CHECK(returned[0].correlation_id == "e");
        CHECK(returned[0].sequence == 0);
    }
}

TEST_CASE("wait ends for deliveries, confirms and the event descriptor") {
    fixture f;
    const auto queue = f.queue();
    f.in.consume(queue, {}, soon());
    amqp::publisher_connection out{f.settings, soon()};
    const int event = eventfd(0, EFD_NONBLOCK);

    const auto start = std::chrono::steady_clock::now();
    auto woke = amqp::wait(&f.in, &out, event, 200ms);
    CHECK_FALSE((woke.deliveries || woke.publisher || woke.event || woke.notice));
    CHECK(std::chrono::steady_clock::now() - start >= 200ms);

    std::thread other{[&] {
        std::this_thread::sleep_for(50ms);
        eventfd_write(event, 1);
    }};
    woke = amqp::wait(&f.in, &out, event, 10s);
    CHECK(woke.event);
    other.join();
    eventfd_t value = 0;
    eventfd_read(event, &value);

    out.publish("", queue.str(), {}, "x", amqp::mandatory::yes, soon());
    out.flush(soon());
    CHECK(amqp::wait(nullptr, &out, event, 5s).publisher);
    CHECK(out.settled(1));
    CHECK(amqp::wait(&f.in, &out, event, 5s).deliveries);
    // What is ready is told again until it is drained.
    CHECK(amqp::wait(&f.in, nullptr, -1, 5s).deliveries);
    auto got = drain(f.in, 1);
    REQUIRE(got.size() == 1);
    got[0].ack();
    ::close(event);
}

TEST_CASE("topology: declared twice is fine, other arguments name the argument") {
    fixture f;
    f.declare(amqp::service_topology(f.tag));
    f.in.declare(amqp::service_topology(f.tag), amqp::declare_mode::active, soon());
    for (const auto op_class :
         {core::op_class::read, core::op_class::write, core::op_class::bulk}) {
        auto objects = amqp::request_topology(f.tag, "rel", op_class);
        objects.bindings.push_back(amqp::template_binding(f.tag, "countries", "rel", op_class));
        f.declare(objects);
        f.in.declare(objects, amqp::declare_mode::active, soon());
        f.in.declare(objects, amqp::declare_mode::passive, soon());
    }
    // Queues from before the type was said are the same.
    auto untyped = amqp::request_topology(f.tag, "rel", core::op_class::read);
    untyped.queues[0].name = amqp::queue_name{f.tag + "untyped"};
    untyped.bindings.clear();
    auto typed = untyped;
    untyped.queues[0].arguments.erase(untyped.queues[0].arguments.begin());
    f.declare(untyped);
    f.in.declare(typed, amqp::declare_mode::active, soon());

    // Consumers of the connection go on across a conflict.
    f.in.consume(amqp::catalog_queue(f.tag), {}, soon());

    const auto conflict = error_of([&] {
        f.in.declare(amqp::request_topology(f.tag, "rel", core::op_class::write, {.max_length = 7}),
                     amqp::declare_mode::active, soon());
    });
    CHECK(conflict.code() == core::errc::topology_conflict);
    CHECK(conflict.handle() == core::handle_state::usable);
    CHECK(conflict.native_code() == 406);
    CHECK(conflict.message() == "queue '" + f.tag +
                                    "rel.write' exists with another 'x-max-length': wanted 7, is "
                                    "100000");

    auto other_type = amqp::request_topology(f.tag, "rel", core::op_class::write);
    other_type.queues[0].arguments = {};
    const auto type =
        error_of([&] { f.in.declare(other_type, amqp::declare_mode::active, soon()); });
    CHECK_THAT(type.message(), Catch::Matchers::Contains("exists with another 'x-"));

    const auto missing = error_of([&] {
        f.in.declare(amqp::request_topology(f.tag, "other", core::op_class::read),
                     amqp::declare_mode::passive, soon());
    });
    CHECK(missing.code() == core::errc::topology_conflict);
    CHECK(missing.native_code() == 404);
    CHECK(missing.message() == "queue '" + f.tag + "other.read' does not exist");

    CHECK(f.in.is_open());
    CHECK(f.in.channel_open());
    CHECK(f.in.inspect(amqp::catalog_queue(f.tag), soon())->consumers == 1);
    CHECK_FALSE(f.in.inspect(amqp::queue_name{f.tag + "none"}, soon()));

    // A template's key leads to its queue, an unknown one to the catalog, as does describe.
    amqp::publisher_connection out{f.settings, soon()};
    const auto events = amqp::events_exchange(f.tag).str();
    for (const auto* key : {"countries.write", "nobody.read", "catalog.read"}) {
        out.publish(events, key, {}, key, amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(soon()));
    CHECK(out.take_undelivered().empty());
    auto catalog = drain(f.in, 2);
    REQUIRE(catalog.size() == 2);
    CHECK(catalog[0].routing_key() == "nobody.read");
    CHECK(catalog[1].body() == "catalog.read");
    f.in.ack_up_to(catalog[1]);
    f.in.consume(amqp::request_queue_name(f.tag, "rel", core::op_class::write), {}, soon());
    auto write = drain(f.in, 1);
    REQUIRE(write.size() == 1);
    CHECK(write[0].body() == "countries.write");
    write[0].ack();

    f.in.unbind(amqp::template_binding(f.tag, "countries", "rel", core::op_class::write), soon());
    out.publish(events, "countries.write", {}, "unbound", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    auto unbound = drain(f.in, 1);
    REQUIRE(unbound.size() == 1);
    CHECK(unbound[0].queue() == amqp::catalog_queue(f.tag).str());
    unbound[0].ack();
}

TEST_CASE("a channel that RabbitMQ closed can be opened again") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};

    SECTION("publisher: an exchange that does not exist") {
        out.publish(f.tag + "no_exchange", "x", {}, "x", amqp::mandatory::yes, soon());
        const auto failure = error_of([&] { out.wait_confirms(soon()); });
        CHECK(failure.code() == core::errc::topology_conflict);
        CHECK(failure.native_code() == 404);
        CHECK(failure.handle() == core::handle_state::usable);
        CHECK(out.is_open());
        CHECK_FALSE(out.channel_open());
        CHECK(error_of([&] {
                  out.publish("", queue.str(), {}, "y", amqp::mandatory::yes, soon());
              }).handle() == core::handle_state::usable);
        out.reopen_channel(soon());
        const auto sequence = out.publish("", queue.str(), {}, "y", amqp::mandatory::yes, soon());
        CHECK(sequence == 2);
        REQUIRE(out.wait_confirms(soon()));
        CHECK(out.settled(sequence));
    }
    SECTION("consumer: a queue that does not exist") {
        out.publish("", queue.str(), {}, "x", amqp::mandatory::yes, soon());
        REQUIRE(out.wait_confirms(soon()));
        f.in.consume(queue, {}, soon());
        auto got = drain(f.in, 1);
        REQUIRE(got.size() == 1);

        const auto failure =
            error_of([&] { f.in.consume(amqp::queue_name{f.tag + "none"}, {}, soon()); });
        CHECK(failure.code() == core::errc::topology_conflict);
        CHECK(failure.handle() == core::handle_state::usable);
        CHECK_FALSE(f.in.channel_open());
        CHECK(error_of([&] { got[0].ack(); }).handle() == core::handle_state::usable);

        f.in.reopen_channel(soon());
        CHECK(error_of([&] { f.in.ack_up_to(got[0]); }).code() == core::errc::unreachable);
        f.in.consume(queue, {}, soon());
        auto again = drain(f.in, 1);
        REQUIRE(again.size() == 1);
        CHECK(again[0].redelivered());
        again[0].ack();
    }
}

TEST_CASE("a consumer whose queue is deleted is reported") {
    fixture f;
    const auto kept = f.queue();
    const auto doomed = f.queue();
    f.in.consume(kept, {}, soon());
    f.in.consume(doomed, {}, soon());
    amqp::publisher_connection out{f.settings, soon()};
    out.remove(doomed, soon());
    const auto woke = amqp::wait(&f.in, &out, -1, 5s);
    CHECK(woke.notice);
    CHECK(f.in.take_cancelled() == std::vector{doomed});
    CHECK(f.in.take_cancelled().empty());
    out.publish("", kept.str(), {}, "x", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    auto got = drain(f.in, 1);
    REQUIRE(got.size() == 1);
    got[0].ack();
}

TEST_CASE("a cancelled consumer gets nothing more, and what it got stays") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};
    const auto consumer = f.in.consume(queue, {.prefetch = 1}, soon());
    out.publish("", queue.str(), {}, "1", amqp::mandatory::yes, soon());
    out.publish("", queue.str(), {}, "2", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    auto got = drain(f.in, 1);
    REQUIRE(got.size() == 1);
    f.in.cancel(consumer, soon());
    got[0].ack();
    CHECK(f.in.drain(got, 10, 300ms) == 0);
    CHECK(out.inspect(queue, soon())->messages == 1);
}

TEST_CASE("an oversized body is skipped and can be rejected") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};
    out.publish("", queue.str(), {.message_id = "big"}, std::string(300'000, 'x'),
                amqp::mandatory::yes, soon());
    out.publish("", queue.str(), {.message_id = "small"}, "x", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    f.in.consume(queue, {.max_body = 1000}, soon());
    auto got = drain(f.in, 2);
    REQUIRE(got.size() == 2);
    CHECK(got[0].oversized());
    CHECK(got[0].body().empty());
    CHECK(got[0].body_size() == 300'000);
    CHECK(got[0].properties().message_id == "big");
    CHECK_FALSE(got[1].oversized());
    CHECK(got[1].body() == "x");
    got[0].reject();
    got[1].ack();
}

TEST_CASE("large bodies are not read ahead without bound") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};
    const std::string body(1024 * 1024, 'x');
    for (int i = 0; i < 40; ++i) {
        out.publish("", queue.str(), {}, body, amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(deadline::after(30s)));
    f.in.consume(queue, {}, soon());
    for (int i = 0; i < 20; ++i) {
        f.in.pump();
        std::this_thread::sleep_for(50ms);
    }
    std::vector<amqp::delivery> got;
    CHECK(f.in.drain(got, 100, 0ms) <= 33);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (got.size() < 40 && std::chrono::steady_clock::now() < end) {
        f.in.drain(got, 100, 200ms);
    }
    REQUIRE(got.size() == 40);
    f.in.ack_up_to(got.back());
}

TEST_CASE("replies consumed without acknowledgement outlive their connection") {
    fixture f;
    const auto unique = test::unique_name("u");
    auto in = std::make_unique<amqp::consumer_connection>(f.settings, soon());
    in->declare(amqp::reply_topology(f.tag, "app", unique), amqp::declare_mode::active, soon());
    const auto queue = amqp::reply_queue_name(f.tag, "app", unique);
    in->consume(queue, {.acknowledge = amqp::acknowledge::automatic}, soon());
    amqp::publisher_connection out{f.settings, soon()};
    for (int i = 0; i < 3000; ++i) {
        out.publish("", queue.str(), {}, std::to_string(i), amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(soon()));
    CHECK(out.take_undelivered().empty());
    auto got = drain(*in, 3000);
    REQUIRE(got.size() == 3000);
    CHECK(got[0].resolved());
    in.reset();
    CHECK(got[2999].body() == "2999");
    std::thread{[moved = std::move(got)]() mutable { moved.clear(); }}.join();

    // The queue went with its connection, so the reply comes back.
    out.publish("", queue.str(), {}, "late", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    CHECK(out.take_undelivered().size() == 1);
}

TEST_CASE("wrong credentials and vhosts are refused, a closed port is unreachable") {
    const auto good = settings();
    auto wrong = good;
    wrong.password = core::secret{"wrong"};
    const auto password = error_of([&] { amqp::consumer_connection{wrong, soon()}; });
    CHECK(password.code() == core::errc::refused);
    CHECK(password.origin() == core::error_origin::rabbitmq);
    CHECK(password.native_code() == 403);
    CHECK_THAT(password.message(), !Catch::Matchers::Contains("wrong"));

    wrong = good;
    wrong.vhost = "no_such_vhost";
    CHECK(error_of([&] {
              amqp::consumer_connection{wrong, soon()};
          }).code() == core::errc::refused);

    wrong = good;
    wrong.port = 1;
    CHECK(error_of([&] {
              amqp::consumer_connection{wrong, soon()};
          }).code() == core::errc::unreachable);

    wrong = good;
    wrong.host = "";
    CHECK(error_of([&] {
              amqp::consumer_connection{wrong, soon()};
          }).code() == core::errc::invalid_configuration);
}

TEST_CASE("names that AMQP cannot carry are refused before anything is written") {
    fixture f;
    const auto queue = f.queue();
    amqp::publisher_connection out{f.settings, soon()};
    const std::string longer(256, 'x');
    CHECK(error_of([&] {
              out.publish("", queue.str(), {.correlation_id = longer}, "x", amqp::mandatory::yes,
                          soon());
          }).code() == core::errc::unsupported);
    CHECK(out.publish("", queue.str(), {}, "x", amqp::mandatory::yes, soon()) == 1);
    CHECK(out.wait_confirms(soon()));
}

TEST_CASE("heartbeats keep idle connections alive and notice when nobody answers") {
    fixture f;
    auto fast = f.settings;
    fast.heartbeat = 1s;
    amqp::consumer_connection in{fast, soon()};
    amqp::publisher_connection out{fast, soon()};
    CHECK(in.heartbeat() == 1s);
    const auto queue = f.queue();
    in.consume(queue, {}, soon());
    // RabbitMQ closes a connection that is silent for two intervals.
    amqp::wait(&in, &out, -1, 4s);
    out.publish("", queue.str(), {}, "x", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    auto got = drain(in, 1);
    REQUIRE(got.size() == 1);
    got[0].ack();
}

TEST_CASE("a socket that is shut down from another thread ends the call that waits") {
    fixture f;
    const auto queue = f.queue();
    f.in.consume(queue, {}, soon());
    std::thread other{[socket = f.in.native_socket()] {
        std::this_thread::sleep_for(100ms);
        ::shutdown(socket, SHUT_RDWR);
    }};
    std::vector<amqp::delivery> got;
    const auto start = std::chrono::steady_clock::now();
    const auto failure = error_of([&] { f.in.drain(got, 1, 20s); });
    other.join();
    CHECK(std::chrono::steady_clock::now() - start < 5s);
    CHECK(failure.code() == core::errc::unreachable);
    CHECK(failure.handle() == core::handle_state::broken);
    CHECK_FALSE(f.in.is_open());
    CHECK(f.in.native_socket() == -1);
    f.in = amqp::consumer_connection{f.settings, soon()};
    f.in.consume(queue, {}, soon());
}
