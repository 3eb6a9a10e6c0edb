// A message as rabbitmq-c hands it over: what a publisher chose (properties and headers), decoded
// by rabbitmq-c and kept by BEDS; and whole frames, in any order.
#include "amqp/rabbitmqc/message_reader.hpp"
#include "fuzz/target.hpp"

#include <beds/core/error.hpp>

#include <memory>
#include <string>

namespace {

using namespace beds;
using namespace beds::amqp;

class pool {
public:
    pool() { ::init_amqp_pool(&pool_, 64 * 1024); }
    ~pool() { ::empty_amqp_pool(&pool_); }
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    amqp_pool_t* get() { return &pool_; }

private:
    amqp_pool_t pool_{};
};

struct state_deleter {
    void operator()(amqp_connection_state_t state) const { ::amqp_destroy_connection(state); }
};
using connection_state =
    std::unique_ptr<std::remove_pointer_t<amqp_connection_state_t>, state_deleter>;

/// Reads everything that the message keeps.
std::size_t look_at(const detail::message_block& message) {
    const auto& all = message.properties;
    std::size_t seen = 0;
    for (const auto text : {all.message_id, all.correlation_id, all.reply_to, all.type,
                            all.content_type, all.content_encoding, all.user_id, all.app_id,
                            all.expiration, message.exchange, message.routing_key}) {
        seen += std::string{text}.size();
    }
    for (const auto& header : all.headers) {
        seen += std::string{header.name}.size() + std::string{header.text}.size();
        static_cast<void>(all.find(header.name));
    }
    static_cast<void>(all.integer("beds-deadline"));
    static_cast<void>(all.text("beds-int64"));
    fuzz::expect(all.headers.size() <= max_headers);
    return seen + message.stored;
}

detail::message_parts parts() {
    detail::message_parts made;
    made.exchange = "beds.events";
    made.routing_key = "items.read";
    made.queue = "rel.read";
    made.max_body = 4096;
    return made;
}

void read_properties(const std::uint8_t* data, std::size_t size) {
    pool memory;
    void* decoded = nullptr;
    const auto bytes = detail::to_bytes(fuzz::text_of(data, size));
    if (::amqp_decode_properties(AMQP_BASIC_CLASS, memory.get(), bytes, &decoded) < 0) {
        return;
    }
    detail::decoded_properties properties;
    properties.decode(*static_cast<amqp_basic_properties_t*>(decoded));
    auto made = parts();
    made.properties = properties.properties;
    made.headers = {properties.headers.data(), properties.header_count};
    look_at(*detail::make_message(made));
}

void read_frames(const std::uint8_t* data, std::size_t size) {
    const connection_state state{::amqp_new_connection()};
    // Past the greeting, after which rabbitmq-c takes frames, and a limit for their size.
    amqp_frame_t greeting{};
    ::amqp_handle_input(state.get(), detail::to_bytes({"AMQP\0\0\x09\x01", 8}), &greeting);
    ::amqp_tune_connection(state.get(), 0, 131072, 0);
    auto left = detail::to_bytes(fuzz::text_of(data, size));
    detail::message_reader reader;
    reader.begin(parts());
    while (left.len > 0) {
        amqp_frame_t frame{};
        const int used = ::amqp_handle_input(state.get(), left, &frame);
        if (used <= 0 || static_cast<std::size_t>(used) > left.len) {
            return;
        }
        left.bytes = static_cast<char*>(left.bytes) + used;
        left.len -= static_cast<std::size_t>(used);
        if (frame.frame_type != AMQP_FRAME_HEADER && frame.frame_type != AMQP_FRAME_BODY) {
            continue;
        }
        try {
            if (reader.take(frame)) {
                look_at(*reader.finish());
                reader.begin(parts());
            }
        } catch (const core::error&) {
            return; // the connection ends
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 0 && data[0] == 1) {
        read_frames(data + 1, size - 1);
    } else if (size > 0) {
        read_properties(data + 1, size - 1);
    }
    return 0;
}
