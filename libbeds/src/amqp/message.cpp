#include "amqp/message_block.hpp"

#include <beds/amqp/message.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace beds::amqp {

const header* properties::find(std::string_view name) const {
    const auto found = std::find_if(headers.begin(), headers.end(),
                                    [&](const header& each) { return each.name == name; });
    return found == headers.end() ? nullptr : &*found;
}

std::optional<std::string_view> properties::text(std::string_view name) const {
    const header* found = find(name);
    if (found == nullptr || found->type != header::kind::text) {
        return std::nullopt;
    }
    return found->text;
}

std::optional<std::int64_t> properties::integer(std::string_view name) const {
    const header* found = find(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (found->type == header::kind::integer) {
        return found->integer;
    }
    if (found->type == header::kind::text) {
        std::int64_t value = 0;
        const char* end = found->text.data() + found->text.size();
        const auto [rest, failed] = std::from_chars(found->text.data(), end, value);
        if (failed == std::errc{} && rest == end) {
            return value;
        }
    }
    return std::nullopt;
}

namespace detail {

void message_block_deleter::operator()(message_block* block) const noexcept {
    std::free(block);
}

namespace {

/// The strings of a message, in one order for measuring and for copying.
template <class Parts, class Visit>
void for_each_string(Parts& parts, Visit visit) {
    visit(parts.exchange);
    visit(parts.routing_key);
    visit(parts.queue);
    auto& with = parts.properties;
    visit(with.message_id);
    visit(with.correlation_id);
    visit(with.reply_to);
    visit(with.type);
    visit(with.content_type);
    visit(with.content_encoding);
    visit(with.user_id);
    visit(with.app_id);
    visit(with.expiration);
}

} // namespace

message_ptr make_message(const message_parts& parts) {
    const auto headers = parts.headers.first(std::min(parts.headers.size(), max_headers));
    std::size_t size = sizeof(message_block) + headers.size() * sizeof(header);
    for_each_string(parts, [&](std::string_view text) { size += text.size(); });
    for (const auto& each : headers) {
        size += each.name.size() + each.text.size();
    }
    const bool oversized = parts.body_size > parts.max_body;
    const auto stored = oversized ? std::size_t{0} : static_cast<std::size_t>(parts.body_size);
    size += stored;

    void* memory = std::malloc(size);
    if (memory == nullptr) {
        throw std::bad_alloc{};
    }
    message_ptr message{::new (memory) message_block{}};
    message->properties = parts.properties;
    message->exchange = parts.exchange;
    message->routing_key = parts.routing_key;
    message->queue = parts.queue;
    message->body_size = parts.body_size;
    message->stored = stored;
    message->oversized = oversized;
    message->headers_truncated = headers.size() < parts.headers.size();

    auto* kept = reinterpret_cast<header*>(static_cast<char*>(memory) + sizeof(message_block));
    static_assert(sizeof(message_block) % alignof(header) == 0);
    std::uninitialized_copy(headers.begin(), headers.end(), kept);
    char* position = reinterpret_cast<char*>(kept + headers.size());
    const auto keep = [&](std::string_view& text) {
        if (!text.empty()) {
            std::memcpy(position, text.data(), text.size());
        }
        text = {position, text.size()};
        position += text.size();
    };
    for_each_string(*message, keep);
    for (auto& each : std::span{kept, headers.size()}) {
        keep(each.name);
        keep(each.text);
    }
    message->properties.headers = {kept, headers.size()};
    message->body = position;
    return message;
}

bool append_body(message_block& message, std::uint64_t& filled, std::string_view fragment) {
    if (fragment.size() > message.body_size - filled) {
        return false;
    }
    if (!message.oversized && !fragment.empty()) {
        std::memcpy(message.body + filled, fragment.data(), fragment.size());
    }
    filled += fragment.size();
    return true;
}

} // namespace detail

std::string_view delivery::body() const {
    return {message_->body, message_->stored};
}
std::uint64_t delivery::body_size() const {
    return message_->body_size;
}
bool delivery::oversized() const {
    return message_->oversized;
}
const amqp::properties& delivery::properties() const {
    return message_->properties;
}
bool delivery::headers_truncated() const {
    return message_->headers_truncated;
}
bool delivery::redelivered() const {
    return message_->redelivered;
}
std::string_view delivery::exchange() const {
    return message_->exchange;
}
std::string_view delivery::routing_key() const {
    return message_->routing_key;
}
std::string_view delivery::queue() const {
    return message_->queue;
}
std::uint32_t delivery::consumer() const {
    return message_->consumer;
}
std::uint64_t delivery::tag() const {
    return message_->tag;
}

} // namespace beds::amqp
