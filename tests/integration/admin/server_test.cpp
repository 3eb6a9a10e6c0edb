#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/http.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/admin/server.hpp>
#include <beds/core/error.hpp>

#include <algorithm>
#include <dirent.h>
#include <memory>
#include <mutex>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using namespace std::string_literals;
using test::contains;
using test::http_get;
using test::tcp_client;

namespace {

/// A node without brokers: it has pages like any other.
struct lonely_node {
    lonely_node() : node(settings()) {
        node.add_connection(adapters::make_memory("mem"));
        node.add_template(R"(
            template = { name = "items", store = "rel", connection = "mem", object = "i", key = ["id"] }
            [fields]
            id = { type = "int64", required = true })",
                          "items.toml");
        node.start();
    }
    static config::settings settings() {
        config::settings made;
        made.templates.directory.clear();
        return made;
    }
    node::node node;
};

admin::server_settings fast() {
    return {.listen = "127.0.0.1:0", .max_connections = 4, .client_time = 400ms, .pace = 1ms};
}

struct served_node : lonely_node {
    explicit served_node(const admin::server_settings& how = fast()) : pages(node, how) {
        pages.start();
    }
    admin::server pages;
};

std::size_t open_descriptors() {
    std::size_t count = 0;
    if (auto* const all = ::opendir("/proc/self/fd")) {
        while (::readdir(all) != nullptr) {
            ++count;
        }
        ::closedir(all);
    }
    return count;
}

} // namespace

TEST_CASE("the pages of a node") {
    served_node served;
    const auto port = served.pages.port();
    const auto live = http_get(port, "/live");
    CHECK(live.status == 200);
    CHECK(live.body == "{\"live\":true,\"stuck\":[]}\n");
    CHECK(contains(live.head, "Content-Type: application/json\r\n"));
    CHECK(http_get(port, "/ready").status == 200);
    const auto metrics = http_get(port, "/metrics?name=x");
    CHECK(metrics.status == 200);
    CHECK(contains(metrics.head, "Content-Type: text/plain; version=0.0.4"));
    CHECK(contains(metrics.body, "beds_live 1\n"));
    CHECK(contains(http_get(port, "/status").body, "\"templates\":"));
    const auto head = http_get(port, "/metrics", "HEAD");
    CHECK(head.status == 200);
    CHECK(head.body.empty());
    const auto unknown = http_get(port, "/");
    CHECK(unknown.status == 404);
    CHECK(contains(unknown.body, "/live /ready /status /metrics"));
}

TEST_CASE("after its stop a node is neither live nor ready") {
    served_node served;
    CHECK(served.node.stop(core::deadline::after(1s)));
    CHECK(http_get(served.pages.port(), "/live").status == 503);
    CHECK(http_get(served.pages.port(), "/ready").status == 503);
}

TEST_CASE("addresses that are not allowed, taken, or none at all are refused") {
    lonely_node lonely;
    const auto code = [&](const admin::server_settings& how) {
        try {
            const admin::server made{lonely.node, how};
        } catch (const core::error& failed) {
            return failed.code();
        }
        return std::error_code{};
    };
    CHECK(code({.listen = "0.0.0.0:0"}) == core::errc::invalid_configuration);
    CHECK(code({.listen = "0.0.0.0:0", .remote = config::remote_access::allow}) ==
          std::error_code{});
    CHECK(code({.listen = "localhost:0"}) == core::errc::invalid_configuration);
    const admin::server first{lonely.node, {.listen = "127.0.0.1:0"}};
    CHECK(code({.listen = "127.0.0.1:" + std::to_string(first.port())}) == core::errc::refused);
}

TEST_CASE("whoever sends something else is told so, or nothing") {
    served_node served;
    const auto port = served.pages.port();
    const auto answer = [&](const std::string& text) {
        const tcp_client client{port};
        client.send(text);
        return test::parse_answer(client.read(5s)).status;
    };
    CHECK(http_get(port, "/live", "DELETE").status == 405);
    CHECK(answer("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello") >= 400);
    CHECK(answer("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n") >=
          400);
    CHECK(answer("GET /live HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n") ==
          431);
    CHECK(answer("GET /" + std::string(200'000, 'x') + " HTTP/1.1\r\n\r\n") == 431);
    CHECK(answer("\0\x01\x02\xff\xfe garbage\r\n\r\n"s) == 400);
    CHECK(answer("\x16\x03\x01\x02garbage that begins like TLS\r\n\r\n") == 400);
    CHECK(answer("GET /live HTTP/9.9\r\n\r\n") == 400);
    std::string many = "GET /live HTTP/1.1\r\n";
    for (int i = 0; i < 5'000; ++i) {
        many += "A" + std::to_string(i) + ": b\r\n";
    }
    CHECK(answer(many + "\r\n") == 431);
    CHECK(http_get(port, "/live").status == 200);
}

TEST_CASE("silent and slow clients are cut off, and keep nobody out") {
    served_node served;
    const auto port = served.pages.port();
    SECTION("nothing is said") {
        const tcp_client silent{port};
        CHECK(silent.ends(3s));
    }
    SECTION("a byte now and then") {
        const tcp_client slow{port};
        bool ended = false;
        const auto began = std::chrono::steady_clock::now();
        for (const char c : std::string_view{"GET /live HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaa"}) {
            if (!slow.send({&c, 1}) || slow.ends(100ms)) {
                ended = true;
                break;
            }
        }
        CHECK(ended);
        CHECK(std::chrono::steady_clock::now() - began < 3s);
    }
    SECTION("more of them than there is room for") {
        const auto before = open_descriptors();
        std::vector<tcp_client> crowd;
        for (int i = 0; i < 100; ++i) {
            crowd.emplace_back(port);
            crowd.back().send("GET /li");
        }
        const auto answer = http_get(port, "/live");
        CHECK(answer.status == 200);
        // The crowd's own ends, and at most four of the server's.
        CHECK(open_descriptors() <= before + crowd.size() + 4 + 1);
    }
    SECTION("the answer is not read") {
        std::vector<tcp_client> crowd;
        for (int i = 0; i < 8; ++i) {
            crowd.emplace_back(port, 1024);
            crowd.back().send("GET /metrics HTTP/1.1\r\n\r\n");
        }
        CHECK(http_get(port, "/live").status == 200);
    }
    CHECK(http_get(port, "/live").status == 200);
}

TEST_CASE("the end of the server does not wait for its clients") {
    auto how = fast();
    how.client_time = 60s;
    auto served = std::make_unique<served_node>(how);
    const tcp_client silent{served->pages.port()};
    CHECK(http_get(served->pages.port(), "/live").status == 200);
    const auto began = std::chrono::steady_clock::now();
    served.reset();
    CHECK(std::chrono::steady_clock::now() - began < 3s);
    CHECK(silent.ends(2s));
}
