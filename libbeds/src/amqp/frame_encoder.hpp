#pragma once

#include <beds/amqp/message.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace beds::amqp::detail {

/// Bytes on their way to the socket. Keeps its memory when it is cleared.
class out_buffer {
public:
    [[nodiscard]] std::span<const char> bytes() const { return {memory_.get(), size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    void clear() { size_ = 0; }
    void truncate(std::size_t size) { size_ = size; }
    /// Room for `count` more bytes; `commit` says how many were written.
    char* reserve(std::size_t count);
    void commit(std::size_t count) { size_ += count; }

private:
    std::unique_ptr<char[]> memory_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

inline constexpr std::size_t frame_overhead = 8; ///< header and end octet

/// The method and header frames of one basic.publish. nullptr, or which part cannot be carried by
/// AMQP; nothing was appended then.
const char* encode_publish(out_buffer& to, std::uint16_t channel, std::size_t frame_max,
                           std::string_view exchange, std::string_view routing_key,
                           const properties& with, bool mandatory, std::uint64_t body_size);

/// One body frame; `fragment` must fit into it.
void encode_body(out_buffer& to, std::uint16_t channel, std::string_view fragment);

} // namespace beds::amqp::detail
