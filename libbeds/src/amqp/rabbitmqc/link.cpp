#include "amqp/rabbitmqc/link.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace beds::amqp::detail {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

core::error error_of(core::errc code, std::string message, core::handle_state handle, int native,
                     std::string server_message = {}) {
    return core::error{code,
                       message,
                       {.origin = core::error_origin::rabbitmq,
                        .handle = handle,
                        .native_code = native,
                        .server_message = std::move(server_message)}};
}

core::errc errc_of_status(int status) {
    switch (status) {
    case AMQP_STATUS_TIMEOUT:
        return core::errc::deadline_exceeded;
    case AMQP_STATUS_BAD_AMQP_DATA:
    case AMQP_STATUS_UNKNOWN_CLASS:
    case AMQP_STATUS_UNKNOWN_METHOD:
    case AMQP_STATUS_WRONG_METHOD:
    case AMQP_STATUS_UNEXPECTED_STATE:
    case AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION:
        return core::errc::protocol;
    case AMQP_STATUS_NO_MEMORY:
    case AMQP_STATUS_INVALID_PARAMETER:
    case AMQP_STATUS_TIMER_FAILURE:
        return core::errc::internal;
    case AMQP_STATUS_TABLE_TOO_BIG:
    case AMQP_STATUS_UNSUPPORTED:
    case AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD:
        return core::errc::unsupported;
    case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
    case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
    case AMQP_STATUS_SSL_CONNECTION_FAILED:
        return core::errc::refused;
    default:
        return core::errc::unreachable;
    }
}

core::errc errc_of_reply_code(int code) {
    switch (code) {
    case AMQP_NOT_FOUND:
    case AMQP_PRECONDITION_FAILED:
        return core::errc::topology_conflict;
    case AMQP_CONNECTION_FORCED: // shut down by the operator; it may be back soon
    case AMQP_INTERNAL_ERROR:
        return core::errc::unreachable;
    case AMQP_FRAME_ERROR:
    case AMQP_SYNTAX_ERROR:
    case AMQP_COMMAND_INVALID:
    case AMQP_CHANNEL_ERROR:
    case AMQP_UNEXPECTED_FRAME:
        return core::errc::protocol;
    case AMQP_NOT_IMPLEMENTED:
        return core::errc::unsupported;
    default:
        return core::errc::refused;
    }
}

bool is_ip_address(const std::string& host) {
    in6_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

void set_up_tls(amqp_socket_t* socket, const std::string& host, const tls_settings& tls) {
    const auto refuse = [](const std::string& what) {
        return error_of(core::errc::invalid_configuration, what, core::handle_state::broken, 0);
    };
    if (amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK) {
        throw error_of(core::errc::unsupported, "TLS 1.2 cannot be demanded",
                       core::handle_state::broken, 0);
    }
    auto* context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
    const bool verify = tls.verification == tls_verification::full;
    amqp_ssl_socket_set_verify_peer(socket, verify ? 1 : 0);
    amqp_ssl_socket_set_verify_hostname(socket, verify ? 1 : 0);
    if (verify && is_ip_address(host)) {
        // rabbitmq-c compares with DNS names only. OpenSSL checks the address with the chain.
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(context), host.c_str()) != 1) {
            throw refuse("host: '" + host + "' cannot be compared with a certificate");
        }
        amqp_ssl_socket_set_verify_hostname(socket, 0);
    }
    if (!tls.ca_file.empty()) {
        if (amqp_ssl_socket_set_cacert(socket, tls.ca_file.c_str()) != AMQP_STATUS_OK) {
            throw refuse("tls.ca_file: '" + tls.ca_file + "' is not a readable PEM certificate");
        }
    } else if (verify && SSL_CTX_set_default_verify_paths(context) != 1) {
        throw refuse("tls.ca_file: needed, because OpenSSL finds no certificates of the system");
    }
    if (!tls.cert_file.empty() && amqp_ssl_socket_set_key(socket, tls.cert_file.c_str(),
                                                          tls.key_file.c_str()) != AMQP_STATUS_OK) {
        throw refuse("tls.cert_file and tls.key_file: '" + tls.cert_file + "' and '" +
                     tls.key_file + "' are not a readable PEM certificate with its key");
    }
}

amqp_table_entry_t capability(const char* key) {
    amqp_table_entry_t made{};
    made.key = to_bytes(key);
    made.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    made.value.value.boolean = 1;
    return made;
}

amqp_table_entry_t text_entry(const char* key, std::string_view value) {
    amqp_table_entry_t made{};
    made.key = to_bytes(key);
    made.value.kind = AMQP_FIELD_KIND_UTF8;
    made.value.value.bytes = to_bytes(value);
    return made;
}

} // namespace

void link::closer::operator()(amqp_connection_state_t_* state) const noexcept {
    amqp_destroy_connection(state);
}

link::link(const connection_settings& settings, core::deadline until)
    : where_(settings.host + ":" + std::to_string(settings.effective_port())),
      tls_(settings.tls.mode == tls_mode::on), write_timeout_(settings.write_timeout) {
    if (const auto problems = validate(settings); !problems.empty()) {
        std::string text = "connection to RabbitMQ:";
        for (const auto& problem : problems) {
            text += " " + problem.key + ": " + problem.expected + ";";
        }
        text.pop_back();
        throw error_of(core::errc::invalid_configuration, text, core::handle_state::broken, 0);
    }
    const auto end = until.earlier(core::deadline::after(settings.connect_timeout));
    handle_.reset(amqp_new_connection());
    if (handle_ == nullptr) {
        throw std::bad_alloc{};
    }
    amqp_socket_t* socket = tls_ ? amqp_ssl_socket_new(handle()) : amqp_tcp_socket_new(handle());
    if (socket == nullptr) {
        throw error_of(core::errc::internal, "no socket for RabbitMQ", core::handle_state::broken,
                       0);
    }
    if (tls_) {
        set_up_tls(socket, settings.host, settings.tls);
    }
    // A zero timeout would be no timeout to some of its callees.
    const auto budget = std::max(milliseconds{1}, end.remaining_ms());
    const auto timeout = to_timeval(budget);
    const int opened = amqp_socket_open_noblock(socket, settings.host.c_str(),
                                                settings.effective_port(), &timeout);
    if (opened != AMQP_STATUS_OK) {
        const int system_error = errno;
        auto code = errc_of_status(opened);
        std::string text = "cannot connect to RabbitMQ at " + where_ + ": ";
        if (opened == AMQP_STATUS_TIMEOUT) {
            text += "no answer in " + std::to_string(budget.count()) + " ms";
            code = until.expired() ? core::errc::deadline_exceeded : core::errc::unreachable;
        } else if (opened == AMQP_STATUS_SSL_PEER_VERIFY_FAILED) {
            text += "its certificate is not signed by a trusted authority (tls.ca_file)";
            if (is_ip_address(settings.host)) {
                text += " or not made out to the address '" + settings.host + "'";
            }
        } else if (opened == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED) {
            text += "its certificate is not made out to '" + settings.host + "'";
        } else if (opened == AMQP_STATUS_SOCKET_ERROR && system_error == EINPROGRESS) {
            // rabbitmq-c keeps the reason of a connect that failed later to itself.
            text += "nobody listens there, or it cannot be reached";
        } else if (opened == AMQP_STATUS_SOCKET_ERROR && system_error != 0) {
            text += std::generic_category().message(system_error);
        } else {
            text += amqp_error_string2(opened);
        }
        throw error_of(code, text, core::handle_state::broken, opened);
    }
    watched_socket_ = fcntl(amqp_get_sockfd(handle()), F_DUPFD_CLOEXEC, 0);
    if (watched_socket_ < 0) {
        throw std::system_error{errno, std::generic_category(), "socket of RabbitMQ"};
    }
    watch_->attach(watched_socket_);
    open_ = true;
    try {
        const auto guard = arm(end);
        login(settings, std::max(milliseconds{1}, end.remaining_ms()));
    } catch (...) {
        break_up();
        release_socket();
        throw;
    }
}

void link::login(const connection_settings& settings, milliseconds budget) {
    const auto timeout = to_timeval(budget);
    amqp_set_handshake_timeout(handle(), &timeout);

    std::array capabilities{capability("publisher_confirms"), capability("consumer_cancel_notify"),
                            capability("connection.blocked"),
                            capability("authentication_failure_close"), capability("basic.nack")};
    amqp_table_entry_t capability_table{};
    capability_table.key = to_bytes("capabilities");
    capability_table.value.kind = AMQP_FIELD_KIND_TABLE;
    capability_table.value.value.table = {static_cast<int>(capabilities.size()),
                                          capabilities.data()};
    std::array client{text_entry("product", "BEDS"), capability_table,
                      text_entry("connection_name", settings.connection_name)};
    const auto used = client.size() - (settings.connection_name.empty() ? 1 : 0);
    const amqp_table_t client_properties{static_cast<int>(used), client.data()};

    const auto reply = amqp_login_with_properties(
        handle(), settings.vhost.c_str(), 0, static_cast<int>(settings.frame_max),
        static_cast<int>(settings.heartbeat.count()), &client_properties, AMQP_SASL_METHOD_PLAIN,
        settings.user.c_str(), settings.password.reveal().c_str());
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_TIMEOUT) {
        throw error_of(core::errc::unreachable,
                       "RabbitMQ at " + where_ + " accepted the connection and did not answer in " +
                           std::to_string(budget.count()) + " ms",
                       core::handle_state::broken, reply.library_error);
    }
    check_reply("login", 0, reply);
    heartbeat_ = std::chrono::seconds{amqp_get_heartbeat(handle())};
    frame_max_ = static_cast<std::size_t>(amqp_get_frame_max(handle()));
    last_service_ = std::chrono::steady_clock::now();
}

link::~link() {
    close(core::deadline::after(blocked_ ? milliseconds{0} : milliseconds{500}));
    release_socket();
}

void link::release_socket() noexcept {
    if (watched_socket_ >= 0) {
        watch_->detach(); // before the number can be another file's
        // The duplicate would keep the connection open after rabbitmq-c has closed its own.
        ::shutdown(watched_socket_, SHUT_RDWR);
        ::close(watched_socket_);
    }
}

void link::close(core::deadline until) noexcept {
    if (!open_) {
        return;
    }
    if (const auto left = until.remaining_ms(); left > milliseconds{0}) {
        const auto timeout = to_timeval(std::min(left, milliseconds{3'600'000}));
        amqp_set_rpc_timeout(handle(), &timeout);
        const auto guard = arm(until);
        amqp_connection_close(handle(), AMQP_REPLY_SUCCESS);
    }
    break_up();
}

void link::break_up() noexcept {
    open_ = false;
    channel_open_ = false;
    topology_open_ = false;
    if (watched_socket_ >= 0) {
        ::shutdown(watched_socket_, SHUT_RDWR);
    }
}

void link::open_channel(core::deadline until) {
    rpc("channel.open", data_channel, until,
        [](auto* state) { return amqp_channel_open(state, data_channel); });
    channel_open_ = true;
}

void link::require_open(std::string_view what) const {
    if (!open_) {
        throw error_of(core::errc::unreachable,
                       std::string{what} + ": the connection to RabbitMQ at " + where_ +
                           " is closed",
                       core::handle_state::broken, 0);
    }
}

void link::require_channel(std::string_view what) const {
    require_open(what);
    if (!channel_open_) {
        throw error_of(core::errc::unreachable,
                       std::string{what} + ": RabbitMQ has closed the channel",
                       core::handle_state::usable, 0);
    }
}

void link::begin_rpc(std::string_view what, core::deadline until) {
    require_open(what);
    const auto left = until.remaining_ms();
    if (left <= milliseconds{0}) {
        throw error_of(core::errc::deadline_exceeded, std::string{what} + ": not started",
                       core::handle_state::usable, 0);
    }
    if (until.is_never()) {
        amqp_set_rpc_timeout(handle(), nullptr);
    } else {
        const auto timeout = to_timeval(left);
        amqp_set_rpc_timeout(handle(), &timeout);
    }
}

void link::check_reply(std::string_view what, amqp_channel_t channel,
                       const amqp_rpc_reply_t& reply) {
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        last_service_ = std::chrono::steady_clock::now();
        return;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        fail(what, reply.library_error);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            on_channel_close(what, channel,
                             *static_cast<const amqp_channel_close_t*>(reply.reply.decoded));
        }
        if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            on_connection_close(what,
                                *static_cast<const amqp_connection_close_t*>(reply.reply.decoded));
        }
        fail(what, AMQP_STATUS_WRONG_METHOD);
    case AMQP_RESPONSE_NONE:
        break;
    }
    fail(what, AMQP_STATUS_CONNECTION_CLOSED);
}

void link::check(std::string_view what, int status) {
    if (status < 0) {
        fail(what, status);
    }
}

void link::fail(std::string_view what, int status) {
    break_up();
    const auto at = std::string{what} + ": RabbitMQ at " + where_;
    if (watch_->fired()) {
        throw_not_taken(at, status);
    }
    throw error_of(errc_of_status(status), at + ": " + amqp_error_string2(status),
                   core::handle_state::broken, status);
}

void link::throw_not_taken(const std::string& at, int status) const {
    throw error_of(core::errc::deadline_exceeded,
                   at + " does not take what is sent" +
                       (blocked_ ? " (" + blocked_reason_ + ")" : std::string{}),
                   core::handle_state::broken, status);
}

void link::on_channel_close(std::string_view what, amqp_channel_t channel,
                            const amqp_channel_close_t& method) {
    const int code = method.reply_code;
    std::string server_message{to_view(method.reply_text)};
    if (channel == data_channel) {
        channel_open_ = false;
    } else {
        topology_open_ = false;
    }
    amqp_channel_close_ok_t answer{};
    const auto guard = arm();
    check("channel.close-ok",
          amqp_send_method(handle(), channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &answer));
    throw error_of(errc_of_reply_code(code), std::string{what} + ": " + server_message,
                   core::handle_state::usable, code, server_message);
}

void link::on_connection_close(std::string_view what, const amqp_connection_close_t& method) {
    const int code = method.reply_code;
    std::string server_message{to_view(method.reply_text)};
    amqp_connection_close_ok_t answer{};
    const auto guard = arm();
    amqp_send_method(handle(), 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &answer);
    break_up();
    throw error_of(errc_of_reply_code(code),
                   std::string{what} + ": RabbitMQ at " + where_ +
                       " closed the connection: " + server_message,
                   core::handle_state::broken, code, server_message);
}

void link::on_connection_frame(const amqp_frame_t& frame) {
    if (frame.frame_type != AMQP_FRAME_METHOD) {
        return;
    }
    switch (frame.payload.method.id) {
    case AMQP_CONNECTION_BLOCKED_METHOD:
        blocked_ = true;
        blocked_reason_ = to_view(
            static_cast<const amqp_connection_blocked_t*>(frame.payload.method.decoded)->reason);
        break;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        blocked_ = false;
        blocked_reason_.clear();
        break;
    case AMQP_CONNECTION_CLOSE_METHOD:
        on_connection_close("connection", *static_cast<const amqp_connection_close_t*>(
                                              frame.payload.method.decoded));
    default:
        break;
    }
    amqp_maybe_release_buffers_on_channel(handle(), 0);
}

bool link::buffered() const {
    return open_ && (amqp_frames_enqueued(handle()) != 0 || amqp_data_in_buffer(handle()) != 0);
}

bool link::readable_now() {
    if (buffered()) {
        return true;
    }
    // rabbitmq-c does heartbeats only while it waits for a frame.
    if (std::chrono::steady_clock::now() - last_service_ >= heartbeat_ / 8) {
        return true;
    }
    pollfd asked{watched_socket_, POLLIN, 0};
    return ::poll(&asked, 1, 0) != 0;
}

bool link::read_frame(amqp_frame_t& frame, microseconds wait) {
    require_open("read");
    if (wait <= microseconds{0} && !readable_now()) {
        return false;
    }
    const auto end = std::chrono::steady_clock::now() + wait;
    // Reading sends heartbeats.
    const auto guard = arm(core::deadline::at(end + write_timeout_));
    for (;;) {
        const auto timeout = to_timeval(std::max(wait, microseconds{0}));
        const int status = amqp_simple_wait_frame_noblock(handle(), &frame, &timeout);
        const auto now = std::chrono::steady_clock::now();
        last_service_ = now;
        if (status == AMQP_STATUS_TIMEOUT) {
            return false;
        }
        check("read", status);
        if (frame.channel == data_channel) {
            if (frame.frame_type == AMQP_FRAME_METHOD &&
                frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
                on_channel_close(
                    "channel", data_channel,
                    *static_cast<const amqp_channel_close_t*>(frame.payload.method.decoded));
            }
            return true;
        }
        if (frame.channel == 0) {
            on_connection_frame(frame);
        }
        // Anything else is a straggler of the topology channel.
        wait = duration_cast<microseconds>(end - now);
    }
}

void link::release_buffers() {
    amqp_maybe_release_buffers_on_channel(handle(), data_channel);
}

void link::close_topology_channel(core::deadline until) noexcept {
    if (!open_ || !topology_open_) {
        return;
    }
    try {
        begin_rpc("channel.close", until);
        const auto guard = arm(until);
        check_reply("channel.close", topology_channel,
                    amqp_channel_close(handle(), topology_channel, AMQP_REPLY_SUCCESS));
        amqp_maybe_release_buffers_on_channel(handle(), topology_channel);
    } catch (...) {
        // A channel whose end is not known cannot be opened again.
        break_up();
    }
    topology_open_ = false;
}

namespace {

/// Does what RabbitMQ sent last of this say `connection.blocked`? Nothing is read: rabbitmq-c would
/// answer with a heartbeat in the middle of a frame that is being written. Looked for as bytes,
/// because where a frame begins is not known; taken for one by mistake it costs patience only.
bool peek_blocked(int socket) {
    char there[64 * 1024];
    const auto size = ::recv(socket, there, sizeof there, MSG_PEEK | MSG_DONTWAIT);
    if (size <= 0) {
        return false;
    }
    const std::string_view bytes{there, static_cast<std::size_t>(size)};
    // The end of a method frame's length, then class `connection` and the method.
    constexpr std::string_view connection{"\0\012\0", 3};
    constexpr char blocked = 60;
    constexpr char unblocked = 61;
    constexpr std::string_view method_on_channel_0{"\1\0\0\0\0", 5};
    constexpr std::size_t head = 7; // type, channel, length
    bool is = false;
    for (auto at = bytes.find(method_on_channel_0); at != std::string_view::npos;
         at = bytes.find(method_on_channel_0, at + 1)) {
        const auto method = bytes.substr(std::min(at + head, bytes.size()), connection.size() + 1);
        if (method.size() == connection.size() + 1 && method.starts_with(connection)) {
            is = method.back() == blocked || (is && method.back() != unblocked);
        }
    }
    return is;
}

} // namespace

void link::write_raw(std::span<const char> bytes, core::deadline until,
                     const std::function<bool()>& while_blocked) {
    require_open("write");
    constexpr milliseconds look{200};
    const int socket = amqp_get_sockfd(handle());
    while (!bytes.empty()) {
        const ssize_t sent =
            ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
            continue;
        }
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            const int system_error = errno;
            break_up();
            throw error_of(core::errc::unreachable,
                           "write: RabbitMQ at " + where_ + ": " +
                               std::generic_category().message(system_error),
                           core::handle_state::broken, system_error);
        }
        auto left = until.remaining_ms();
        const auto now = std::chrono::steady_clock::now();
        if (while_blocked && (blocked_ || peek_blocked(socket))) {
            blocked_at_ = now;
            bool wait = false;
            try {
                wait = while_blocked();
            } catch (...) {
                break_up(); // a message is half written
                throw;
            }
            left = wait ? look : milliseconds{0};
        } else if (now - blocked_at_ < write_timeout_) { // the time begins anew after it
            left = std::max(left, look);
        }
        if (left <= milliseconds{0}) {
            break_up();
            throw_not_taken("write: RabbitMQ at " + where_, AMQP_STATUS_TIMEOUT);
        }
        pollfd asked{socket, POLLOUT, 0};
        ::poll(&asked, 1, static_cast<int>(std::min(left, look).count()));
    }
}

} // namespace beds::amqp::detail
