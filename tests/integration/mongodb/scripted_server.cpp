#include "scripted_server.hpp"

#include "support/loopback.hpp"

#include <mongoc/mongoc.h>

#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace beds::test::mongodb {
namespace {

constexpr std::int32_t op_reply = 1;
constexpr std::int32_t op_query = 2004;
constexpr std::int32_t op_msg = 2013;

struct header {
    std::int32_t size;
    std::int32_t id;
    std::int32_t response_to;
    std::int32_t operation;
};

} // namespace

struct scripted_server::impl {
    script answers;
    int wire_version;
    loopback_listener listener;
    std::atomic<bool> stopping{false};
    mutable std::mutex mutex;
    std::vector<std::string> seen;
    std::vector<std::string> greeted;
    std::vector<std::string> unlimited;
    std::vector<int> open;
    std::vector<std::thread> connections;
    std::thread acceptor;

    void serve(int connection) {
        header head{};
        while (!stopping && read_all(connection, &head, sizeof head)) {
            std::vector<std::uint8_t> body(static_cast<std::size_t>(head.size) - sizeof head);
            if (!read_all(connection, body.data(), body.size())) {
                break;
            }
            std::size_t document = 5; // flags and the kind of the section
            if (head.operation == op_query) {
                document = 4 + std::strlen(reinterpret_cast<const char*>(body.data()) + 4) + 1 + 8;
            }
            bson_t command;
            if (!bson_init_static(&command, body.data() + document, [&] {
                    std::int32_t size = 0;
                    std::memcpy(&size, body.data() + document, sizeof size);
                    return static_cast<std::size_t>(size);
                }())) {
                break;
            }
            bson_iter_t first;
            bson_iter_init(&first, &command);
            bson_iter_next(&first);
            const std::string name = bson_iter_key(&first);
            char* const text = bson_as_canonical_extended_json(&command, nullptr);
            const std::string copy = text;
            bson_free(text);
            const bool greets = name == "isMaster" || name == "ismaster" || name == "hello";
            {
                const std::lock_guard lock{mutex};
                (greets ? greeted : seen).push_back(copy);
                const bool in_no_time = greets || name == "ping" || name == "getMore" ||
                                        name == "endSessions" || name.starts_with("sasl");
                bson_iter_t limit;
                if (!in_no_time && !(bson_iter_init_find(&limit, &command, "maxTimeMS") &&
                                     bson_iter_as_int64(&limit) > 0)) {
                    unlimited.push_back(copy);
                }
            }
            scripted_reply reply;
            if (greets) {
                reply.json =
                    R"({"ismaster": true, "helloOk": true, "isWritablePrimary": true, )"
                    R"("maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, )"
                    R"("maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": )" +
                    std::to_string(wire_version) + R"(, "ok": 1})";
            } else if (bson_has_field(&command, "txnNumber") ||
                       bson_has_field(&command, "startTransaction")) {
                reply.json = R"({"ok": 0, "code": 20, "errmsg": "Transaction numbers are only )"
                             R"(allowed on a replica set member or mongos"})";
            } else if (name != "ping" && name != "endSessions") {
                reply = answers(name, copy);
            }
            if (reply.what == scripted_reply::action::hang_up) {
                break;
            }
            if (reply.what == scripted_reply::action::stand_still) {
                pollfd gone{connection, 0, 0};
                while (!stopping && poll(&gone, 1, 20) == 0) {
                }
                break;
            }
            send_reply(connection, head, reply.bytes.empty() ? bson_of(reply.json) : reply.bytes);
        }
        shutdown(connection, SHUT_RDWR);
    }

    static void send_reply(int to, const header& asked, const std::vector<std::uint8_t>& document) {
        std::vector<std::uint8_t> message(sizeof(header));
        if (asked.operation == op_query) {
            message.resize(message.size() + 20);
            const std::int32_t one = 1;
            std::memcpy(message.data() + sizeof(header) + 16, &one, sizeof one);
        } else {
            message.resize(message.size() + 5);
        }
        message.insert(message.end(), document.begin(), document.end());
        const header head{static_cast<std::int32_t>(message.size()), 1, asked.id,
                          asked.operation == op_query ? op_reply : op_msg};
        std::memcpy(message.data(), &head, sizeof head);
        static_cast<void>(send(to, message.data(), message.size(), MSG_NOSIGNAL));
    }
};

std::vector<std::uint8_t> scripted_server::bson_of(const std::string& json) {
    bson_error_t error{};
    bson_t* const made = bson_new_from_json(reinterpret_cast<const std::uint8_t*>(json.data()),
                                            static_cast<ssize_t>(json.size()), &error);
    if (made == nullptr) {
        throw std::runtime_error{"scripted reply is not JSON: " + json};
    }
    const auto* const data = bson_get_data(made);
    std::vector<std::uint8_t> bytes{data, data + made->len};
    bson_destroy(made);
    return bytes;
}

scripted_server::scripted_server(script answers, int wire_version)
    : impl_(std::make_unique<impl>()) {
    impl_->answers = std::move(answers);
    impl_->wire_version = wire_version;
    impl_->acceptor = std::thread{[this] {
        for (;;) {
            const int connection = impl_->listener.accept();
            if (connection < 0 || impl_->stopping) {
                return;
            }
            const std::lock_guard lock{impl_->mutex};
            impl_->open.push_back(connection);
            impl_->connections.emplace_back([this, connection] { impl_->serve(connection); });
        }
    }};
}

scripted_server::~scripted_server() {
    impl_->stopping = true;
    impl_->listener.shut_down();
    impl_->acceptor.join();
    drop_connections();
    for (auto& one : impl_->connections) {
        one.join();
    }
    for (const int one : impl_->open) {
        close(one);
    }
}

std::string scripted_server::uri() const {
    return "mongodb://127.0.0.1:" + std::to_string(impl_->listener.port()) + "/db";
}

std::vector<std::string> scripted_server::commands() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->seen;
}

std::vector<std::string> scripted_server::without_limit() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->unlimited;
}

std::vector<std::string> scripted_server::greetings() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->greeted;
}

void scripted_server::drop_connections() {
    const std::lock_guard lock{impl_->mutex};
    for (const int one : impl_->open) {
        shutdown(one, SHUT_RDWR);
    }
}

} // namespace beds::test::mongodb
