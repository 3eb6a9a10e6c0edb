#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>

#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using core::deadline;

namespace {

/// A publisher that speaks AMQP by hand, so that it can send what no library would.
class raw_publisher {
public:
    explicit raw_publisher(const test::endpoint& where)
        : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(where.port);
        inet_pton(AF_INET, where.host.c_str(), &address.sin_addr);
        REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        send(std::string{"AMQP\0\0\x09\x01", 8});
        await(10, 10);
        const auto login = std::string{'\0'} + where.user + std::string{'\0'} + where.password;
        method(0, 10, 11,
               long_string("") + short_string("PLAIN") + long_string(login) +
                   short_string("en_US"));
        await(10, 30);
        method(0, 10, 31,
               number<std::uint16_t>(10) + number<std::uint32_t>(131072) +
                   number<std::uint16_t>(0));
        method(0, 10, 40, short_string(where.path) + short_string("") + std::string(1, '\0'));
        await(10, 41);
        method(1, 20, 10, short_string(""));
        await(20, 11);
        method(1, 85, 10, std::string(1, '\0')); // confirm.select
        await(85, 11);
    }
    ~raw_publisher() { ::close(socket_); }
    raw_publisher(const raw_publisher&) = delete;
    raw_publisher& operator=(const raw_publisher&) = delete;

    /// Publishes to a queue with these bytes as the header table, and waits for the confirm.
    void publish(const std::string& queue, const std::string& table) {
        method(1, 60, 40,
               number<std::uint16_t>(0) + short_string("") + short_string(queue) +
                   std::string(1, '\0'));
        frame(2, 1,
              number<std::uint16_t>(60) + number<std::uint16_t>(0) + number<std::uint64_t>(0) +
                  number<std::uint16_t>(1U << 13) + long_string(table));
        await(60, 80);
    }

    template <class Unsigned>
    static std::string number(std::uint64_t value) {
        std::string bytes;
        for (int shift = static_cast<int>(sizeof(Unsigned) - 1) * 8; shift >= 0; shift -= 8) {
            bytes += static_cast<char>((value >> shift) & 0xFFU);
        }
        return bytes;
    }
    static std::string short_string(const std::string& text) {
        return static_cast<char>(text.size()) + text;
    }
    static std::string long_string(const std::string& text) {
        return number<std::uint32_t>(text.size()) + text;
    }

private:
    void send(const std::string& bytes) {
        REQUIRE(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    void frame(int type, unsigned channel, const std::string& payload) {
        send(static_cast<char>(type) + number<std::uint16_t>(channel) + long_string(payload) +
             '\xCE');
    }
    void method(unsigned channel, unsigned class_id, unsigned id, const std::string& arguments) {
        frame(1, channel, number<std::uint16_t>(class_id) + number<std::uint16_t>(id) + arguments);
    }
    std::string receive(std::size_t count) {
        std::string bytes(count, '\0');
        for (std::size_t done = 0; done < count;) {
            pollfd asked{socket_, POLLIN, 0};
            REQUIRE(::poll(&asked, 1, 10'000) == 1);
            const auto got = ::recv(socket_, bytes.data() + done, count - done, 0);
            REQUIRE(got > 0);
            done += static_cast<std::size_t>(got);
        }
        return bytes;
    }
    void await(unsigned class_id, unsigned id) {
        const auto expected = number<std::uint16_t>(class_id) + number<std::uint16_t>(id);
        for (;;) {
            const auto head = receive(7);
            std::uint32_t size = 0;
            for (int i = 3; i < 7; ++i) {
                size = size << 8U | static_cast<unsigned char>(head[static_cast<std::size_t>(i)]);
            }
            const auto payload = receive(size + 1);
            if (head[0] == 1) {
                INFO(payload);
                REQUIRE(payload.substr(0, 4) == expected);
                return;
            }
        }
    }

    int socket_;
};

/// A table whose one entry nests `depth` arrays or tables, innermost empty.
std::string nested(char kind, std::size_t depth) {
    // Built from outside to inside: every length is known from the depth.
    const std::size_t per_level = kind == 'A' ? 5 : 6; // arrays have no names
    std::string bytes = raw_publisher::short_string(kind == 'A' ? "deep" : "");
    std::size_t left = depth;
    while (left > 0) {
        bytes += kind;
        --left;
        bytes += raw_publisher::number<std::uint32_t>(left * per_level);
        if (kind == 'F' && left > 0) {
            bytes += '\0'; // empty name of the next level
        }
    }
    return bytes;
}

} // namespace

TEST_CASE("deeply nested and odd header tables do no harm, and the next message is served") {
    const auto where = test::require_amqp();
    const auto settings = amqp::parse_amqp_uri(where.uri);
    const auto soon = [] { return deadline::after(20s); };
    amqp::consumer_connection in{settings, soon()};
    const auto name = test::unique_name();
    amqp::topology own;
    own.queues.push_back({amqp::queue_name{name}, amqp::queue_kind::durable, {}});
    in.declare(own, amqp::declare_mode::active, soon());
    struct cleanup {
        const amqp::connection_settings& settings;
        amqp::queue_name queue;
        ~cleanup() {
            amqp::consumer_connection out{settings, deadline::after(20s)};
            out.remove(queue, deadline::after(20s));
        }
    } cleaner{settings, amqp::queue_name{name}};

    raw_publisher hostile{where};
    std::size_t sent = 0;
    for (const std::size_t depth : {1U, 100U, 1000U, 5000U, 10000U, 20000U, 26000U}) {
        hostile.publish(name, nested('A', depth));
        ++sent;
    }
    for (const std::size_t depth : {1U, 1000U, 20000U}) {
        hostile.publish(name, nested('F', depth));
        ++sent;
    }
    std::string many;
    for (int i = 0; i < 20'000; ++i) {
        many += raw_publisher::short_string("") + 'V';
    }
    hostile.publish(name, many);
    ++sent;
    amqp::publisher_connection out{settings, soon()};
    out.publish("", name, {}, "good", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    ++sent;

    in.consume(amqp::queue_name{name}, {}, soon());
    std::vector<amqp::delivery> got;
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (got.size() < sent && std::chrono::steady_clock::now() < end) {
        in.drain(got, sent, 200ms);
    }
    REQUIRE(got.size() == sent);
    CHECK(got.back().body() == "good");
    in.ack_up_to(got.back());
}
