#pragma once

#include <beds/templates/template_def.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::templates {

/// What is wrong with an aggregation as a template gives it: its JSON, its stages, operators that
/// run code or write, arguments that are not there or not used.
std::vector<std::string> check_pipeline(std::string_view json, std::span<const argument> args);

} // namespace beds::templates
