#include "support/gate.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <random>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace beds::test {
namespace {

using steady = std::chrono::steady_clock;
constexpr std::size_t held_at_most = 4 * 1024 * 1024;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int given) : number_(given) {}
    ~descriptor() { close(); }
    descriptor(descriptor&& from) noexcept : number_(std::exchange(from.number_, -1)) {}
    descriptor& operator=(descriptor&& from) noexcept {
        std::swap(number_, from.number_);
        return *this;
    }
    [[nodiscard]] int get() const { return number_; }
    void close() {
        if (number_ >= 0) {
            ::close(std::exchange(number_, -1));
        }
    }
    void reset() { // RST instead of FIN
        if (number_ >= 0) {
            const linger at_once{1, 0};
            ::setsockopt(number_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close();
        }
    }

private:
    int number_ = -1;
};

void send_at_once(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

struct piece {
    steady::time_point due;
    std::vector<char> bytes; ///< empty: the end of the stream
    std::size_t passed = 0;
};

/// One direction of one connection.
struct pipe {
    std::deque<piece> held;
    std::size_t held_bytes = 0;
    bool read_to_end = false;
    bool ended = false;   ///< and passed on
    bool swallow = false; ///< for ever
    std::uint64_t passed = 0;
    std::uint64_t passed_when_armed = 0;
    std::uint64_t taken = 0; ///< since a byte to corrupt was named
};

struct connection {
    descriptor client;
    descriptor server;
    bool connecting = true;
    bool gone = false;
    std::array<pipe, 2> pipes;
};

struct armed_cut {
    std::uint64_t after;
    gate::cut_by how;
};

struct corruption {
    std::uint64_t one_in;
    std::mt19937_64 random;
    std::uint64_t left;
};

/// What holds for a direction of all connections.
struct rules {
    std::chrono::microseconds delay{0};
    bool frozen = false;
    std::optional<armed_cut> cut;
    std::optional<corruption> corrupt;
    std::optional<std::uint64_t> corrupt_at;
};

} // namespace

struct gate::impl {
    sockaddr_storage server{};
    socklen_t server_size = 0;
    sockaddr_in own{};
    descriptor listener;
    descriptor wake;
    std::thread thread;

    mutable std::mutex mutex; ///< of `asked`, `stop` and `numbers`
    std::vector<std::function<void()>> asked;
    bool stop = false;
    counts numbers;

    // Of the thread.
    std::array<rules, 2> ways;
    std::list<connection> connections;
    std::vector<char> buffer = std::vector<char>(256 * 1024);

    void listen_there() {
        descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
        const int on = 1;
        ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        socklen_t size = sizeof own;
        if (made.get() < 0 || ::bind(made.get(), reinterpret_cast<sockaddr*>(&own), size) != 0 ||
            ::listen(made.get(), 128) != 0 ||
            ::getsockname(made.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
            fail("the gate cannot listen");
        }
        listener = std::move(made);
    }

    /// Runs it in the gate's thread and waits for its end.
    void run(std::function<void()> what) {
        std::promise<void> done;
        {
            const std::lock_guard lock{mutex};
            asked.emplace_back([&] {
                try {
                    what();
                    done.set_value();
                } catch (...) {
                    done.set_exception(std::current_exception());
                }
            });
        }
        signal();
        done.get_future().get();
    }
    void signal() const {
        const std::uint64_t one = 1;
        (void)!::write(wake.get(), &one, sizeof one);
    }
    template <typename Change>
    void count(Change change) {
        const std::lock_guard lock{mutex};
        change(numbers);
    }

    void serve() {
        ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); // delays to the microsecond
        for (;;) {
            std::vector<std::function<void()>> now;
            {
                const std::lock_guard lock{mutex};
                if (stop) {
                    break;
                }
                now.swap(asked);
            }
            for (const auto& one : now) {
                one();
            }
            wait_and_move();
        }
        for (auto& one : connections) {
            end(one, cut_by::reset);
        }
        connections.clear();
    }

    void wait_and_move() {
        std::vector<pollfd> watched{{wake.get(), POLLIN, 0}, {listener.get(), POLLIN, 0}};
        auto next = steady::time_point::max();
        const auto before = steady::now();
        for (auto& one : connections) {
            for (std::size_t side = 0; side < 2; ++side) {
                const auto events = wanted(one, side, before, next);
                const auto& socket = side == 0 ? one.client : one.server;
                // Unwatched when nothing is wanted of it: a hang-up would be reported for ever.
                watched.push_back({events == 0 ? -1 : socket.get(), events, 0});
            }
        }
        timespec limit{};
        if (next != steady::time_point::max()) {
            const auto left = std::max<std::int64_t>(
                0, std::chrono::duration_cast<std::chrono::nanoseconds>(next - before).count());
            limit = {left / 1'000'000'000, left % 1'000'000'000};
        }
        if (::ppoll(watched.data(), watched.size(),
                    next == steady::time_point::max() ? nullptr : &limit, nullptr) < 0 &&
            errno != EINTR) {
            fail("the gate cannot wait");
        }
        if (watched[0].revents != 0) {
            std::uint64_t drained = 0;
            (void)!::read(wake.get(), &drained, sizeof drained);
        }
        std::size_t at = 2;
        for (auto& one : connections) {
            move(one, watched[at].revents, watched[at + 1].revents);
            at += 2;
        }
        connections.remove_if([](const connection& one) { return one.gone; });
        if (watched[1].revents != 0) {
            accept();
        }
        const auto open = connections.size();
        count([&](counts& all) { all.open = open; });
    }

    /// Side 0: the client, which pipe 0 reads from and pipe 1 writes to. Side 1: the server.
    [[nodiscard]] short wanted(const connection& one, std::size_t side, steady::time_point now,
                               steady::time_point& next) const {
        if (one.connecting) {
            return side == 1 ? POLLOUT : 0;
        }
        short events = 0;
        const auto& in = one.pipes[side];
        if (!ways[side].frozen && !in.read_to_end && in.held_bytes < held_at_most) {
            events |= POLLIN;
        }
        const auto& out = one.pipes[1 - side];
        if (!ways[1 - side].frozen && !out.held.empty()) {
            if (out.held.front().due <= now) {
                events |= POLLOUT;
            } else {
                next = std::min(next, out.held.front().due);
            }
        }
        return events;
    }

    void accept() {
        for (;;) {
            descriptor client{
                ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
            if (client.get() < 0) {
                return;
            }
            count([](counts& all) { ++all.accepted; });
            descriptor made{
                ::socket(server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
            send_at_once(client.get());
            send_at_once(made.get());
            if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&server), server_size) !=
                    0 &&
                errno != EINPROGRESS) {
                client.reset();
                continue;
            }
            auto& one = connections.emplace_back();
            one.client = std::move(client);
            one.server = std::move(made);
        }
    }

    void end(connection& one, cut_by how) {
        if (how == cut_by::reset) {
            one.client.reset();
            one.server.reset();
        } else {
            one.client.close();
            one.server.close();
        }
        one.gone = true;
    }

    void move(connection& one, short client_events, short server_events) {
        if (one.connecting) {
            if ((server_events & (POLLOUT | POLLERR | POLLHUP)) != 0) {
                int error = 0;
                socklen_t size = sizeof error;
                ::getsockopt(one.server.get(), SOL_SOCKET, SO_ERROR, &error, &size);
                if (error != 0) {
                    end(one, cut_by::reset);
                }
                one.connecting = false;
            }
            return;
        }
        // A reset is felt by the other side at once, unless this gate is frozen or swallows.
        const auto broken = [&](std::size_t side, short events) {
            return (events & POLLERR) != 0 && !ways[side].frozen && !one.pipes[side].swallow;
        };
        if (broken(0, client_events) || broken(1, server_events)) {
            end(one, cut_by::reset);
            return;
        }
        take(one, 0, client_events);
        take(one, 1, server_events);
        pass(one, 0);
        pass(one, 1);
        if (!one.gone && one.pipes[0].ended && one.pipes[1].ended) {
            end(one, cut_by::close);
        }
    }

    void take(connection& one, std::size_t way, short events) {
        auto& in = one.pipes[way];
        if (one.gone || in.read_to_end || ways[way].frozen || (events & (POLLIN | POLLHUP)) == 0) {
            return;
        }
        const auto size =
            ::recv(way == 0 ? one.client.get() : one.server.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (in.swallow) {
            in.read_to_end = size <= 0;
        } else if (size < 0) {
            end(one, cut_by::reset);
        } else {
            in.read_to_end = size == 0;
            corrupt(in, ways[way], static_cast<std::size_t>(size));
            in.held_bytes += static_cast<std::size_t>(size);
            in.held.push_back(
                {steady::now() + ways[way].delay, {buffer.begin(), buffer.begin() + size}});
        }
    }

    /// What was just read into the buffer.
    void corrupt(pipe& in, rules& now, std::size_t size) {
        std::uint64_t done = 0;
        if (now.corrupt_at && *now.corrupt_at - in.taken < size) {
            buffer[*now.corrupt_at - in.taken] ^= 1;
            now.corrupt_at.reset();
            ++done;
        }
        in.taken += size;
        for (std::size_t i = 0; now.corrupt && i < size; ++i) {
            const auto drawn = now.corrupt->random();
            if (drawn % now.corrupt->one_in == 0) {
                buffer[i] = static_cast<char>(buffer[i] ^ (1 << (drawn >> 61U)));
                ++done;
                if (--now.corrupt->left == 0) {
                    now.corrupt.reset();
                }
            }
        }
        if (done != 0) {
            count([&](counts& all) { all.corrupted += done; });
        }
    }

    void pass(connection& one, std::size_t way) {
        auto& out = one.pipes[way];
        auto& to = way == 0 ? one.server : one.client;
        while (!one.gone && !ways[way].frozen && !out.held.empty() &&
               out.held.front().due <= steady::now()) {
            auto& first = out.held.front();
            if (first.bytes.empty()) {
                ::shutdown(to.get(), SHUT_WR);
                out.ended = true;
                out.held.pop_front();
                continue;
            }
            auto size = first.bytes.size() - first.passed;
            const auto& cut = ways[way].cut;
            if (cut) {
                size = static_cast<std::size_t>(std::min<std::uint64_t>(
                    size, cut->after - std::min(cut->after, out.passed - out.passed_when_armed)));
            }
            const auto sent =
                ::send(to.get(), first.bytes.data() + first.passed, size, MSG_NOSIGNAL);
            if (sent < 0) {
                if (errno != EAGAIN && errno != EINTR) {
                    end(one, cut_by::reset);
                }
                return;
            }
            const auto went = static_cast<std::size_t>(sent);
            first.passed += went;
            out.passed += went;
            out.held_bytes -= went;
            count([&](counts& all) {
                (way == 0 ? all.bytes_to_server : all.bytes_to_client) += went;
            });
            if (cut && out.passed - out.passed_when_armed >= cut->after) {
                const auto how = cut->how;
                ways[way].cut.reset();
                count([](counts& all) { ++all.cut; });
                end(one, how);
                return;
            }
            if (first.passed == first.bytes.size()) {
                out.held.pop_front();
            }
        }
    }
};

namespace {

std::size_t index(gate::direction which) {
    return which == gate::direction::to_server ? 0 : 1;
}

} // namespace

gate::gate(const std::string& host, std::uint16_t port) : impl_(std::make_unique<impl>()) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const auto error =
            ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
        error != 0) {
        throw std::invalid_argument(host + ": " + ::gai_strerror(error));
    }
    std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
                reinterpret_cast<char*>(&impl_->server));
    impl_->server_size = found->ai_addrlen;
    ::freeaddrinfo(found);
    impl_->own.sin_family = AF_INET;
    impl_->own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    impl_->listen_there();
    impl_->wake = descriptor{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (impl_->wake.get() < 0) {
        fail("eventfd");
    }
    impl_->thread = std::thread{[this] { impl_->serve(); }};
}

gate::~gate() {
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stop = true;
    }
    impl_->signal();
    impl_->thread.join();
}

std::uint16_t gate::port() const {
    return ntohs(impl_->own.sin_port);
}

void gate::delay(direction which, std::chrono::microseconds by) {
    impl_->run([&] { impl_->ways[index(which)].delay = by; });
}

void gate::stop_accepting() {
    impl_->run([this] { impl_->listener.close(); });
}

void gate::accept_again() {
    impl_->run([this] {
        if (impl_->listener.get() < 0) {
            impl_->listen_there();
        }
    });
}

void gate::reset() {
    impl_->run([this] {
        for (auto& one : impl_->connections) {
            impl_->end(one, cut_by::reset);
        }
        impl_->connections.clear();
        impl_->count([](counts& all) { all.open = 0; });
    });
}

void gate::cut_after(direction which, std::uint64_t bytes, cut_by how) {
    impl_->run([&] {
        impl_->ways[index(which)].cut = armed_cut{bytes, how};
        for (auto& one : impl_->connections) {
            auto& pipe = one.pipes[index(which)];
            pipe.passed_when_armed = pipe.passed;
        }
    });
}

void gate::freeze(direction which) {
    impl_->run([&] { impl_->ways[index(which)].frozen = true; });
}

void gate::thaw(direction which) {
    impl_->run([&] { impl_->ways[index(which)].frozen = false; });
}

void gate::swallow(direction which) {
    impl_->run([&] {
        for (auto& one : impl_->connections) {
            auto& pipe = one.pipes[index(which)];
            pipe.swallow = true;
            pipe.held.clear();
            pipe.held_bytes = 0;
        }
    });
}

void gate::corrupt(direction which, std::uint64_t one_in, std::uint64_t seed, std::uint64_t most) {
    impl_->run([&] {
        auto& now = impl_->ways[index(which)].corrupt;
        now.reset();
        if (one_in != 0 && most != 0) {
            now = corruption{one_in, std::mt19937_64{seed}, most};
        }
    });
}

void gate::corrupt_at(direction which, std::uint64_t byte) {
    impl_->run([&] {
        impl_->ways[index(which)].corrupt_at = byte;
        for (auto& one : impl_->connections) {
            one.pipes[index(which)].taken = 0;
        }
    });
}

void gate::half_close(direction which) {
    impl_->run([&] {
        const auto way = index(which);
        for (auto& one : impl_->connections) {
            auto& pipe = one.pipes[way];
            if (!pipe.read_to_end && !pipe.swallow) {
                pipe.swallow = true;
                pipe.held.push_back({steady::now() + impl_->ways[way].delay, {}});
            }
        }
    });
}

gate::counts gate::count() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->numbers;
}

} // namespace beds::test
