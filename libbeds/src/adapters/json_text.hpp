#pragma once

#include <beds/core/data.hpp>
#include <beds/core/value.hpp>

#include <string>
#include <string_view>

namespace beds::adapters {

/// Appends a tree as compact JSON text. Numbers keep the token they came with.
void append_json(const core::datum& tree, std::string& to);

/// The JSON text of a bound value of kind `json` or `document`; `memory` holds it when it has to be
/// written.
std::string_view json_text(const core::value& bound, core::arena& memory);

} // namespace beds::adapters
