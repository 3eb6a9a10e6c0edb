#include "support/catch.hpp"
#include "world.hpp"

#include <beds/core/error.hpp>

#include <atomic>
#include <new>
#include <set>

using namespace beds;
using namespace std::chrono_literals;
using client::members;
using core::code;
using core::effect;
using test::inbox;
using test::world;

namespace {

constexpr auto soon = 20s; // longer than any test lasts

client::request wait_for_door(std::int64_t id) {
    return client::call("items", "wait", members{{"id", id}});
}
client::request look() {
    return client::call("items", "look");
}
core::deadline late() {
    return core::deadline::after(soon);
}

/// Fails where nobody expects it.
class broken_adapter final : public adapters::adapter {
public:
    [[nodiscard]] std::string_view engine_name() const override { return "broken"; }
    [[nodiscard]] const std::string& connection_name() const override {
        return memory_->connection_name();
    }
    [[nodiscard]] adapters::capabilities can() const override { return memory_->can(); }
    [[nodiscard]] std::unique_ptr<adapters::session>
    open_session(adapters::session_context context) override {
        return memory_->open_session(std::move(context));
    }
    [[nodiscard]] std::vector<std::string>
    check(const templates::template_def& target) const override {
        return memory_->check(target);
    }
    [[nodiscard]] bool runs_alone(const templates::template_def&, core::verb,
                                  const templates::call*) const override {
        throw std::bad_alloc{};
    }
    void inspect(adapters::session&, std::span<const templates::template_def* const>,
                 core::deadline) override {}

private:
    std::shared_ptr<adapters::adapter> memory_ = adapters::make_memory("mem");
};

} // namespace

TEST_CASE("local client: every operation answers as it does over RabbitMQ") {
    world it;
    auto& beds = *it.beds;
    CHECK(beds.wait_ready(core::deadline::after(0s)));

    auto got = beds.call(client::insert("items", members{{"id", 1}, {"name", "rope"}}));
    CHECK(got.front().effect() == effect::applied);
    CHECK(got.request_id().size() == 36);
    beds.call(client::insert("items", std::vector{client::value::object({{"id", 2}}),
                                                  client::value::object({{"id", 3}})}));

    got = beds.call(client::fetch("items", 1));
    REQUIRE(got.size() == 1);
    REQUIRE(got.front().size() == 1);
    CHECK(got.front()[0].text("name") == "rope");
    CHECK(got.front()[0].integer("id") == 1);
    CHECK(got.front()[0].find("nothing") == nullptr);
    CHECK(got.request_id().empty());

    auto page = client::find("items");
    page.limit = 2;
    got = beds.call(page);
    REQUIRE(got.front().size() == 2);
    REQUIRE(!got.front().next().empty());
    page.after = got.front().next();
    got = beds.call(page);
    REQUIRE(got.front().size() == 1);
    CHECK(got.front()[0].integer("id") == 3);
    CHECK(got.front().next().empty());

    CHECK(beds.call(client::count("items")).front().total() == 3U);
    CHECK(beds.call(client::exists("items", members{{"id", 3}})).front().exists());
    CHECK(beds.call(client::update("items", 2, members{{"name", "net"}})).ok());
    CHECK(beds.call(client::remove("items", 3)).front().effect() == effect::applied);
    CHECK(!beds.call(client::exists("items", members{{"id", 3}})).front().exists());

    got = beds.call(client::describe("items"));
    REQUIRE(got.ok());
    CHECK(got.json().find("\"look\"") != std::string::npos);

    got = beds.call(client::update("items", 2, members{{"nmae", "x"}}));
    CHECK(got.front().code() == code::invalid_field);
    CHECK(got.front().field() == "nmae");
    CHECK(got.front().detail().find("did you mean 'name'") != std::string::npos);
    CHECK(beds.call(client::fetch("itens", 1)).front().code() == code::unknown_template);

    got = beds.call({{client::fetch("items", 1), client::fetch("items", 2)}});
    REQUIRE(got.size() == 2);
    CHECK(got[1][0].text("name") == "net");
    got = beds.call(
        {{client::insert("items", members{{"id", 9}}), client::insert("items", members{{"id", 1}})},
         core::envelope_mode::atomic});
    CHECK(!got.ok());
    CHECK(!beds.call(client::exists("items", members{{"id", 9}})).front().exists());

    got = beds.call(client::request{});
    CHECK(got.front().code() == code::invalid_envelope);
}

TEST_CASE("local client: the same id twice happens once and gets the first reply again") {
    world it;
    it.beds->call(client::insert("items", members{{"id", 1}, {"name", "rope"}}));
    client::request once = client::remove("items", 1);
    once.id = "delivery-17";
    const auto first = it.beds->call(once);
    CHECK(first.front().effect() == effect::applied);
    CHECK(first.request_id() == "delivery-17");
    CHECK(it.beds->call(once).json() == first.json());
}

TEST_CASE("local client: a deadline ends the call, and says what may have happened") {
    world it{{.workers = 1}};
    // Under way and waiting at the door: what it did will be there when it is let through.
    const auto writing = it.beds->call(wait_for_door(1), 500ms);
    CHECK(writing.front().code() == code::deadline_exceeded);
    CHECK(writing.front().effect() == effect::unknown);
    REQUIRE(it.door.wait_for(1));
    // Behind it in the queue: never started.
    const auto queued = it.beds->call(client::insert("items", members{{"id", 2}}), 30ms);
    CHECK(queued.front().code() == code::deadline_exceeded);
    CHECK(queued.front().effect() == effect::none);
    const auto reading = it.beds->call(client::fetch("items", 1), 30ms);
    CHECK(reading.front().code() == code::deadline_exceeded);
    CHECK(reading.front().effect() == effect::none);
    const auto several =
        it.beds->call({{client::fetch("items", 1), client::fetch("items", 2)}}, 30ms);
    REQUIRE(several.size() == 2);
    CHECK(several[1].code() == code::deadline_exceeded);
    // Expired before it was sent.
    CHECK(it.beds->call(client::fetch("items", 1), -1ms).front().code() == code::deadline_exceeded);

    it.door.open();
    CHECK(it.beds->call(client::count("items"), soon).front().total() <= 1U);
    CHECK(!it.beds->call(client::exists("items", members{{"id", 2}}), soon).front().exists());
}

TEST_CASE("local client: an operation's own deadline holds for it alone") {
    world it;
    auto past = client::fetch("items", 1);
    past.deadline = core::system_time{1s};
    const auto got = it.beds->call({{past, client::count("items")}}, soon);
    REQUIRE(got.size() == 2);
    CHECK(got[0].code() == code::deadline_exceeded);
    CHECK(got[1].ok());
}

TEST_CASE("local client: deadlines beyond any clock are none that expire") {
    world it;
    for (const auto until : {core::deadline::never(), core::deadline::after(24h * 365 * 200),
                             core::deadline::after(24h * 366)}) {
        CHECK(it.beds->call(client::count("items"), until).ok());
    }
}

TEST_CASE("local client: requests above max_outstanding are refused at once") {
    world it{{.workers = 1, .max_outstanding = 2}};
    inbox got{3};
    it.beds->submit(look(), late(), got.place(0));
    REQUIRE(it.door.wait_for(1));
    it.beds->submit(client::insert("items", members{{"id", 1}}), late(), got.place(1));
    it.beds->submit(client::insert("items", members{{"id", 2}}), late(), got.place(2));
    REQUIRE(got.count() == 1); // before `submit` returned
    const auto refused = got.of(2).at(0);
    CHECK(refused.front().code() == code::overloaded);
    CHECK(refused.front().effect() == effect::none);
    CHECK(refused.front().retryable());
    CHECK(refused.front().retry_after() > 0ms);

    it.door.open();
    REQUIRE(got.wait_for(3));
    CHECK(got.of(0).at(0).ok());
    CHECK(got.of(1).at(0).ok());
    // There is room again, and what was refused did not happen.
    CHECK(it.beds->call(client::count("items"), soon).front().total() == 1U);
}

TEST_CASE("local client: calls that are open when it is destroyed end once each, and truly") {
    constexpr std::size_t calls = 40;
    world it;
    inbox got{calls};
    auto doomed = it.another({.workers = 2, .max_batch = 1});
    for (std::size_t i = 0; i < calls; ++i) {
        doomed->submit(wait_for_door(static_cast<std::int64_t>(i)), late(), got.place(i));
    }
    REQUIRE(it.door.wait_for(1));
    std::thread destroyer{[&] { doomed.reset(); }};
    it.door.open(); // the one under way can end now, before or after the stop was seen
    destroyer.join();

    REQUIRE(got.count() == calls);
    for (std::size_t i = 0; i < calls; ++i) {
        INFO("call " << i);
        const auto replies = got.of(i);
        REQUIRE(replies.size() == 1);
        const auto there =
            it.beds->call(client::exists("items", members{{"id", static_cast<std::int64_t>(i)}}));
        if (replies[0].ok()) {
            CHECK(there.front().exists());
        } else {
            CHECK(replies[0].front().code() == code::backend_unavailable);
            CHECK(replies[0].front().effect() == effect::none);
            CHECK(!there.front().exists());
        }
    }
}

TEST_CASE("local client: a defect below it ends the requests, not the program") {
    const world it;
    std::atomic<int> logged = 0;
    client::local_client_settings settings;
    settings.log = observe::log_sink{observe::level::error, [&](const observe::log_record& record) {
                                         logged += record.id == "BEDS_LOCAL_CLIENT_FAILED" ? 1 : 0;
                                     }};
    const auto beds = client::make_local_client(it.registry, {std::make_shared<broken_adapter>()},
                                                std::move(settings));
    for (int i = 0; i < 2; ++i) {
        const auto written = beds->call(client::insert("items", members{{"id", 1}}), soon);
        CHECK(written.front().code() == code::internal);
        CHECK(written.front().effect() == effect::unknown);
    }
    CHECK(logged == 2);
}

TEST_CASE("local client: a completion may submit the next request") {
    world it;
    inbox got{1};
    it.beds->submit(client::insert("items", members{{"id", 1}}), late(), [&](client::reply) {
        it.beds->submit(client::fetch("items", 1), late(), got.place(0));
    });
    REQUIRE(got.wait_for(1));
    CHECK(got.of(0).at(0).front().size() == 1);
}

TEST_CASE("local client: many threads share it") {
    world it{{.workers = 3, .max_batch = 8}};
    constexpr int threads = 6;
    constexpr int each = 200;
    inbox got{threads * each};
    std::vector<std::thread> callers;
    for (int t = 0; t < threads; ++t) {
        callers.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
                const auto n = t * each + i;
                it.beds->submit(client::insert("items", members{{"id", n}}), late(),
                                got.place(static_cast<std::size_t>(n)));
            }
        });
    }
    for (auto& caller : callers) {
        caller.join();
    }
    REQUIRE(got.wait_for(threads * each));
    std::set<std::string> ids;
    for (std::size_t i = 0; i < threads * each; ++i) {
        REQUIRE(got.of(i).size() == 1);
        REQUIRE(got.of(i)[0].front().effect() == effect::applied);
        ids.insert(got.of(i)[0].request_id());
    }
    CHECK(ids.size() == threads * each);
    CHECK(it.beds->call(client::count("items"), soon).front().total() == threads * each);
}

TEST_CASE("local client: settings that cannot work are refused") {
    const world it;
    const auto refused = [](auto&& make) {
        try {
            make();
        } catch (const core::error& wrong) {
            return wrong.code() == core::errc::invalid_configuration;
        }
        return false;
    };
    CHECK(refused([&] { (void)it.another({.workers = 0}); }));
    CHECK(refused([&] { (void)it.another({.max_batch = 0}); }));
    CHECK(refused([&] { (void)client::make_local_client(it.registry, {}); }));
}
