#include "steps.hpp"
#include "support/becomes.hpp"
#include "support/queues.hpp"

#include <beds/client/amqp_client.hpp>

#include <atomic>
#include <numeric>
#include <thread>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t ids = 24;

std::vector<std::int64_t> up_to(std::int64_t last) {
    std::vector<std::int64_t> made(static_cast<std::size_t>(last));
    std::iota(made.begin(), made.end(), 1);
    return made;
}

/// Numbers 1 to `last` for each id, in turns.
void publish(raw_client& through, std::int64_t first, std::int64_t last) {
    for (auto number = first; number <= last; ++number) {
        for (std::int64_t id = 1; id <= ids; ++id) {
            through.publish(step(id, number));
        }
    }
    REQUIRE(through.settle());
}

void check_all(const steps& done, std::int64_t last, std::chrono::seconds within) {
    const auto end = core::deadline::after(within);
    for (std::int64_t id = 1; id <= ids; ++id) {
        CAPTURE(id);
        CHECK(becomes([&] { return done.of(id).size() == static_cast<std::size_t>(last); },
                      end.remaining_ms()));
        CHECK(done.of(id) == up_to(last));
    }
}

std::string answer(raw_client& client, raw_message what) {
    what.reply_to = client.reply_queue();
    client.publish(what);
    CHECK(client.settle());
    const auto got = client.reply();
    return got ? got->body : "no reply";
}

} // namespace

TEST_CASE("writes on one value are done in the order in which they were published, on two nodes") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    const auto store = done.store();
    node_of_steps first{rabbitmq, tag, store};
    node_of_steps second{rabbitmq, tag, store, [](config::settings& settings) {
                             settings.broker_services["app_server"].instances["mem"].order = 3;
                         }};
    std::thread other{[&] { second.begin(); }}; // both at once: each gets some of the lanes
    first.start();
    other.join();
    REQUIRE(second.node().wait_ready(core::deadline::after(20s)));
    raw_client client{rabbitmq, tag};
    publish(client, 1, 60);
    check_all(done, 60, 20s);
    CHECK(first.ordered() + second.ordered() == static_cast<std::uint64_t>(ids * 60));
}

TEST_CASE("the order holds when the node that has the lanes stops, in good order and otherwise") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    done.judge = [](std::int64_t, std::int64_t, unsigned) {
        std::this_thread::sleep_for(100us); // so that there is something to take over
        return core::outcome{};
    };
    const auto store = done.store();
    auto first = std::make_unique<node_of_steps>(rabbitmq, tag, store);
    first->start();
    node_of_steps second{rabbitmq, tag, store};
    second.start();
    raw_client client{rabbitmq, tag};
    publish(client, 1, 40);
    const bool orderly = GENERATE(true, false);
    CAPTURE(orderly);
    if (orderly) {
        CHECK(first->node().stop(core::deadline::after(10s)));
    }
    first.reset();
    publish(client, 41, 60);
    check_all(done, 60, 30s);
    CHECK(second.ordered() > 0);
}

TEST_CASE("a write that fails for a while holds up those behind it, and no other lane") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    done.judge = [](std::int64_t id, std::int64_t number, unsigned times) {
        return id == 7 && number == 3 && times < 3
                   ? core::outcome::failure(core::code::backend_unavailable, "not yet")
                   : core::outcome{};
    };
    node_of_steps only{rabbitmq, tag, done.store()};
    only.start();
    raw_client client{rabbitmq, tag};
    publish(client, 1, 10);
    // Others are through long before; those of its lane wait.
    std::size_t lagging = 0;
    CHECK(becomes(
        [&] {
            lagging = 0;
            for (std::int64_t id = 1; id <= ids; ++id) {
                lagging += done.of(id).size() < 10 ? 1U : 0U;
            }
            return lagging < ids / 3;
        },
        5s));
    CHECK(done.of(7) == up_to(2));
    check_all(done, 10, 30s);
}

TEST_CASE("a write that fails too often becomes a dead letter, and its lane goes on") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    done.judge = [](std::int64_t, std::int64_t number, unsigned) {
        return number == 2 ? core::outcome::failure(core::code::backend_unavailable, "never")
                           : core::outcome{};
    };
    node_of_steps only{rabbitmq, tag, done.store(), [](config::settings& settings) {
                           settings.broker_services["app_server"].max_attempts = 2;
                       }};
    only.start();
    raw_client client{rabbitmq, tag};
    client.listen_to_the_dead();
    for (std::int64_t number = 1; number <= 3; ++number) {
        client.publish(step(5, number));
    }
    REQUIRE(client.settle());
    CHECK(becomes([&] { return done.of(5) == std::vector<std::int64_t>{1, 3}; }, 10s));
    const auto dead = client.dead();
    REQUIRE(dead);
    CHECK(dead->header("beds-error-code") == "BACKEND_UNAVAILABLE");
    CHECK(contains(only.log(), "BEDS_DEAD_LETTER"));
}

TEST_CASE("what is wrong with an ordered write is said, and nothing is done") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    node_of_steps only{rabbitmq, tag, done.store()};
    only.start();
    raw_client client{rabbitmq, tag};

    auto what = step(1, 1);
    what.text_headers.clear();
    CHECK(contains(answer(client, what), R"("code":"INVALID_ENVELOPE")"));
    CHECK(contains(answer(client, what), "the header beds-order must be the value of 'id'"));
    what.integer_headers = {{"beds-order", 1}};
    CHECK(contains(answer(client, what), "the header beds-order must be a text"));
    what = step(1, 1);
    what.text_headers = {{"beds-order", "01"}};
    CHECK(contains(answer(client, what), "beds-order is not the value of 'id'"));
    what = step(1, 1);
    what.key = "steps.write";
    CHECK(contains(answer(client, what), R"("code":"MISROUTED")"));
    CHECK(contains(answer(client, what), "publish them with the key 'steps.order'"));
    what = step(1, 1);
    what.body = R"({"v":1,"template":"steps","op":"update","where":{"id":1},"set":{"last":2}})";
    CHECK(contains(answer(client, what), R"("code":"UNSUPPORTED")"));
    // One message, two values.
    what.body = R"({"v":1,"ops":[{"template":"steps","op":"insert","data":{"id":1,"last":1}},)"
                R"({"template":"steps","op":"insert","data":{"id":2,"last":1}}]})";
    const auto both = answer(client, what);
    CHECK(contains(both, R"("status":"ok")"));
    CHECK(contains(both, "in each write of the message"));
    what.body = R"({"v":1,"template":"steps","op":"insert","data":[{"id":1},{"id":3}]})";
    CHECK(contains(answer(client, what), "in each write of the message"));
    what.body = R"({"v":1,"template":"steps","op":"delete","key":2})";
    CHECK(contains(answer(client, what), "in each write of the message"));
    what.body = R"({"v":1,"template":"steps","op":"update","key":1,"set":{"last":5}})";
    what.message_id = unique_name("step");
    CHECK(contains(answer(client, what), R"("effect":"applied")"));
    CHECK(done.of(1).empty());
    // Reads are as ever.
    raw_message read;
    read.key = "steps.read";
    read.body = R"({"v":1,"template":"steps","op":"fetch","key":1})";
    CHECK(contains(answer(client, read), R"("last":5)"));
    raw_message described;
    described.key = "catalog.read";
    described.body = R"({"v":1,"op":"describe","template":"steps"})";
    CHECK(contains(answer(client, described), R"("order_by":"id")"));
}

TEST_CASE("the client sends what has an order where that is kept") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    node_of_steps only{rabbitmq, tag, done.store()};
    only.start();
    std::atomic<int> answered{0};
    std::atomic<int> good{0};
    client::amqp_client_settings how;
    how.amqp = amqp_settings(rabbitmq);
    how.queue_tag = tag;
    const auto client = client::make_amqp_client(how);
    const auto ask = [&](std::int64_t id, std::int64_t number) {
        client::request made{client::call("steps", "step", {{"id", id}, {"number", number}})};
        made.order = std::to_string(id);
        return made;
    };
    for (std::int64_t number = 1; number <= 50; ++number) {
        for (std::int64_t id = 1; id <= ids; ++id) {
            client->submit(ask(id, number), core::deadline::after(20s), [&](client::reply got) {
                good += got.ok() ? 1 : 0;
                ++answered;
            });
        }
    }
    CHECK(becomes([&] { return answered == 50 * ids; }));
    CHECK(good == 50 * ids);
    check_all(done, 50, 1s);
    CHECK(client->call(client::call("steps", "step", {{"id", 1}, {"number", 1}}), 5s)
              .front()
              .code() == core::code::misrouted);
}

TEST_CASE("a reload that changes what a template is ordered by is refused") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    folder files;
    const auto write = [&](std::string_view from, std::string_view to) {
        auto text = std::string{steps_template};
        if (!from.empty()) {
            text.replace(text.find(from), from.size(), to);
        }
        files.write("steps.toml", text);
    };
    const auto [before, after, said] = GENERATE(table<std::string, std::string, std::string>({
        {"", "order_by   = \"id\"\n", "' is ordered now, by 'id': that takes a restart"},
        {"order_by   = \"id\"\n", "", "' is not ordered any more: that takes a restart"},
    }));
    const std::string as_it_is = "order_by   = \"id\"\n";
    write(as_it_is, before);
    steps done;
    node_of_steps only{rabbitmq, tag, done.store(), [&](config::settings& settings) {
                           settings.templates.directory = files.root();
                       }};
    only.node().start();
    REQUIRE(only.node().wait_ready(core::deadline::after(20s)));
    write(as_it_is, after);
    const auto report = only.node().reload_templates(core::deadline::after(5s));
    REQUIRE(report.problems.size() == 1);
    CHECK(contains(report.problems.front(), "steps.toml:"));
    CHECK(contains(report.problems.front(), "template.order_by: template 'steps" + said));
}
