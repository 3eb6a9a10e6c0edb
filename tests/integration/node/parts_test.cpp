#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <condition_variable>
#include <mutex>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;
using beds::client::reply;
using beds::client::value;

namespace {

constexpr std::string_view pages_template = R"toml(
[template]
name       = "pages"
store      = "rel"
connection = "mem"
object     = "pages"
key        = ["id"]
[fields]
id   = { type = "int64", required = true }
text = { type = "string", max = 1000 }
[limits]
max_rows = 100000
)toml";

constexpr int rows = 3000;
constexpr std::size_t part_bytes = 64 * 1024;

/// 3,000 rows of about 300 bytes each; replies of at most 128 KiB, parts of 64 KiB.
struct pages {
    pages() : rabbitmq(test::require_amqp()), tag(test::unique_name("t") + "_") {
        config::settings settings;
        settings.id.node = "test";
        settings.templates.directory.clear();
        auto service = test::role_on(rabbitmq, tag);
        service.instances["mem"] = {.read = 1, .write = 1, .bulk = 0};
        service.max_reply_bytes = 2 * part_bytes;
        service.reply_part_bytes = part_bytes;
        settings.broker_services["app_server"] = service;
        node = std::make_unique<node::node>(std::move(settings));
        node->add_connection(adapters::make_memory("mem"));
        node->add_template(pages_template, "pages.toml");
        node->start();
        REQUIRE(node->wait_ready(core::deadline::after(15s)));
        client = test::client_on(rabbitmq, tag);
        for (int from = 1; from <= rows; from += 500) {
            std::vector<value> some;
            for (int id = from; id < from + 500; ++id) {
                some.push_back(value::object({{"id", id}, {"text", std::string(280, 'x')}}));
            }
            REQUIRE(client->call(client::insert("pages", std::move(some))).ok());
        }
    }
    test::endpoint rabbitmq;
    std::string tag;
    std::unique_ptr<node::node> node;
    std::unique_ptr<client::client> client;
};

/// Every part, in the order they came.
std::vector<reply> parts_of(client::client& through, client::request what) {
    what.in_parts = true;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<reply> got;
    bool last = false;
    through.submit(std::move(what), core::deadline::after(20s), [&](reply one) {
        const std::lock_guard lock{mutex};
        CHECK_FALSE(last);
        last = one.last();
        got.push_back(std::move(one));
        changed.notify_one();
    });
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, 30s, [&] { return last; }));
    return got;
}

} // namespace

TEST_CASE("a find that is larger than a reply comes in parts to a caller who takes them") {
    pages world;
    auto all = client::find("pages");
    all.limit = rows;

    const auto refused = world.client->call(all);
    CHECK(refused.front().code() == core::code::limit_exceeded);

    const auto got = parts_of(*world.client, all);
    CHECK(got.size() > 10);
    std::int64_t next = 1;
    for (std::size_t i = 0; i < got.size(); ++i) {
        REQUIRE(got[i].ok());
        CHECK(got[i].part_number() == i);
        CHECK(got[i].last() == (i + 1 == got.size()));
        CHECK(got[i].json().size() < part_bytes + 1024);
        for (std::size_t row = 0; row < got[i].front().size(); ++row) {
            CHECK(got[i].front()[row].integer("id") == next++);
        }
    }
    CHECK(next == rows + 1);

    all.limit = rows - 1; // the cursor stands in the last part
    const auto page = parts_of(*world.client, all);
    CHECK(page[0].front().next().empty());
    CHECK_FALSE(page.back().front().next().empty());
}

TEST_CASE("callers beside it get their answers, each in one message") {
    pages world;
    auto all = client::find("pages");
    all.limit = rows;
    client::request large{all};
    large.in_parts = true;
    std::mutex mutex;
    std::condition_variable changed;
    int fetched = 0;
    int parts = 0;
    int finds = 0;
    for (int i = 1; i <= 20; ++i) {
        world.client->submit(large, core::deadline::after(20s), [&](const reply& one) {
            const std::lock_guard lock{mutex};
            CHECK(one.ok());
            parts += 1;
            finds += one.last() ? 1 : 0;
            changed.notify_one();
        });
        world.client->submit(client::fetch("pages", i), core::deadline::after(20s),
                             [&, i](const reply& one) {
                                 const std::lock_guard lock{mutex};
                                 CHECK(one.front()[0].integer("id") == i);
                                 CHECK(one.last());
                                 ++fetched;
                                 changed.notify_one();
                             });
    }
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, 60s, [&] { return fetched == 20 && finds == 20; }));
    CHECK(parts > 200);
}

TEST_CASE("who takes parts and needs none, and errors, get one that is the last") {
    pages world;
    const auto one = parts_of(*world.client, client::fetch("pages", 7));
    REQUIRE(one.size() == 1);
    CHECK(one[0].front()[0].integer("id") == 7);

    const auto wrong = parts_of(*world.client, client::find("pges"));
    REQUIRE(wrong.size() == 1);
    CHECK(wrong[0].front().code() == core::code::unknown_template);

    test::raw_client raw{world.rabbitmq, world.tag};
    raw.publish({.key = "pages.read",
                 .body = R"({"v":1,"template":"pages","op":"find","limit":3000})",
                 .correlation_id = "large",
                 .reply_to = raw.reply_queue(),
                 .text_headers = {{"beds-parts", "true"}}});
    REQUIRE(raw.settle());
    const auto first = raw.reply();
    REQUIRE(first);
    CHECK(first->correlation_id == "large");
    CHECK(first->body.find(R"("part":0,"last":false)") != std::string::npos);
}

TEST_CASE("a caller that goes while its parts are sent harms nobody") {
    pages world;
    auto all = client::find("pages");
    all.limit = rows;
    {
        std::mutex mutex;
        std::condition_variable changed;
        int parts = 0;
        // Goes first, and its thread with it, which calls back until then.
        const auto leaving = test::client_on(world.rabbitmq, world.tag);
        client::request large{all};
        large.in_parts = true;
        for (int i = 0; i < 20; ++i) {
            leaving->submit(large, core::deadline::after(20s), [&](const reply&) {
                const std::lock_guard lock{mutex};
                ++parts;
                changed.notify_one();
            });
        }
        std::unique_lock lock{mutex};
        REQUIRE(changed.wait_for(lock, 20s, [&] { return parts > 0; }));
        lock.unlock();
        leaving->submit(client::fetch("pages", 1), core::deadline::after(1ms), [](const reply&) {});
    }
    CHECK(parts_of(*world.client, all).size() > 10);
}
