#pragma once

#include "templates/reader.hpp"

#include <beds/templates/registry.hpp>

namespace beds::templates {

/// Is it the template of a service that other nodes play?
bool is_served_elsewhere(const node& root, const load_settings& settings);

/// Builds one template from the root table of its file and says everything that is wrong with it.
/// The result counts only when there were no complaints.
template_def build(const node& root, const load_settings& settings, complaints& out);

} // namespace beds::templates
