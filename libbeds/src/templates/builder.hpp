#pragma once

#include "templates/reader.hpp"

#include <beds/templates/registry.hpp>

namespace beds::templates {

/// Is it the template of another service than the one that the settings ask for?
bool serves_other(const node& root, const load_settings& settings);

/// Builds one template from the root table of its file and says everything that is wrong with it.
/// The result counts only when there were no complaints.
template_def build(const node& root, const load_settings& settings, complaints& out);

} // namespace beds::templates
