#pragma once

#include <beds/config/settings.hpp>
#include <beds/templates/registry.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beds::node {

/// How the configuration wants templates to be loaded; `connections` is left to the caller.
templates::load_settings load_settings_of(const config::settings& from);

/// The same with the databases of the configuration as `connections`.
templates::load_settings load_settings_with_connections(const config::settings& from);

/// The templates of one role: those that name it, and those that name no service.
std::shared_ptr<const templates::registry> templates_of(const templates::registry& all,
                                                        std::string_view role);

/// The highest class of operation that this node's brokers run on a template. Nothing: it plays
/// another role, or has no brokers for the template's database.
std::optional<core::op_class> highest_class(const config::settings& from,
                                            const templates::template_def& of);

std::string joined(const std::vector<templates::problem>& problems, std::string_view between);

} // namespace beds::node
