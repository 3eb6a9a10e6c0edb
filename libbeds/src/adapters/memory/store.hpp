#pragma once

#include "adapters/memory/store_lock.hpp"
#include "adapters/memory/table.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/adapters/memory.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace beds::adapters::memory {

/// The replies of writes by (principal, operation id), the oldest forgotten first.
class inbox {
public:
    struct entry {
        core::content_hash content;
        std::string reply;
    };

    explicit inbox(std::size_t most) : most_(most) {}

    [[nodiscard]] const entry* find(const operation_identity& identity) const;
    /// False: there is one already.
    bool add(const operation_identity& identity, std::string_view reply);
    void remove_newest(std::size_t count);
    void trim();

private:
    std::size_t most_;
    std::unordered_map<std::string, entry> entries_;
    std::deque<const std::string*> by_age_;
};

/// What all sessions of one adapter share. Everything but `settings` is protected by `lock`.
struct store {
    explicit store(memory_settings given)
        : settings(std::move(given)), replies(settings.inbox_replies) {}

    const memory_settings settings;
    store_lock lock;
    std::unordered_map<std::string, std::unique_ptr<table>> tables; ///< by object
    inbox replies;
};

} // namespace beds::adapters::memory
