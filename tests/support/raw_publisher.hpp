#pragma once

#include "support/catch.hpp"
#include "support/servers.hpp"

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace beds::test {

/// A publisher that speaks AMQP by hand, so that it can send what no library would.
class raw_publisher {
public:
    explicit raw_publisher(const endpoint& where)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
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

    /// The same, for what RabbitMQ does not take: true when it ends the connection over it.
    bool is_cut_off_by(const std::string& queue, const std::string& table) {
        const auto arguments = number<std::uint16_t>(0) + short_string("") + short_string(queue) +
                               std::string(1, '\0');
        const auto bytes =
            as_frame(1, 1, number<std::uint16_t>(60) + number<std::uint16_t>(40) + arguments) +
            as_frame(2, 1,
                     number<std::uint16_t>(60) + number<std::uint16_t>(0) +
                         number<std::uint64_t>(0) + number<std::uint16_t>(1U << 13) +
                         long_string(table));
        for (std::size_t sent = 0; sent < bytes.size();) {
            const auto now =
                ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (now <= 0) {
                return true;
            }
            sent += static_cast<std::size_t>(now);
        }
        for (;;) { // connection.close, then the end
            char buffer[4096];
            pollfd asked{socket_, POLLIN, 0};
            if (::poll(&asked, 1, 10'000) != 1) {
                return false;
            }
            const auto got = ::recv(socket_, buffer, sizeof buffer, 0);
            if (got <= 0 || std::string_view{buffer, static_cast<std::size_t>(got)}.find(
                                "FRAME_ERROR") != std::string_view::npos) {
                return true;
            }
        }
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
    static std::string as_frame(int type, unsigned channel, const std::string& payload) {
        return static_cast<char>(type) + number<std::uint16_t>(channel) + long_string(payload) +
               '\xCE';
    }
    void frame(int type, unsigned channel, const std::string& payload) {
        send(as_frame(type, channel, payload));
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
inline std::string nested(char kind, std::size_t depth) {
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

} // namespace beds::test
