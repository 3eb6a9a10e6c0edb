#include "support/catch.hpp"
#include "support/gate.hpp"
#include "support/loopback.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using beds::test::gate;
using direction = gate::direction;
using steady = std::chrono::steady_clock;

namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made;
}

class peer {
public:
    explicit peer(int socket) : socket_(socket) {}
    static std::optional<peer> to(std::uint16_t port) {
        std::optional<peer> made{::socket(AF_INET, SOCK_STREAM, 0)};
        const auto where = loopback(port);
        if (::connect(made->socket_, reinterpret_cast<const sockaddr*>(&where), sizeof where) !=
            0) {
            made.reset();
        }
        return made;
    }
    ~peer() {
        if (socket_ >= 0) {
            ::close(socket_);
        }
    }
    peer(peer&& from) noexcept : socket_(std::exchange(from.socket_, -1)) {}
    peer& operator=(peer&&) = delete;

    void send(const std::string& text) const {
        REQUIRE(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    void end() const { ::shutdown(socket_, SHUT_WR); }
    [[nodiscard]] bool readable(std::chrono::milliseconds within) const {
        pollfd one{socket_, POLLIN, 0};
        return ::poll(&one, 1, static_cast<int>(within.count())) == 1;
    }
    /// Reads until `size` bytes are there or the stream ends; `how_it_ended` says how.
    std::string read(std::size_t size) {
        std::string got;
        while (got.size() < size && readable(10s)) {
            char buffer[4096];
            const auto now = ::recv(socket_, buffer, std::min(sizeof buffer, size - got.size()), 0);
            if (now <= 0) {
                ended_by_ = now == 0 ? 0 : errno;
                break;
            }
            got.append(buffer, static_cast<std::size_t>(now));
        }
        return got;
    }
    [[nodiscard]] int ended_by() const { return ended_by_; }
    [[nodiscard]] int socket() const { return socket_; }

private:
    int socket_;
    int ended_by_ = -1;
};

/// A server that does nothing but accept.
class listener : public beds::test::loopback_listener {
public:
    [[nodiscard]] peer accept() const {
        pollfd one{descriptor(), POLLIN, 0};
        REQUIRE(::poll(&one, 1, 10'000) == 1);
        return peer{beds::test::loopback_listener::accept()};
    }
};

template <typename Condition>
bool eventually(Condition holds) {
    for (const auto until = steady::now() + 10s; steady::now() < until;) {
        if (holds()) {
            return true;
        }
        std::this_thread::sleep_for(1ms);
    }
    return false;
}

struct through_a_gate {
    listener server;
    gate between{"127.0.0.1", server.port()};

    std::pair<peer, peer> connected() {
        auto client = peer::to(between.port());
        REQUIRE(client);
        return {std::move(*client), server.accept()};
    }
};

} // namespace

TEST_CASE("a gate passes bytes both ways and the end of a stream one way at a time") {
    through_a_gate all;
    auto [client, server] = all.connected();
    client.send("question");
    CHECK(server.read(8) == "question");
    client.end();
    CHECK(server.read(1).empty());
    CHECK(server.ended_by() == 0);
    server.send("answer"); // after the client's half is closed
    CHECK(client.read(6) == "answer");
    CHECK(eventually([&] { return all.between.count().bytes_to_client == 6; }));
    CHECK(all.between.count().bytes_to_server == 8);
    CHECK(all.between.count().accepted == 1);
    server.end();
    CHECK(client.read(1).empty());
    CHECK(eventually([&] { return all.between.count().open == 0; }));
}

TEST_CASE("a delay is added to each direction and does not add up over messages") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.delay(direction::to_server, 60ms);
    all.between.delay(direction::to_client, 40ms);
    auto begin = steady::now();
    client.send("1");
    CHECK(server.read(1) == "1");
    CHECK(steady::now() - begin >= 60ms);
    begin = steady::now();
    server.send("2");
    CHECK(client.read(1) == "2");
    CHECK(steady::now() - begin >= 40ms);
    begin = steady::now();
    std::string sent;
    for (int i = 0; i < 50; ++i) {
        sent += std::to_string(1000 + i);
        client.send(std::to_string(1000 + i));
        std::this_thread::sleep_for(1ms); // pieces of their own
    }
    CHECK(server.read(sent.size()) == sent);
    const auto there = steady::now() - begin;
    server.send("!");
    CHECK(client.read(1) == "!");
    const auto back = steady::now() - begin;
    CHECK(there >= 60ms);
    CHECK(back >= 100ms);
    CHECK(back < 2s); // 50 times one delay would be 3 s
}

TEST_CASE("a gate that accepts nobody refuses, and takes clients on the same port again") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.stop_accepting();
    CHECK_FALSE(peer::to(all.between.port()));
    client.send("x"); // who is there stays
    CHECK(server.read(1) == "x");
    all.between.accept_again();
    auto [next_client, next_server] = all.connected();
    next_client.send("y");
    CHECK(next_server.read(1) == "y");
}

TEST_CASE("a reset is felt at both ends, and new connections pass") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.reset();
    client.read(1);
    server.read(1);
    CHECK(client.ended_by() == ECONNRESET);
    CHECK(server.ended_by() == ECONNRESET);
    CHECK(all.between.count().open == 0);
    auto [next_client, next_server] = all.connected();
    next_server.send("z");
    CHECK(next_client.read(1) == "z");
}

TEST_CASE("a connection is cut after exactly so many bytes, and only one") {
    through_a_gate all;
    auto [client, server] = all.connected();
    client.send("before");
    CHECK(server.read(6) == "before");
    SECTION("by a reset") {
        all.between.cut_after(direction::to_server, 10);
        client.send("0123456789abcdef");
        CHECK(server.read(100) == "0123456789");
        CHECK(server.ended_by() == ECONNRESET);
        client.read(1);
        CHECK(client.ended_by() == ECONNRESET);
    }
    SECTION("by an end") {
        all.between.cut_after(direction::to_client, 3, gate::cut_by::close);
        server.send("ab");
        CHECK(client.read(2) == "ab");
        server.send("cde");
        CHECK(client.read(100) == "c");
        CHECK(client.ended_by() == 0);
    }
    CHECK(all.between.count().cut == 1);
    auto [next_client, next_server] = all.connected();
    next_client.send(std::string(100, 'x'));
    CHECK(next_server.read(100).size() == 100);
}

TEST_CASE("a frozen direction takes and gives nothing until it thaws") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.freeze(direction::to_server);
    client.send("late");
    server.send("in time"); // the other direction passes
    CHECK(client.read(7) == "in time");
    CHECK_FALSE(server.readable(100ms));
    auto next = peer::to(all.between.port());
    REQUIRE(next);
    next->send("too");
    auto next_server = all.server.accept();
    CHECK_FALSE(next_server.readable(50ms));
    all.between.thaw(direction::to_server);
    CHECK(server.read(4) == "late");
    CHECK(next_server.read(3) == "too");
}

TEST_CASE("what is swallowed never arrives, and the connection stays open") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.swallow(direction::to_server);
    all.between.swallow(direction::to_client);
    client.send("gone");
    server.send("gone");
    client.end();
    CHECK_FALSE(server.readable(100ms));
    CHECK_FALSE(client.readable(0ms));
    CHECK(all.between.count().open == 1);
    auto [next_client, next_server] = all.connected();
    next_client.send("there");
    CHECK(next_server.read(5) == "there");
}

TEST_CASE("a server that is away resets its clients") {
    through_a_gate all;
    all.server.close();
    auto client = peer::to(all.between.port());
    REQUIRE(client);
    client->read(1);
    CHECK(client->ended_by() == ECONNRESET);
}

TEST_CASE("a delay does not hold without limit: the sender feels back pressure") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.delay(direction::to_server, 1h);
    ::fcntl(client.socket(), F_SETFL, O_NONBLOCK);
    const std::string block(1024 * 1024, 'x');
    std::size_t taken = 0;
    for (const auto until = steady::now() + 1s;
         steady::now() < until && taken < 64 * block.size();) {
        const auto now = ::send(client.socket(), block.data(), block.size(), MSG_NOSIGNAL);
        taken += now > 0 ? static_cast<std::size_t>(now) : 0;
        if (now <= 0) {
            std::this_thread::sleep_for(1ms);
        }
    }
    CHECK(taken > 1024 * 1024);
    CHECK(taken < 64 * block.size());
}

TEST_CASE("a named byte is corrupted, once, and only on the way that was named") {
    through_a_gate all;
    auto [client, server] = all.connected();
    client.send("before");
    CHECK(server.read(6) == "before");
    all.between.corrupt_at(direction::to_server, 5);
    client.send("0123");
    CHECK(server.read(4) == "0123");
    client.send("4567");
    CHECK(server.read(4) == "4467");
    client.send("0123456789");
    CHECK(server.read(10) == "0123456789");
    server.send("0123456789");
    CHECK(client.read(10) == "0123456789");
    CHECK(all.between.count().corrupted == 1);
    all.between.corrupt_at(direction::to_client, 0);
    server.send("0");
    CHECK(client.read(1) == "1");
    auto [next_client, next_server] = all.connected();
    next_server.send("0");
    CHECK(next_client.read(1) == "0");
}

TEST_CASE("bytes are corrupted by chance: single bits, so many at most, by the seed") {
    const std::string sent(100'000, 'x');
    const auto sent_through = [&](std::uint64_t seed, std::uint64_t most) {
        through_a_gate all;
        auto [client, server] = all.connected();
        all.between.corrupt(direction::to_server, 1000, seed, most);
        std::thread sender{[&client = client, &sent] { client.send(sent); }};
        auto got = server.read(sent.size());
        sender.join();
        std::uint64_t changed = 0;
        bool single_bits = true;
        for (const char one : got) {
            const auto bits = static_cast<unsigned char>(one ^ 'x');
            changed += bits != 0 ? 1U : 0U;
            single_bits = single_bits && (bits & (bits - 1)) == 0;
        }
        CHECK(single_bits);
        CHECK(changed == all.between.count().corrupted);
        all.between.corrupt(direction::to_server, 0, 0, 0);
        client.send("clean");
        CHECK(server.read(5) == "clean");
        CHECK(got.size() == sent.size());
        return std::pair{got, changed};
    };
    const auto [first, many] = sent_through(7, 1'000'000);
    CHECK(many > 50);
    CHECK(many < 200);
    CHECK(sent_through(7, 1'000'000).first == first);
    CHECK(sent_through(8, 1'000'000).first != first);
    CHECK(sent_through(7, 3).second == 3);
}

TEST_CASE("a connection that is closed by half ends one way and passes on the other") {
    through_a_gate all;
    auto [client, server] = all.connected();
    all.between.freeze(direction::to_server);
    client.send("taken");
    std::this_thread::sleep_for(20ms);
    all.between.thaw(direction::to_server);
    CHECK(server.read(5) == "taken");
    all.between.half_close(direction::to_server);
    CHECK(server.read(1).empty());
    CHECK(server.ended_by() == 0);
    client.send("thrown away");
    server.send("answer");
    CHECK(client.read(6) == "answer");
    CHECK(all.between.count().open == 1);
    server.end();
    CHECK(client.read(1).empty());
    CHECK(client.ended_by() == 0);
    CHECK(eventually([&] { return all.between.count().open == 0; }));
    auto [next_client, next_server] = all.connected();
    next_client.send("y");
    CHECK(next_server.read(1) == "y");
}
