#include "adapters/mongodb/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace beds::adapters::mongodb {
namespace {

constexpr int stream_type = 0x42454453;
constexpr std::size_t buffer_size = std::size_t{32} * 1024;

/// A stream over one socket whose calls end by the deadline of the session. What the driver sees is
/// the member `driver`, which is the first one.
struct bounded_stream {
    mongoc_stream_t driver{};
    stream_control* control = nullptr;
    int descriptor = -1;
    int last_error = 0;
    bool wrote = false; ///< since the last read
    std::size_t read_position = 0;
    std::size_t read_end = 0;
    std::array<char, buffer_size> buffer;

    [[nodiscard]] std::size_t buffered() const { return read_end - read_position; }
};

bounded_stream& self(mongoc_stream_t* stream) {
    return *reinterpret_cast<bounded_stream*>(stream);
}

/// What the driver allows for a call (negative: no limit; 0: do not wait) and what the session
/// does.
core::deadline bound(const bounded_stream& stream, std::int32_t timeout_msec) {
    if (timeout_msec < 0) {
        return stream.control->until;
    }
    return stream.control->until.earlier(
        core::deadline::after(std::chrono::milliseconds{timeout_msec}));
}

/// Milliseconds for poll(2), rounded up so that it does not spin at the end.
int poll_time(core::deadline until) {
    if (until.is_never()) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.remaining()).count();
    return static_cast<int>(std::min<std::int64_t>(left, std::numeric_limits<int>::max()));
}

/// 1: ready. 0: the time is over. -1: an error, in errno.
int wait_for(int descriptor, short events, core::deadline until) {
    for (;;) {
        pollfd waited{descriptor, events, 0};
        const int found = poll(&waited, 1, poll_time(until));
        if (found > 0) {
            return 1;
        }
        if (found == 0) {
            return 0;
        }
        if (errno != EINTR) {
            return -1;
        }
    }
}

/// Waits unless the driver asked not to. False: the call fails with `last_error`.
bool wait_in_call(bounded_stream& stream, short events, std::int32_t timeout_msec,
                  core::deadline until) {
    if (timeout_msec == 0) {
        // Past the deadline the driver must not be told to try again.
        stream.control->timed_out = stream.control->until.expired();
        stream.last_error = stream.control->timed_out ? ETIMEDOUT : EAGAIN;
        return false;
    }
    const int found = wait_for(stream.descriptor, events, until);
    if (found > 0) {
        return true;
    }
    stream.last_error = found == 0 ? ETIMEDOUT : errno;
    if (found == 0 && stream.control->until.expired()) {
        stream.control->timed_out = true;
    }
    return false;
}

void destroy(mongoc_stream_t* stream) {
    if (self(stream).descriptor >= 0) {
        ::close(self(stream).descriptor);
    }
    delete &self(stream);
}

int close_stream(mongoc_stream_t* stream) {
    auto& me = self(stream);
    if (me.descriptor < 0) {
        return 0;
    }
    const int result = ::close(me.descriptor);
    me.descriptor = -1;
    return result;
}

int flush(mongoc_stream_t*) {
    return 0;
}

/// Has the server ended the connection while it was idle? Found out before a message is sent: what
/// is certainly not sent has certainly no effect.
bool peer_is_gone(const bounded_stream& stream) {
    char byte = 0;
    const auto seen = recv(stream.descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return seen == 0 || (seen < 0 && errno != EAGAIN && errno != EINTR);
}

ssize_t writev(mongoc_stream_t* stream, mongoc_iovec_t* iov, size_t count, int32_t timeout_msec) {
    auto& me = self(stream);
    const auto until = bound(me, timeout_msec);
    if (!me.wrote) {
        if (peer_is_gone(me)) {
            me.last_error = EPIPE;
            errno = EPIPE;
            return -1;
        }
        me.wrote = true;
    }
    std::vector<iovec> left;
    left.reserve(count);
    for (size_t i = 0; i < count; ++i) {
        left.push_back({iov[i].iov_base, iov[i].iov_len});
    }
    std::size_t first = 0;
    ssize_t sent = 0;
    for (;;) {
        while (first < left.size() && left[first].iov_len == 0) {
            ++first;
        }
        if (first == left.size()) {
            return sent;
        }
        msghdr message{};
        message.msg_iov = left.data() + first;
        message.msg_iovlen = std::min<std::size_t>(left.size() - first, 1024);
        const auto now = sendmsg(me.descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now >= 0) {
            sent += now;
            auto taken = static_cast<std::size_t>(now);
            for (; taken > 0 && first < left.size(); ++first) {
                const auto part = std::min(taken, left[first].iov_len);
                left[first].iov_base = static_cast<char*>(left[first].iov_base) + part;
                left[first].iov_len -= part;
                taken -= part;
                if (left[first].iov_len > 0) {
                    break;
                }
            }
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            me.last_error = errno;
            return -1;
        }
        if (!wait_in_call(me, POLLOUT, timeout_msec, until)) {
            errno = me.last_error;
            if (timeout_msec == 0 && sent > 0) {
                return sent;
            }
            return -1;
        }
    }
}

ssize_t readv(mongoc_stream_t* stream, mongoc_iovec_t* iov, size_t count, size_t min_bytes,
              int32_t timeout_msec) {
    auto& me = self(stream);
    const auto until = bound(me, timeout_msec);
    // The answer to what was just written is never there yet: wait before the first look.
    bool look = true;
    if (me.wrote) {
        me.wrote = false;
        me.control->asked = true;
        look = timeout_msec == 0;
    }
    std::size_t read = 0;
    std::size_t at = 0; // within iov[0], which moves
    while (count > 0) {
        if (at == iov->iov_len) {
            ++iov;
            --count;
            at = 0;
            continue;
        }
        char* const to = static_cast<char*>(iov->iov_base) + at;
        const std::size_t wanted = iov->iov_len - at;
        if (me.buffered() > 0) {
            const auto part = std::min(wanted, me.buffered());
            std::memcpy(to, me.buffer.data() + me.read_position, part);
            me.read_position += part;
            at += part;
            read += part;
            continue;
        }
        if (read >= min_bytes && read > 0) {
            break;
        }
        // Large reads go straight to where they are wanted.
        const bool direct = wanted >= buffer_size;
        if (!std::exchange(look, true) && !wait_in_call(me, POLLIN, timeout_msec, until)) {
            errno = me.last_error;
            return -1;
        }
        const auto got = direct ? recv(me.descriptor, to, wanted, MSG_DONTWAIT)
                                : recv(me.descriptor, me.buffer.data(), buffer_size, MSG_DONTWAIT);
        if (got > 0) {
            if (direct) {
                at += static_cast<std::size_t>(got);
                read += static_cast<std::size_t>(got);
            } else {
                me.read_position = 0;
                me.read_end = static_cast<std::size_t>(got);
            }
            continue;
        }
        if (got == 0) {
            me.last_error = 0;
            return read >= min_bytes ? static_cast<ssize_t>(read) : -1;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            me.last_error = errno;
            return -1;
        }
        if (!wait_in_call(me, POLLIN, timeout_msec, until)) {
            errno = me.last_error;
            return -1;
        }
    }
    return static_cast<ssize_t>(read);
}

int set_option(mongoc_stream_t* stream, int level, int name, void* value, mongoc_socklen_t size) {
    return setsockopt(self(stream).descriptor, level, name, value, size);
}

bool check_closed(mongoc_stream_t* stream) {
    return self(stream).buffered() == 0 && peer_is_gone(self(stream));
}

ssize_t poll_streams(mongoc_stream_poll_t* streams, size_t count, int32_t timeout) {
    std::vector<pollfd> waited;
    waited.reserve(count);
    ssize_t ready = 0;
    auto until = timeout < 0 ? core::deadline::never()
                             : core::deadline::after(std::chrono::milliseconds{timeout});
    for (size_t i = 0; i < count; ++i) {
        const auto& one = self(streams[i].stream);
        waited.push_back({one.descriptor, static_cast<short>(streams[i].events), 0});
        until = until.earlier(one.control->until);
        streams[i].revents = 0;
        if (one.buffered() > 0 && (streams[i].events & POLLIN) != 0) {
            streams[i].revents = POLLIN;
            ++ready;
        }
    }
    if (ready > 0) {
        return ready;
    }
    const auto found = poll(waited.data(), waited.size(), poll_time(until));
    for (size_t i = 0; i < count; ++i) {
        auto& control = *self(streams[i].stream).control;
        streams[i].revents = waited[i].revents;
        if (found == 0 && control.until.expired()) {
            // The driver would go on until a time-out of its own.
            control.timed_out = true;
            streams[i].revents = POLLERR;
            ++ready;
        }
    }
    return found == 0 ? ready : found;
}

bool timed_out(mongoc_stream_t* stream) {
    return self(stream).last_error == ETIMEDOUT;
}

bool should_retry(mongoc_stream_t* stream) {
    const int error = self(stream).last_error;
    return error == EAGAIN || error == EINTR;
}

class descriptor_owner {
public:
    explicit descriptor_owner(int descriptor) : descriptor_(descriptor) {}
    ~descriptor_owner() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    descriptor_owner(const descriptor_owner&) = delete;
    descriptor_owner& operator=(const descriptor_owner&) = delete;

    [[nodiscard]] int get() const { return descriptor_; }
    int release() { return std::exchange(descriptor_, -1); }

private:
    int descriptor_;
};

/// A connected descriptor, or -1 with `problem` set.
int connect_to(int family, const sockaddr* address, socklen_t size, core::deadline until,
               std::string& problem) {
    descriptor_owner made{socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (made.get() < 0) {
        problem = std::generic_category().message(errno);
        return -1;
    }
    if (connect(made.get(), address, size) != 0) {
        if (errno != EINPROGRESS && errno != EINTR) {
            problem = std::generic_category().message(errno);
            return -1;
        }
        const int found = wait_for(made.get(), POLLOUT, until);
        if (found <= 0) {
            problem = found == 0 ? "no answer in time" : std::generic_category().message(errno);
            return -1;
        }
        int failure = 0;
        socklen_t failure_size = sizeof failure;
        getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &failure, &failure_size);
        if (failure != 0) {
            problem = std::generic_category().message(failure);
            return -1;
        }
    }
    if (family != AF_UNIX) {
        const int on = 1;
        setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(made.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    return made.release();
}

struct address_list_destroyer {
    void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

int connect_to(const mongoc_host_list_t& host, core::deadline until, std::string& problem) {
    if (host.family == AF_UNIX) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string_view path{host.host};
        if (path.size() >= sizeof address.sun_path) {
            problem = "the path of the socket is too long";
            return -1;
        }
        std::memcpy(address.sun_path, path.data(), path.size());
        return connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address,
                          until, problem);
    }
    addrinfo hints{};
    hints.ai_family = host.family;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failure = getaddrinfo(host.host, std::to_string(host.port).c_str(), &hints, &found);
    if (failure != 0) {
        problem = gai_strerror(failure);
        return -1;
    }
    const std::unique_ptr<addrinfo, address_list_destroyer> list{found};
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        const int descriptor =
            connect_to(one->ai_family, one->ai_addr, one->ai_addrlen, until, problem);
        if (descriptor >= 0) {
            return descriptor;
        }
    }
    return -1;
}

} // namespace

mongoc_stream_t* open_stream(const mongoc_uri_t*, const mongoc_host_list_t* host, void* control,
                             bson_error_t* error) {
    auto& shared = *static_cast<stream_control*>(control);
    const auto until = shared.until.earlier(core::deadline::after(shared.connect_timeout));
    const auto failed = [&](std::uint32_t code) {
        if (shared.until.expired()) {
            shared.timed_out = true;
        }
        bson_set_error(error, MONGOC_ERROR_STREAM, code, "%s", shared.problem.c_str());
        return nullptr;
    };
    const int descriptor = connect_to(*host, until, shared.problem);
    if (descriptor < 0) {
        return failed(MONGOC_ERROR_STREAM_CONNECT);
    }
    auto* const made = new (std::nothrow) bounded_stream;
    if (made == nullptr) {
        ::close(descriptor);
        shared.problem = "out of memory";
        return failed(MONGOC_ERROR_STREAM_CONNECT);
    }
    made->control = &shared;
    made->descriptor = descriptor;
    made->driver.type = stream_type;
    made->driver.destroy = destroy;
    made->driver.close = close_stream;
    made->driver.flush = flush;
    made->driver.writev = writev;
    made->driver.readv = readv;
    made->driver.setsockopt = set_option;
    // No get_base_stream: the driver takes the stream without one for the lowest.
    made->driver.check_closed = check_closed;
    made->driver.poll = poll_streams;
    made->driver.failed = destroy;
    made->driver.timed_out = timed_out;
    made->driver.should_retry = should_retry;
    stream_handle stream{&made->driver};
    if (!shared.tls) {
        return stream.release();
    }
#ifdef MONGOC_ENABLE_SSL
    // The TLS stream owns the stream below it only once it is made.
    mongoc_stream_t* const secured =
        mongoc_stream_tls_new_with_hostname(stream.get(), host->host, shared.tls_options, 1);
    if (secured == nullptr) {
        shared.problem = "the certificates or keys for TLS cannot be used";
        return failed(MONGOC_ERROR_STREAM_SOCKET);
    }
    static_cast<void>(stream.release());
    stream_handle owned{secured};
    bson_error_t why{};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.remaining()).count();
    const auto time = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(left, 1, std::numeric_limits<std::int32_t>::max()));
    if (!mongoc_stream_tls_handshake_block(owned.get(), host->host, time, &why)) {
        shared.problem = std::string{"TLS: "} + why.message;
        return failed(MONGOC_ERROR_STREAM_SOCKET);
    }
    return owned.release();
#else
    shared.problem = "this driver was built without TLS";
    return failed(MONGOC_ERROR_STREAM_CONNECT);
#endif
}

} // namespace beds::adapters::mongodb
