#pragma once

#include "exit_code.hpp"

#include <beds/config/settings.hpp>

#include <iosfwd>
#include <string_view>

namespace bedsctl {

/// What BEDS needs in a database of this engine, for the DBA to read and to run: `mariadb` (SQL) or
/// `mongodb` (a script for mongosh). Empty: there is no such engine.
std::string_view schema_of(std::string_view engine);

/// A script for mongosh: per MongoDB database of the configuration the inbox, and the indexes that
/// its templates need, each as one `db.runCommand` in a line of its own. Throws beds::core::error
/// for templates that cannot be loaded.
exit_code print_indexes(std::ostream& out, const beds::config::settings& settings);

} // namespace bedsctl
