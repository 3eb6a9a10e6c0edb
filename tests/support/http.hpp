#pragma once

#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

/// HTTP by hand, so that a test can be as rude as it likes.
namespace beds::test {

/// A TCP connection to a port of this machine.
class tcp_client {
public:
    explicit tcp_client(std::uint16_t port, int receive_buffer = 0)
        : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (receive_buffer != 0) {
            ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                         sizeof receive_buffer);
        }
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
            ::close(descriptor_);
            throw std::runtime_error{"nobody listens on port " + std::to_string(port)};
        }
    }
    ~tcp_client() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    tcp_client(tcp_client&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    tcp_client& operator=(tcp_client&&) = delete;

    /// False when the other side is gone.
    bool send(std::string_view text) const {
        while (!text.empty()) {
            const auto sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// Everything until the other side closes, or the time is up.
    [[nodiscard]] std::string read(std::chrono::milliseconds longest) const {
        const auto until = std::chrono::steady_clock::now() + longest;
        std::string all;
        for (;;) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                until - std::chrono::steady_clock::now());
            pollfd ready{descriptor_, POLLIN, 0};
            char buffer[65536];
            if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
                return all;
            }
            const auto got = ::recv(descriptor_, buffer, sizeof buffer, 0);
            if (got <= 0) {
                return all;
            }
            all.append(buffer, static_cast<std::size_t>(got));
        }
    }
    /// True when the other side ends the connection in time; what it says is thrown away.
    [[nodiscard]] bool ends(std::chrono::milliseconds longest) const {
        const auto until = std::chrono::steady_clock::now() + longest;
        for (;;) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                until - std::chrono::steady_clock::now());
            pollfd ready{descriptor_, POLLIN, 0};
            char buffer[4096];
            if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
                return false;
            }
            if (::recv(descriptor_, buffer, sizeof buffer, 0) <= 0) {
                return true;
            }
        }
    }

private:
    int descriptor_;
};

struct http_answer {
    int status = 0; ///< 0: no answer
    std::string head{};
    std::string body{};
};

inline http_answer parse_answer(const std::string& text) {
    http_answer made;
    const auto end = text.find("\r\n\r\n");
    if (text.rfind("HTTP/1.1 ", 0) == 0 && end != std::string::npos) {
        made.status = std::stoi(text.substr(9, 3));
        made.head = text.substr(0, end + 2);
        made.body = text.substr(end + 4);
    }
    return made;
}

inline http_answer http_get(std::uint16_t port, const std::string& target,
                            const std::string& method = "GET") {
    const tcp_client client{port};
    client.send(method + " " + target + " HTTP/1.1\r\nHost: test\r\n\r\n");
    return parse_answer(client.read(std::chrono::seconds{10}));
}

} // namespace beds::test
