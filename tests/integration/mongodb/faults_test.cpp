#include "fixture.hpp"
#include "support/catch.hpp"

#include <beds/core/error.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

// A server of our own that stands still, is killed and comes back; TLS. Each case ends by proving
// that service is restored.

using namespace beds;
using namespace beds::test::mongodb;
using adapters::step_result;
using testing::operations;
using testing::template_maker;
using namespace std::chrono_literals;

namespace {

const auto target = template_maker{"things"}
                        .connection("rec", templates::engine::rec)
                        .field("id", "int64", {.column = "_id"})
                        .field("n", "int64")
                        .key({"id"})
                        .build();

core::deadline in(std::chrono::milliseconds span) {
    return core::deadline::after(span);
}

answer fetch(adapters::session& session, std::chrono::milliseconds budget) {
    operations ops;
    ops.fetch(target, {1});
    return run(session, ops, in(budget));
}

answer add(adapters::session& session, std::chrono::milliseconds budget) {
    operations ops;
    ops.update(target, {1}).inc({{"n", 1}});
    return run(session, ops, in(budget));
}

std::int64_t amount(adapters::session& session) {
    operations ops;
    auto one = ops.fetch(target, {1});
    const auto got = run(session, ops, in(5s));
    return got.of(one).rows.at(0).at("n").view().integer;
}

/// As a broker does: until it works.
void reconnect(adapters::session& session) {
    const auto until = in(20s);
    for (;;) {
        try {
            session.connect(in(5s));
            return;
        } catch (const core::error& error) {
            REQUIRE(error.code() == core::errc::unreachable);
            REQUIRE_FALSE(until.expired());
            std::this_thread::sleep_for(50ms);
        }
    }
}

std::chrono::milliseconds since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start);
}

} // namespace

TEST_CASE("faults: a server that stands still, is killed, and comes back") {
    test::private_servers servers{test::server::mongodb};
    const auto where = servers.mongodb();
    const auto engine = adapters::make_mongodb("rec", settings_for(where.uri, "beds_faults"));
    const auto session = engine->open_session({"test", nullptr, {}});
    session->connect(in(5s));
    operations first;
    first.insert(target, {{"id", 1}, {"n", 0}});
    REQUIRE(run(*session, first).outcomes[0].ok());

    SECTION("stands still") {
        servers.pause(test::server::mongodb);
        auto start = std::chrono::steady_clock::now();
        CHECK(fetch(*session, 400ms).step == step_result::expired);
        CHECK(since(start) >= 390ms);
        CHECK(since(start) < 1500ms);
        CHECK_FALSE(session->usable());
        // A new connection is taken by the kernel and never answered.
        start = std::chrono::steady_clock::now();
        CHECK_THROWS_AS(session->connect(in(400ms)), core::error);
        CHECK(since(start) < 1500ms);
        servers.resume(test::server::mongodb);
        reconnect(*session);
        CHECK(amount(*session) == 0);

        servers.pause(test::server::mongodb);
        start = std::chrono::steady_clock::now();
        const auto write = add(*session, 400ms);
        CHECK(since(start) < 1500ms);
        CHECK(write.step == step_result::done);
        CHECK(text_of(write.outcomes[0]) == "error DEADLINE_EXCEEDED unknown");
        start = std::chrono::steady_clock::now();
        CHECK_FALSE(session->alive(in(300ms)));
        CHECK(since(start) < 1000ms);
        servers.resume(test::server::mongodb);
        reconnect(*session);
        // The frozen server found it in its socket: unknown was the truth.
        const auto now = amount(*session);
        CHECK((now == 0 || now == 1));
    }
    SECTION("is killed while idle") {
        servers.kill(test::server::mongodb);
        CHECK(add(*session, 2s).step == step_result::broken);
        CHECK_FALSE(session->usable());
        const auto start = std::chrono::steady_clock::now();
        CHECK_THROWS_AS(session->connect(in(1s)), core::error);
        CHECK(since(start) < 1500ms);
        servers.start(test::server::mongodb);
        reconnect(*session);
        CHECK(amount(*session) == 0);
        CHECK(text_of(add(*session, 5s).outcomes[0]) == "ok OK applied");
        CHECK(amount(*session) == 1);
    }
    SECTION("is killed under load: what is acknowledged is there, what is not is at most doubt") {
        std::atomic<std::int64_t> applied{0};
        std::int64_t unknown = 0;
        std::thread killer{[&] { // in the middle of it, also where everything is slow
            const auto latest = in(20s);
            while (applied < 20 && !latest.expired()) {
                std::this_thread::sleep_for(10ms);
            }
            servers.kill(test::server::mongodb);
        }};
        for (;;) {
            const auto got = add(*session, 5s);
            if (got.step == step_result::broken) {
                break;
            }
            REQUIRE(got.step == step_result::done);
            const auto& outcome = got.outcomes[0];
            if (outcome.effect == core::effect::applied) {
                ++applied;
            } else {
                REQUIRE(text_of(outcome) == "error BACKEND_UNAVAILABLE unknown");
                ++unknown;
                break;
            }
        }
        killer.join();
        servers.start(test::server::mongodb);
        reconnect(*session);
        const auto now = amount(*session);
        CAPTURE(applied.load(), unknown, now);
        CHECK(applied > 0);
        CHECK(now >= applied);
        CHECK(now <= applied + unknown);
    }
}

TEST_CASE("faults: TLS with the server's certificate checked") {
    const test::private_servers servers{
        test::server::mongodb}; // one of the caller's may have no TLS
    const auto where = test::parse_uri(servers.variable("BEDS_MONGODB_TLS_URI"));
    const std::filesystem::path ca = servers.variable("BEDS_TLS_CA");
    const std::filesystem::path other = servers.variable("BEDS_TLS_OTHER_CA");
    config::rec_service_settings settings;
    settings.host = where.host;
    settings.port = where.port;
    settings.database = test::unique_name();
    settings.tls.enabled = true;
    settings.connect_timeout = 3s;
    const auto connects = [&] {
        const auto engine = adapters::make_mongodb("rec", settings);
        const auto session = engine->open_session({"test", nullptr, {}});
        try {
            session->connect(in(5s));
        } catch (const core::error& error) {
            CHECK(error.code() == core::errc::unreachable);
            return error.message();
        }
        CHECK(session->alive(in(2s)));
        operations ops;
        ops.count(target);
        return std::string{run(*session, ops).outcomes[0].ok() ? "yes" : "no"};
    };
    settings.tls.ca = ca;
    CHECK(connects() == "yes");
    settings.tls.ca = other;
    CHECK(connects().find("TLS") != std::string::npos);
    settings.tls.ca.clear();
    CHECK(connects().find("TLS") != std::string::npos);
    settings.tls.verify = false;
    CHECK(connects() == "yes");
    settings.tls.ca = other;
    settings.host = "127.1"; // the same machine, but no name of the certificate
    CHECK(connects() == "yes");
    settings.tls.verify = true;
    settings.tls.ca = ca;
    CHECK(connects().find("TLS") != std::string::npos);
    settings.host = where.host;
    settings.tls = {};
    // Plain text to a TLS port.
    const auto plain = connects();
    CHECK(plain != "yes");

    // A certificate of our own, from two files; the server's serves as one.
    settings.tls.enabled = true;
    settings.tls.ca = ca;
    settings.tls.cert = ca.parent_path() / "server.pem";
    settings.tls.key = ca.parent_path() / "server.key";
    CHECK(connects() == "yes");
    settings.tls.key = other; // no key in it
    CHECK(connects().find("TLS") != std::string::npos);
    settings.tls = {};

    settings.uri = core::secret{where.uri + "&tlsCAFile=" + ca.string()};
    CHECK(connects() == "yes");
    settings.uri = core::secret{where.uri + "&tlsCAFile=" + other.string()};
    CHECK(connects().find("TLS") != std::string::npos);
    // TLS to a port without it: no falling back.
    settings.uri = {};
    const auto open = servers.mongodb();
    settings.host = open.host;
    settings.port = open.port;
    settings.tls.enabled = true;
    settings.tls.ca = ca;
    CHECK(connects() != "yes");
}
