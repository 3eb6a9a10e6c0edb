#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace beds::core {

/// Memory of one batch: handed out by moving a pointer, given back all at once by `reset()`. Blocks
/// are kept for the next batch, so a steady load allocates nothing. Not thread-safe; everything
/// handed out dies with `reset()` or the arena.
class arena {
public:
    explicit arena(std::size_t first_block = 64 * 1024) : first_block_(first_block) {}
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;

    /// Uninitialised bytes; `alignment` is a power of two. Throws `std::bad_alloc`.
    void* allocate(std::size_t size, std::size_t alignment) {
        auto at = (position_ + alignment - 1) & ~(alignment - 1);
        if (at > end_ || size > end_ - at) {
            next_block(size, alignment);
            at = (position_ + alignment - 1) & ~(alignment - 1);
        }
        position_ = at + size;
        return reinterpret_cast<void*>(at);
    }

    /// `count` value-initialised objects. Nothing is destroyed, hence only trivial destructors.
    template <class T>
    std::span<T> make_span(std::size_t count) {
        static_assert(std::is_trivially_destructible_v<T>);
        if (count == 0) {
            return {};
        }
        if (count > static_cast<std::size_t>(-1) / sizeof(T)) {
            throw std::bad_array_new_length{};
        }
        T* first = static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
        std::uninitialized_value_construct_n(first, count);
        return {first, count};
    }

    template <class T>
    T* make() {
        return make_span<T>(1).data();
    }

    template <class T>
    std::span<T> copy(std::span<const T> from) {
        static_assert(std::is_trivially_copyable_v<T>);
        auto to = make_span<T>(from.size());
        if (!from.empty()) {
            std::memcpy(static_cast<void*>(to.data()), from.data(), from.size_bytes());
        }
        return to;
    }

    std::string_view copy(std::string_view text) {
        const auto bytes = copy(std::span<const char>{text.data(), text.size()});
        return {bytes.data(), bytes.size()};
    }

    /// Everything handed out is gone; the blocks stay, unless they grew past `keep` bytes in sum.
    void reset(std::size_t keep = 8 * 1024 * 1024);

    /// Bytes held, used or not.
    [[nodiscard]] std::size_t capacity() const { return capacity_; }

    /// What was handed out stays where it is.
    void swap(arena& other) noexcept {
        std::swap(first_block_, other.first_block_);
        blocks_.swap(other.blocks_);
        std::swap(used_blocks_, other.used_blocks_);
        std::swap(capacity_, other.capacity_);
        std::swap(position_, other.position_);
        std::swap(end_, other.end_);
    }

private:
    struct block {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t size;
    };
    void next_block(std::size_t size, std::size_t alignment);
    void enter(const block& entered);

    std::size_t first_block_;
    std::vector<block> blocks_;
    std::size_t used_blocks_ = 0;
    std::size_t capacity_ = 0;
    std::uintptr_t position_ = 0;
    std::uintptr_t end_ = 0;
};

} // namespace beds::core
