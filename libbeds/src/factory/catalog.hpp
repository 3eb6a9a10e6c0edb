#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/templates/registry.hpp>

#include <memory>
#include <span>
#include <string>

namespace beds::factory {

struct description {
    const templates::template_def* only = nullptr; ///< null: all of them
    bool to_service = false;                       ///< the closed ones among them, too
    bool strict_route = false;                     ///< no two templates share a group
};

/// What `describe` answers: members of a result as JSON, `"templates":[…]`. Public names only.
std::string describe(const templates::registry& registry,
                     std::span<const std::shared_ptr<adapters::adapter>> adapters,
                     const description& what);

} // namespace beds::factory
