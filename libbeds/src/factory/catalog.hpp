#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/templates/registry.hpp>

#include <memory>
#include <span>
#include <string>

namespace beds::factory {

/// What `describe` answers: members of a result as JSON, `"templates":[…]`. Public names only.
/// `only` is one template, or null for all of them. `strict_route`: no two templates share a group.
std::string describe(const templates::registry& registry,
                     std::span<const std::shared_ptr<adapters::adapter>> adapters,
                     const templates::template_def* only, bool strict_route);

} // namespace beds::factory
