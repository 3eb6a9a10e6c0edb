#include "amqp/confirm_tracker.hpp"
#include "amqp/frame_encoder.hpp"
#include "amqp/rabbitmqc/message_reader.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

using namespace beds;
using namespace beds::amqp::detail;

namespace {
std::atomic<long> allocations{0};
} // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size != 0 ? size : 1)) {
        return memory;
    }
    throw std::bad_alloc{};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size != 0 ? size : 1);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace {

struct connection_deleter {
    void operator()(amqp_connection_state_t_* state) const { amqp_destroy_connection(state); }
};

/// rabbitmq-c's own decoder, fed with bytes instead of a socket.
class decoder {
public:
    decoder() : state_(amqp_new_connection()) {}

    std::vector<amqp_frame_t> frames(std::span<const char> bytes) {
        std::vector<amqp_frame_t> found;
        while (!bytes.empty()) {
            amqp_frame_t frame{};
            const int used =
                amqp_handle_input(state_.get(), to_bytes({bytes.data(), bytes.size()}), &frame);
            REQUIRE(used > 0);
            bytes = bytes.subspan(static_cast<std::size_t>(used));
            if (frame.frame_type != 0) {
                found.push_back(frame);
            }
        }
        CHECK(amqp_release_buffers_ok(state_.get()) != 0);
        return found;
    }

private:
    std::unique_ptr<amqp_connection_state_t_, connection_deleter> state_;
};

constexpr std::size_t frame_max = 131072;

} // namespace

TEST_CASE("what is encoded decodes to the same with rabbitmq-c") {
    const std::string longest(255, 'l');
    const amqp::header headers[] = {
        amqp::header::of("text", "value"), amqp::header::of("empty", ""),
        amqp::header::of("number", std::int64_t{-5}),
        amqp::header::of(longest, std::string_view{longest}),
        amqp::header::of("big", std::numeric_limits<std::int64_t>::max())};
    const amqp::properties with{.message_id = "message",
                                .correlation_id = longest,
                                .reply_to = "reply",
                                .type = "type",
                                .content_type = "application/json",
                                .content_encoding = "identity",
                                .user_id = "user",
                                .app_id = "app",
                                .expiration = "1000",
                                .mode = amqp::delivery_mode::persistent,
                                .priority = 9,
                                .timestamp = 0x0102030405060708,
                                .headers = headers};
    out_buffer buffer;
    REQUIRE(encode_publish(buffer, 1, frame_max, "exchange", longest, with, true, 8) == nullptr);
    encode_body(buffer, 1, "body");
    encode_body(buffer, 1, "more");

    decoder decode;
    const auto frames = decode.frames(buffer.bytes());
    REQUIRE(frames.size() == 4);
    REQUIRE(frames[0].payload.method.id == AMQP_BASIC_PUBLISH_METHOD);
    const auto& method =
        *static_cast<const amqp_basic_publish_t*>(frames[0].payload.method.decoded);
    CHECK(to_view(method.exchange) == "exchange");
    CHECK(to_view(method.routing_key) == longest);
    CHECK(method.mandatory == 1);
    CHECK(method.immediate == 0);

    message_reader reader;
    message_parts parts;
    parts.max_body = 100;
    reader.begin(parts);
    CHECK_FALSE(reader.take(frames[1]));
    CHECK_FALSE(reader.take(frames[2]));
    CHECK(reader.take(frames[3]));
    const auto message = reader.finish();
    CHECK(std::string_view(message->body, message->stored) == "bodymore");
    const auto& got = message->properties;
    CHECK(got.message_id == with.message_id);
    CHECK(got.correlation_id == with.correlation_id);
    CHECK(got.reply_to == with.reply_to);
    CHECK(got.type == with.type);
    CHECK(got.content_type == with.content_type);
    CHECK(got.content_encoding == with.content_encoding);
    CHECK(got.user_id == with.user_id);
    CHECK(got.app_id == with.app_id);
    CHECK(got.expiration == with.expiration);
    CHECK(got.mode == with.mode);
    CHECK(got.priority == with.priority);
    CHECK(got.timestamp == with.timestamp);
    REQUIRE(got.headers.size() == std::size(headers));
    CHECK(got.text("text") == "value");
    CHECK(got.text("empty") == "");
    CHECK(got.integer("number") == -5);
    CHECK(got.text(longest) == longest);
    CHECK(got.integer("big") == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("a message without anything is three small fields") {
    out_buffer buffer;
    REQUIRE(encode_publish(buffer, 1, frame_max, "", "q", {}, false, 0) == nullptr);
    decoder decode;
    const auto frames = decode.frames(buffer.bytes());
    REQUIRE(frames.size() == 2);
    const auto& sent =
        *static_cast<const amqp_basic_properties_t*>(frames[1].payload.properties.decoded);
    CHECK(sent._flags == 0);
    CHECK(frames[1].payload.properties.body_size == 0);
}

TEST_CASE("what AMQP cannot carry is named and leaves the buffer as it was") {
    const std::string longer(256, 'x');
    out_buffer buffer;
    encode_body(buffer, 1, "before");
    const auto before = buffer.size();
    const auto refused = [&](std::string_view exchange, std::string_view key,
                             const amqp::properties& with) {
        const char* what = encode_publish(buffer, 1, 4096, exchange, key, with, false, 0);
        CHECK(buffer.size() == before);
        return std::string{what == nullptr ? "nothing" : what};
    };
    CHECK(refused(longer, "", {}) == "exchange");
    CHECK(refused("", longer, {}) == "routing key");
    CHECK(refused("", "", {.reply_to = longer}) == "reply_to");
    const amqp::header name[] = {amqp::header::of(longer, "x")};
    CHECK(refused("", "", {.headers = name}) == "header");
    const std::string huge(4096, 'x');
    const amqp::header text[] = {amqp::header::of("x", std::string_view{huge})};
    CHECK(refused("", "", {.headers = text}) == "headers");
}

TEST_CASE("the buffer grows and keeps what is in it") {
    out_buffer buffer;
    const std::string part(50'000, 'p');
    // A publish comes first: the decoder expects a method at the start of a connection.
    REQUIRE(encode_publish(buffer, 1, frame_max, "", "q", {}, false, 20 * part.size()) == nullptr);
    for (int i = 0; i < 20; ++i) {
        encode_body(buffer, 1, part);
    }
    decoder decode;
    const auto frames = decode.frames(buffer.bytes());
    REQUIRE(frames.size() == 22);
    for (std::size_t i = 2; i < frames.size(); ++i) {
        CHECK((to_view(frames[i].payload.body_fragment) == part));
    }
}

TEST_CASE("encoding and tracking allocate nothing once the buffer has its size") {
    const amqp::header headers[] = {amqp::header::of("beds-event", "ms.dev.0198f1c2")};
    const std::string body(2000, 'b');
    out_buffer buffer;
    confirm_tracker tracker;
    const auto burst = [&] {
        buffer.clear();
        for (std::uint64_t i = 0; i < 200; ++i) {
            encode_publish(buffer, 1, frame_max, "", "reply.app.0198f1c2",
                           {.correlation_id = "0198f1c2-0000-7000-8000-000000000000",
                            .type = "beds.reply",
                            .content_type = "application/json",
                            .headers = headers},
                           true, body.size());
            encode_body(buffer, 1, body);
            tracker.published(i);
        }
        tracker.ack(0, true);
    };
    burst();
    const long before = allocations;
    for (int i = 0; i < 20; ++i) {
        burst();
    }
    CHECK(allocations == before);
}
