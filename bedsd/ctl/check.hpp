#pragma once

#include "exit_code.hpp"

#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace bedsctl {

struct check_options {
    std::vector<std::string> templates = {}; ///< by name; empty: all
    bool diff = false; ///< also show each that differs beside what the database would make of it
};

/// Compares the templates of a configuration with the live databases. Returns `refused` when one
/// promises what its database cannot keep. Throws usage_error for a template that is not there,
/// beds::core::error when a database cannot be reached.
exit_code check(std::ostream& out, const beds::config::settings& settings,
                const check_options& asked, beds::core::deadline until);

/// Lines of `after` that are not in `before` with `+`, the other way round with `-`, the others
/// with a blank, in order.
std::string line_diff(std::string_view before, std::string_view after);

} // namespace bedsctl
