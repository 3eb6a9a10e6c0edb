#pragma once

#include "templates/reader.hpp"

#include <beds/templates/registry.hpp>

#include <optional>

namespace beds::templates {

/// Builds one template from the root table of its file and says everything that is wrong with it;
/// nothing when the service excludes it. The result counts only when there were no complaints.
std::optional<template_def> build(const node& root, const load_settings& settings, complaints& out);

} // namespace beds::templates
