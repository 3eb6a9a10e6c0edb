#include <beds/admin/pages.hpp>
#include <beds/admin/server.hpp>
#include <beds/config/settings.hpp>
#include <beds/core/error.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <thread>
#include <utility>

namespace beds::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using failure = boost::system::error_code;

constexpr std::size_t largest_head = 8 * 1024;

struct page {
    http::status status = http::status::ok;
    const char* type = "application/json";
    std::string body{};
};

/// One connection: reads the head of one request, answers, ends. Lives as long as an operation of
/// it is under way.
class session : public std::enable_shared_from_this<session> {
public:
    using answer = std::function<page(std::string_view target)>;

    session(tcp::socket socket, std::chrono::milliseconds time, answer from)
        : stream_(std::move(socket)), buffer_(largest_head + 1024), time_(time),
          answer_(std::move(from)) {}

    void run() {
        parser_.header_limit(largest_head);
        parser_.body_limit(0);
        stream_.expires_after(time_);
        http::async_read_header(
            stream_, buffer_, parser_,
            [self = shared_from_this()](failure failed, std::size_t) { self->respond(failed); });
    }

    void end() { stream_.close(); }

private:
    void respond(failure failed) {
        if (failed == beast::error::timeout || failed == asio::error::operation_aborted ||
            failed == http::error::end_of_stream || failed == http::error::partial_message) {
            return;
        }
        page made;
        bool with_body = true;
        if (failed == http::error::header_limit || failed == http::error::buffer_overflow) {
            made = {http::status::request_header_fields_too_large, "text/plain", "head too long\n"};
        } else if (failed) {
            made = {http::status::bad_request, "text/plain", "not HTTP\n"};
        } else {
            const auto& request = parser_.get();
            with_body = request.method() != http::verb::head;
            if (request.method() != http::verb::get && with_body) {
                made = {http::status::method_not_allowed, "text/plain", "GET or HEAD\n"};
            } else {
                made = answer_({request.target().data(), request.target().size()});
            }
        }
        response_.version(11);
        response_.result(made.status);
        response_.set(http::field::content_type, made.type);
        response_.set(http::field::cache_control, "no-store");
        response_.set("X-Content-Type-Options", "nosniff");
        if (made.status == http::status::method_not_allowed) {
            response_.set(http::field::allow, "GET, HEAD");
        }
        response_.keep_alive(false);
        response_.content_length(made.body.size());
        if (with_body) {
            response_.body() = std::move(made.body);
        }
        stream_.expires_after(time_);
        http::async_write(stream_, response_,
                          [self = shared_from_this()](failure, std::size_t) { self->linger(); });
    }

    /// Closing with bytes unread would reset the connection and take the answer with it.
    void linger() {
        failure ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        read_on(std::size_t{64} * 1024);
    }

    void read_on(std::size_t left) {
        stream_.expires_after(std::min(time_, std::chrono::milliseconds{1'000}));
        stream_.async_read_some(asio::buffer(rest_),
                                [self = shared_from_this(), left](failure failed, std::size_t n) {
                                    if (!failed && n < left) {
                                        self->read_on(left - n);
                                    }
                                });
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    http::request_parser<http::empty_body> parser_;
    http::response<http::string_body> response_;
    std::array<char, 4096> rest_{};
    std::chrono::milliseconds time_;
    answer answer_;
};

} // namespace

struct server::impl {
    impl(const node::node& of, const server_settings& settings, observe::log_sink sink)
        : shown(of), given(settings), log(std::move(sink)) {
        const auto listen = config::parse_listen(given.listen);
        if (!listen || given.max_connections == 0) {
            throw core::error(core::errc::invalid_configuration,
                              "admin pages: '" + given.listen +
                                  "' is no address with a port, such as 127.0.0.1:9464");
        }
        if (!listen->loopback && given.remote != config::remote_access::allow) {
            throw core::error(core::errc::invalid_configuration,
                              "admin pages: other machines reach '" + given.listen +
                                  "', and that is not allowed");
        }
        const tcp::endpoint place{asio::ip::make_address(listen->address), listen->port};
        failure failed;
        const auto check = [&] {
            if (failed) {
                throw core::error(core::errc::refused, "admin pages: cannot listen on " +
                                                           given.listen + ": " + failed.message());
            }
        };
        acceptor.open(place.protocol(), failed);
        check();
        acceptor.set_option(tcp::acceptor::reuse_address{true}, failed);
        acceptor.bind(place, failed);
        check();
        acceptor.listen(128, failed);
        check();
        port = acceptor.local_endpoint().port();
    }

    const node::node& shown;
    server_settings given;
    observe::log_sink log;
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    asio::steady_timer pause{context};
    std::uint16_t port = 0;
    std::list<std::weak_ptr<session>> open; ///< the oldest first
    std::thread pages;
    std::thread asker;

    std::mutex mutex; // guards what follows
    std::condition_variable wake;
    bool stopping = false;
    std::vector<node::queue_length> queues;

    // ---- the thread of the pages
    // -----------------------------------------------------------------

    void accept() {
        acceptor.async_accept([this](failure failed, tcp::socket socket) {
            if (failed == asio::error::operation_aborted) {
                return;
            }
            // Out of descriptors, say: the pause keeps this from becoming a busy loop.
            if (!failed) {
                welcome(std::move(socket));
            }
            pause.expires_after(failed ? std::chrono::milliseconds{200} : given.pace);
            pause.async_wait([this](failure cancelled) {
                if (!cancelled) {
                    accept();
                }
            });
        });
    }

    void welcome(tcp::socket socket) {
        open.remove_if([](const auto& each) { return each.expired(); });
        while (open.size() >= given.max_connections) {
            if (const auto oldest = open.front().lock()) {
                oldest->end();
            }
            open.pop_front();
        }
        const auto made =
            std::make_shared<session>(std::move(socket), given.client_time,
                                      [this](std::string_view target) { return answer(target); });
        open.push_back(made);
        made->run();
    }

    page answer(std::string_view target) {
        target = target.substr(0, target.find('?'));
        try {
            if (target == "/metrics") {
                return {http::status::ok, "text/plain; version=0.0.4; charset=utf-8",
                        metrics_text(look())};
            }
            if (target == "/status") {
                return {http::status::ok, "application/json", status_json(look())};
            }
            if (target == "/ready" || target == "/live") {
                const auto status = shown.status();
                const bool ready = target == "/ready";
                return {(ready ? status.ready : status.live) ? http::status::ok
                                                             : http::status::service_unavailable,
                        "application/json", ready ? readiness_json(status) : liveness_json(status)};
            }
        } catch (const std::exception& failed) {
            log.write(observe::level::error, "BEDS_ADMIN_FAILED", "admin", failed.what());
            return {http::status::internal_server_error, "text/plain", "see the log\n"};
        }
        return {http::status::not_found, "text/plain", "/live /ready /status /metrics\n"};
    }

    [[nodiscard]] view look() {
        // Books before the status: an operation that ends in between is not missing.
        view made;
        made.traffic = shown.traffic();
        made.status = shown.status();
        const std::lock_guard lock{mutex};
        made.queues = queues;
        return made;
    }

    // ---- the thread that asks RabbitMQ
    // -----------------------------------------------------------

    void ask() {
        std::unique_lock lock{mutex};
        while (!stopping) {
            lock.unlock();
            std::vector<node::queue_length> found;
            try {
                found = shown.queue_lengths(core::deadline::after(std::chrono::seconds{2}));
            } catch (const std::exception& failed) {
                log.write(observe::level::error, "BEDS_ADMIN_FAILED", "admin", failed.what());
            }
            lock.lock();
            queues = std::move(found);
            wake.wait_for(lock, given.queues_every, [this] { return stopping; });
        }
    }

    void stop() {
        {
            const std::lock_guard lock{mutex};
            stopping = true;
        }
        wake.notify_all();
        context.stop();
        for (auto* each : {&pages, &asker}) {
            if (each->joinable()) {
                each->join();
            }
        }
    }
};

server::server(const node::node& of, const server_settings& settings, observe::log_sink log)
    : impl_(std::make_unique<impl>(of, settings, std::move(log))) {}

server::~server() {
    stop();
}

void server::start() {
    auto& self = *impl_;
    self.accept();
    self.pages = std::thread{[&self] {
        ::pthread_setname_np(::pthread_self(), "beds admin");
        for (;;) {
            try {
                self.context.run();
                return;
            } catch (const std::exception& failed) { // out of memory: that answer is lost
                self.log.write(observe::level::error, "BEDS_ADMIN_FAILED", "admin", failed.what());
            }
        }
    }};
    self.asker = std::thread{[&self] {
        ::pthread_setname_np(::pthread_self(), "beds queues");
        self.ask();
    }};
    self.log.write(observe::level::info, "BEDS_ADMIN_LISTENING", "admin",
                   "pages at http://" +
                       self.given.listen.substr(0, self.given.listen.rfind(':') + 1) +
                       std::to_string(self.port));
}

void server::stop() {
    impl_->stop();
}

std::uint16_t server::port() const {
    return impl_->port;
}

} // namespace beds::admin
