#include "command_tap.hpp"

#include "support/loopback.hpp"

#include <mongoc/mongoc.h>

#include <arpa/inet.h>
#include <atomic>
#include <cstring>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <set>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace beds::test::mongodb {
namespace {

constexpr std::int32_t op_query = 2004;
constexpr std::int32_t op_msg = 2013;

bool send_all(int to, const char* from, std::size_t size) {
    while (size > 0) {
        const auto sent = send(to, from, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        from += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return true;
}

std::int32_t number_at(std::string_view bytes, std::size_t at) {
    std::int32_t made = 0;
    if (bytes.size() < at + sizeof made) {
        throw std::runtime_error{"a message that ends too early"};
    }
    std::memcpy(&made, bytes.data() + at, sizeof made);
    return made;
}

/// `path`: names from the outside, arrays without their numbers.
std::string shape_of(bson_iter_t& at, std::vector<std::string>& path, bool is_array);

std::string shape_of_value(bson_iter_t& at, std::vector<std::string>& path) {
    bson_iter_t inside;
    switch (bson_iter_type(&at)) {
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
        if (!bson_iter_recurse(&at, &inside)) {
            throw std::runtime_error{"a document that is none"};
        }
        return shape_of(inside, path, bson_iter_type(&at) == BSON_TYPE_ARRAY);
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
    case BSON_TYPE_DOUBLE:
        return "number";
    case BSON_TYPE_UTF8:
        return "text";
    case BSON_TYPE_BOOL:
        return "bool";
    case BSON_TYPE_NULL:
        return "null";
    default: // all others by the numbers of BSON: none of them is data of a caller
        return "type " + std::to_string(static_cast<int>(bson_iter_type(&at)));
    }
}

std::string shape_of(bson_iter_t& at, std::vector<std::string>& path, bool is_array) {
    std::string made;
    std::set<std::string> seen;
    while (bson_iter_next(&at)) {
        const std::string name = bson_iter_key(&at);
        if (is_array) {
            seen.insert(shape_of_value(at, path));
            continue;
        }
        // The one field that takes JSON: what it holds is data, where it is stored.
        const bool data = name == "t_doc" && !path.empty() &&
                          (path.back() == "documents" || path.back() == "$set");
        path.push_back(name);
        made += (made.empty() ? "" : ",") + name + ':' + (data ? "data" : shape_of_value(at, path));
        path.pop_back();
    }
    for (const auto& one : seen) {
        made += (made.empty() ? "" : "|") + one;
    }
    return is_array ? '[' + made + ']' : '{' + made + '}';
}

/// The document at a place of a message, whose end `at` becomes.
std::string document_at(std::string_view message, std::size_t& at, std::vector<std::string> path) {
    const auto size = static_cast<std::size_t>(number_at(message, at));
    bson_t document;
    bson_iter_t inside;
    if (size > message.size() - at ||
        !bson_init_static(&document, reinterpret_cast<const std::uint8_t*>(message.data()) + at,
                          size) ||
        !bson_iter_init(&inside, &document)) {
        throw std::runtime_error{"a document that is none"};
    }
    at += size;
    return shape_of(inside, path, false);
}

} // namespace

struct command_tap::impl {
    std::string host;
    std::uint16_t to = 0;
    loopback_listener listener;
    std::mutex mutex;
    std::map<std::string, std::size_t> seen;
    std::string trouble;
    std::vector<int> open;
    std::vector<std::thread> threads;
    std::thread acceptor;

    void note(std::string_view message) {
        const auto operation = number_at(message, 12);
        if (operation == op_query) {
            return; // the driver's greeting
        }
        if (operation != op_msg) {
            throw std::runtime_error{"operation " + std::to_string(operation)};
        }
        const bool checksum = (static_cast<std::uint32_t>(number_at(message, 16)) & 1U) != 0;
        const auto end = message.size() - (checksum ? 4 : 0);
        std::string shape;
        for (std::size_t at = 20; at < end;) {
            const auto kind = message[at++];
            if (kind == 0) {
                shape += document_at(message, at, {});
                continue;
            }
            const auto section_end = at + static_cast<std::size_t>(number_at(message, at));
            const std::string name = message.data() + at + 4;
            at += 4 + name.size() + 1;
            std::set<std::string> all;
            while (at < section_end) {
                all.insert(document_at(message, at, {name}));
            }
            shape += ' ' + name + '[';
            for (const auto& one : all) {
                shape += (shape.ends_with('[') ? "" : "|") + one;
            }
            shape += ']';
        }
        const std::lock_guard lock{mutex};
        ++seen[shape];
    }

    void ask(int client, int server) {
        std::string message;
        for (;;) {
            message.resize(16);
            if (!read_all(client, message.data(), 16)) {
                break;
            }
            message.resize(static_cast<std::size_t>(number_at(message, 0)));
            if (!read_all(client, message.data() + 16, message.size() - 16)) {
                break;
            }
            try {
                note(message);
            } catch (const std::exception& wrong) {
                const std::lock_guard lock{mutex};
                trouble = wrong.what();
            }
            if (!send_all(server, message.data(), message.size())) {
                break;
            }
        }
        shutdown(client, SHUT_RDWR);
        shutdown(server, SHUT_RDWR);
    }

    static void answer(int server, int client) {
        std::vector<char> part(65'536);
        for (;;) {
            const auto got = recv(server, part.data(), part.size(), 0);
            if (got <= 0 || !send_all(client, part.data(), static_cast<std::size_t>(got))) {
                break;
            }
        }
        shutdown(client, SHUT_RDWR);
        shutdown(server, SHUT_RDWR);
    }

    void serve() {
        for (;;) {
            const int client = listener.accept();
            if (client < 0) {
                return;
            }
            const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(to);
            inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &address.sin_addr);
            if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
                shutdown(client, SHUT_RDWR);
            }
            const std::lock_guard lock{mutex};
            open.push_back(client);
            open.push_back(server);
            threads.emplace_back([this, client, server] { ask(client, server); });
            threads.emplace_back([client, server] { answer(server, client); });
        }
    }
};

command_tap::command_tap(std::string host, std::uint16_t port) : impl_(std::make_unique<impl>()) {
    impl_->host = std::move(host);
    impl_->to = port;
    impl_->acceptor = std::thread{[this] { impl_->serve(); }};
}

command_tap::~command_tap() {
    impl_->listener.shut_down();
    impl_->acceptor.join();
    for (const int one : impl_->open) {
        shutdown(one, SHUT_RDWR);
    }
    for (auto& one : impl_->threads) {
        one.join();
    }
    for (const int one : impl_->open) {
        close(one);
    }
}

std::uint16_t command_tap::port() const {
    return impl_->listener.port();
}

std::map<std::string, std::size_t> command_tap::take() {
    const std::lock_guard lock{impl_->mutex};
    if (!impl_->trouble.empty()) {
        throw std::runtime_error{impl_->trouble};
    }
    return std::exchange(impl_->seen, {});
}

} // namespace beds::test::mongodb
