#pragma once
// The one place that includes rabbitmq-c. Version 0.13 moved its headers into a folder.
#include <sys/time.h>

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#include <chrono>
#include <string_view>

namespace beds::amqp::detail {

inline amqp_bytes_t to_bytes(std::string_view text) {
    // rabbitmq-c takes what it only reads as void*.
    return {text.size(), const_cast<char*>(text.data())};
}

inline std::string_view to_view(amqp_bytes_t bytes) {
    return {static_cast<const char*>(bytes.bytes), bytes.len};
}

inline timeval to_timeval(std::chrono::microseconds span) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
    timeval result{};
    result.tv_sec = static_cast<decltype(result.tv_sec)>(seconds.count());
    result.tv_usec = static_cast<decltype(result.tv_usec)>((span - seconds).count());
    return result;
}

} // namespace beds::amqp::detail
