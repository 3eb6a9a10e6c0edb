#include <beds/core/arena.hpp>

#include <algorithm>
#include <new>
#include <utility>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BEDS_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define BEDS_ASAN 1
#endif
#ifdef BEDS_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace beds::core {
namespace {

// With the address sanitizer, a view that outlives `reset()` is an error as soon as it is read,
// until its block is entered again.
void poison([[maybe_unused]] const std::byte* bytes, [[maybe_unused]] std::size_t size) {
#ifdef BEDS_ASAN
    __asan_poison_memory_region(bytes, size);
#endif
}

void unpoison([[maybe_unused]] const std::byte* bytes, [[maybe_unused]] std::size_t size) {
#ifdef BEDS_ASAN
    __asan_unpoison_memory_region(bytes, size);
#endif
}

} // namespace

void arena::next_block(std::size_t size, std::size_t alignment) {
    if (size > static_cast<std::size_t>(-1) / 2 || alignment > static_cast<std::size_t>(-1) / 2) {
        throw std::bad_alloc{};
    }
    const std::size_t at_least = size + alignment;
    const auto free = blocks_.begin() + static_cast<std::ptrdiff_t>(used_blocks_);
    const auto fits = std::find_if(free, blocks_.end(), [at_least](const block& candidate) {
        return candidate.size >= at_least;
    });
    if (fits != blocks_.end()) {
        std::iter_swap(free, fits);
    } else {
        const std::size_t doubled = std::max(first_block_, capacity_);
        const std::size_t wanted = std::max(doubled, at_least);
        block fresh{std::make_unique_for_overwrite<std::byte[]>(wanted), wanted};
        blocks_.insert(free, std::move(fresh));
        capacity_ += wanted;
    }
    enter(blocks_[used_blocks_++]);
}

void arena::enter(const block& entered) {
    unpoison(entered.bytes.get(), entered.size);
    position_ = reinterpret_cast<std::uintptr_t>(entered.bytes.get());
    end_ = position_ + entered.size;
}

void arena::reset(std::size_t keep) {
    if (capacity_ > keep) {
        // The largest go first: few frees, and what a usual batch needs stays.
        std::sort(blocks_.begin(), blocks_.end(),
                  [](const block& left, const block& right) { return left.size < right.size; });
        while (capacity_ > keep) {
            capacity_ -= blocks_.back().size;
            unpoison(blocks_.back().bytes.get(), blocks_.back().size);
            blocks_.pop_back();
        }
    }
    for (const block& kept : blocks_) {
        poison(kept.bytes.get(), kept.size);
    }
    used_blocks_ = 0;
    position_ = 0;
    end_ = 0;
}

} // namespace beds::core
