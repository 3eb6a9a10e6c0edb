#pragma once

#include "common/driver.hpp"

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif

#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>

namespace beds::bench {

struct connection_deleter {
    void operator()(amqp_connection_state_t state) const { amqp_destroy_connection(state); }
};
using raw_connection =
    std::unique_ptr<std::remove_pointer_t<amqp_connection_state_t>, connection_deleter>;

inline amqp_bytes_t bytes(std::string_view text) {
    return {text.size(), const_cast<char*>(text.data())};
}
inline std::string_view view(amqp_bytes_t from) {
    return {static_cast<const char*>(from.bytes), from.len};
}

inline raw_connection open_raw(const rabbitmq_endpoint& where) {
    raw_connection made{amqp_new_connection()};
    auto* socket = amqp_tcp_socket_new(made.get());
    if (socket == nullptr ||
        amqp_socket_open(socket, where.host.c_str(), where.port) != AMQP_STATUS_OK) {
        throw std::runtime_error("cannot reach RabbitMQ");
    }
    const auto reply =
        amqp_login(made.get(), where.vhost.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                   where.user.c_str(), where.password.c_str());
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        throw std::runtime_error("RabbitMQ refuses the login");
    }
    amqp_channel_open(made.get(), 1);
    if (amqp_get_rpc_reply(made.get()).reply_type != AMQP_RESPONSE_NORMAL) {
        throw std::runtime_error("RabbitMQ refuses a channel");
    }
    return made;
}

inline void check(amqp_connection_state_t on, const char* what) {
    if (amqp_get_rpc_reply(on).reply_type != AMQP_RESPONSE_NORMAL) {
        throw std::runtime_error(what);
    }
}

/// Gathers what is written in between into full segments.
class cork {
public:
    explicit cork(amqp_connection_state_t on) : descriptor_(amqp_get_sockfd(on)) { set(1); }
    ~cork() { set(0); }
    cork(const cork&) = delete;
    cork& operator=(const cork&) = delete;

private:
    void set(int on) const { ::setsockopt(descriptor_, IPPROTO_TCP, TCP_CORK, &on, sizeof on); }
    int descriptor_;
};

} // namespace beds::bench
