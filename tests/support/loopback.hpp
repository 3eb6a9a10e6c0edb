#pragma once

#include <cstdint>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace beds::test {

/// A socket that listens on a free port of 127.0.0.1.
class loopback_listener {
public:
    explicit loopback_listener(int backlog = 16)
        : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const plain = reinterpret_cast<sockaddr*>(&address);
        if (::bind(descriptor_, plain, size) != 0 || ::listen(descriptor_, backlog) != 0 ||
            ::getsockname(descriptor_, plain, &size) != 0) {
            ::close(descriptor_);
            throw std::runtime_error{"cannot listen on 127.0.0.1"};
        }
        port_ = ntohs(address.sin_port);
    }
    ~loopback_listener() { close(); }
    loopback_listener(const loopback_listener&) = delete;
    loopback_listener& operator=(const loopback_listener&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] int descriptor() const { return descriptor_; }

    /// The next connection; negative: none comes any more.
    [[nodiscard]] int accept() const {
        return ::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
    }

    /// Ends an accept() of another thread.
    void shut_down() const { ::shutdown(descriptor_, SHUT_RDWR); }

    void close() {
        if (descriptor_ >= 0) {
            ::close(std::exchange(descriptor_, -1));
        }
    }

private:
    int descriptor_;
    std::uint16_t port_ = 0;
};

/// False: the connection ended before.
inline bool read_all(int from, void* to, std::size_t size) {
    auto* at = static_cast<char*>(to);
    while (size > 0) {
        const auto got = ::recv(from, at, size, 0);
        if (got <= 0) {
            return false;
        }
        at += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

} // namespace beds::test
