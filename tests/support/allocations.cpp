#include "support/allocations.hpp"

#include <atomic>
#include <cstddef>
#include <dlfcn.h>
#include <pthread.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BEDS_OWN_MALLOC 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BEDS_OWN_MALLOC 1
#endif
#ifndef __GLIBC__
#define BEDS_OWN_MALLOC 1 // the names behind malloc are those of glibc
#endif

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> locks{0};

} // namespace

namespace beds::test {

costs costs_so_far() {
    return {allocations.load(), locks.load()};
}

bool costs_are_counted() {
#ifdef BEDS_OWN_MALLOC
    return false;
#else
    return true;
#endif
}

} // namespace beds::test

#ifndef BEDS_OWN_MALLOC

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): what glibc calls them.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* place, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
// NOLINTEND(bugprone-reserved-identifier)

void* malloc(std::size_t size) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_calloc(count, size);
}

void* realloc(void* place, std::size_t size) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_realloc(place, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_memalign(alignment, size);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    using function = int (*)(pthread_mutex_t*);
    static std::atomic<function> next{nullptr}; // constant: no guard, which would lock
    auto call = next.load(std::memory_order_relaxed);
    if (call == nullptr) {
        call = reinterpret_cast<function>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
        next.store(call, std::memory_order_relaxed);
    }
    locks.fetch_add(1, std::memory_order_relaxed);
    return call(mutex);
}

} // extern "C"

#endif
