#pragma once

#include "exit_code.hpp"

#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace bedsctl {

struct scaffold_options {
    std::vector<std::string> objects = {}; ///< tables and views
    bool all = false;                      ///< every one that the account sees, but BEDS's own
    std::string connection = {};           ///< empty: `rel`, or the only one that is configured
    std::filesystem::path directory = {};  ///< empty: to standard output
    std::filesystem::path procedures = {}; ///< SQL of views and procedures goes there; empty: none
    bool overwrite = false;                ///< files that are there already
};

/// Writes a template for each object of a live database, made from what the database says of it.
/// One that cannot be written (nothing of that name, a file that is there) is told, and the others
/// go on. With `procedures` the templates go through views and procedures, whose SQL is written,
/// too. Throws usage_error for a connection or directory that is not there, beds::core::error when
/// the database cannot be reached.
exit_code scaffold(std::ostream& out, std::ostream& err, const beds::config::settings& settings,
                   const std::string& role, const scaffold_options& asked,
                   beds::core::deadline until);

} // namespace bedsctl
