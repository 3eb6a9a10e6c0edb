#include "amqp/frame_encoder.hpp"

#include <algorithm>
#include <cstring>

namespace beds::amqp::detail {

namespace {

constexpr char frame_method = 1;
constexpr char frame_header = 2;
constexpr char frame_body = 3;
constexpr char frame_end = '\xCE';
constexpr std::size_t longest_short_string = 255;

/// Writes big-endian into memory that is large enough.
class writer {
public:
    explicit writer(char* position) : position_(position) {}

    template <class Unsigned>
    void number(Unsigned value) {
        for (int shift = static_cast<int>(sizeof(Unsigned) - 1) * 8; shift >= 0; shift -= 8) {
            *position_++ = static_cast<char>((std::uint64_t{value} >> shift) & 0xFFU);
        }
    }
    void octet(char value) { *position_++ = value; }
    void bytes(std::string_view text) {
        if (!text.empty()) {
            std::memcpy(position_, text.data(), text.size());
            position_ += text.size();
        }
    }
    void short_string(std::string_view text) {
        octet(static_cast<char>(text.size()));
        bytes(text);
    }
    void long_string(std::string_view text) {
        number(static_cast<std::uint32_t>(text.size()));
        bytes(text);
    }
    /// Leaves room for a length and returns where it is.
    char* open_length() {
        char* at = position_;
        position_ += 4;
        return at;
    }
    void close_length(char* at, const char* from) {
        writer{at}.number(static_cast<std::uint32_t>(position_ - from));
    }
    [[nodiscard]] char* position() const { return position_; }

private:
    char* position_;
};

} // namespace

char* out_buffer::reserve(std::size_t count) {
    if (capacity_ - size_ < count) {
        const auto bigger = std::max({capacity_ * 2, size_ + count, std::size_t{64 * 1024}});
        // Not value-initialised: it is written at once.
        std::unique_ptr<char[]> grown{new char[bigger]};
        if (size_ != 0) {
            std::memcpy(grown.get(), memory_.get(), size_);
        }
        memory_ = std::move(grown);
        capacity_ = bigger;
    }
    return memory_.get() + size_;
}

const char* encode_publish(out_buffer& to, std::uint16_t channel, std::size_t frame_max,
                           std::string_view exchange, std::string_view routing_key,
                           const properties& with, bool mandatory, std::uint64_t body_size) {
    const std::string_view short_strings[] = {exchange,
                                              routing_key,
                                              with.content_type,
                                              with.content_encoding,
                                              with.correlation_id,
                                              with.reply_to,
                                              with.expiration,
                                              with.message_id,
                                              with.type,
                                              with.user_id,
                                              with.app_id};
    constexpr const char* names[] = {"exchange",         "routing key",    "content_type",
                                     "content_encoding", "correlation_id", "reply_to",
                                     "expiration",       "message_id",     "type",
                                     "user_id",          "app_id"};
    std::size_t room = 64;
    for (std::size_t i = 0; i < std::size(short_strings); ++i) {
        if (short_strings[i].size() > longest_short_string) {
            return names[i];
        }
        room += short_strings[i].size() + 1;
    }
    std::size_t table = 0;
    for (const auto& each : with.headers) {
        if (each.name.size() > longest_short_string || each.type == header::kind::other) {
            return "header";
        }
        table += each.name.size() + each.text.size() + 1 + 1 + 8;
    }
    room += table;
    if (room > frame_max) {
        return "headers";
    }

    char* start = to.reserve(room);
    writer out{start};

    out.octet(frame_method);
    out.number(channel);
    char* length = out.open_length();
    char* payload = out.position();
    out.number(std::uint16_t{60}); // basic
    out.number(std::uint16_t{40}); // publish
    out.number(std::uint16_t{0});  // reserved
    out.short_string(exchange);
    out.short_string(routing_key);
    out.octet(mandatory ? 1 : 0);
    out.close_length(length, payload);
    out.octet(frame_end);

    out.octet(frame_header);
    out.number(channel);
    length = out.open_length();
    payload = out.position();
    out.number(std::uint16_t{60});
    out.number(std::uint16_t{0});
    out.number(body_size);
    char* flags_at = out.position();
    out.number(std::uint16_t{0});
    unsigned flags = 0;
    const auto text = [&](unsigned bit, std::string_view value) {
        if (!value.empty()) {
            flags |= 1U << bit;
            out.short_string(value);
        }
    };
    text(15, with.content_type);
    text(14, with.content_encoding);
    if (!with.headers.empty()) {
        flags |= 1U << 13;
        char* table_length = out.open_length();
        char* entries = out.position();
        for (const auto& each : with.headers) {
            out.short_string(each.name);
            if (each.type == header::kind::text) {
                out.octet('S');
                out.long_string(each.text);
            } else {
                out.octet('l');
                out.number(static_cast<std::uint64_t>(each.integer));
            }
        }
        out.close_length(table_length, entries);
    }
    if (with.mode) {
        flags |= 1U << 12;
        out.octet(static_cast<char>(*with.mode));
    }
    if (with.priority) {
        flags |= 1U << 11;
        out.octet(static_cast<char>(*with.priority));
    }
    text(10, with.correlation_id);
    text(9, with.reply_to);
    text(8, with.expiration);
    text(7, with.message_id);
    if (with.timestamp) {
        flags |= 1U << 6;
        out.number(*with.timestamp);
    }
    text(5, with.type);
    text(4, with.user_id);
    text(3, with.app_id);
    writer{flags_at}.number(static_cast<std::uint16_t>(flags));
    out.close_length(length, payload);
    out.octet(frame_end);

    to.commit(static_cast<std::size_t>(out.position() - start));
    return nullptr;
}

void encode_body(out_buffer& to, std::uint16_t channel, std::string_view fragment) {
    char* start = to.reserve(fragment.size() + frame_overhead);
    writer out{start};
    out.octet(frame_body);
    out.number(channel);
    out.long_string(fragment);
    out.octet(frame_end);
    to.commit(static_cast<std::size_t>(out.position() - start));
}

} // namespace beds::amqp::detail
