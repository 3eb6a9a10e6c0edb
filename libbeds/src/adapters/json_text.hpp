#pragma once

#include <beds/core/json.hpp>
#include <beds/core/value.hpp>

#include <string_view>

namespace beds::adapters {

/// The JSON text of a bound value of kind `json` or `document`; `memory` holds it when it has to be
/// written.
std::string_view json_text(const core::value& bound, core::arena& memory);

} // namespace beds::adapters
